"""RewardWrapper: the reward of a vector environment, computed from its signals."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from reward_shaping.reward import Reward
from reward_shaping.scorer import RewardScorer
from reward_shaping.term_log import TermLog


class RewardWrapper(VectorWrapper):
    """Replaces the reward of any `VectorEnv` with SAME_STEP autoreset whose infos carry `signals`.

    Where infos carry `valid`, (N,) bool, rows that are not valid have no transition in this step: their
    reward is zero and no term is logged; `infos["action"]` then holds the actions that led to the transitions.

    `step` returns the total as the reward and adds `infos["reward_terms"]` (term name -> (N,), weighted),
    `infos["costs"]` (cost name -> (N,), never in the total) and `infos["env_reward"]`, the environment's own.

    Args:
        env: infos["signals"] maps signal name -> (N, k); infos["final_info"]["signals"] holds those of
            ended episodes, in the rows where infos["_final_info"] is True.
        reward: the reward function.
        scale: factor on the total (ML-Agents' `strength`); the breakdown is logged without it.

    Raises:
        ValueError: another autoreset mode; in `reset` and `step`, infos without the signals that the reward reads.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], reward: Reward, scale: float = 1.0) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            has = "none" if mode is None else str(mode)
            raise ValueError(
                f"metadata['autoreset_mode'] is {has}: RewardWrapper needs AutoresetMode.SAME_STEP, whose final_info "
                "holds the signals of an episode's true end"
            )
        super().__init__(env)
        self.scorer = RewardScorer(reward, env.num_envs, scale)
        self._shapes: list[tuple[str, tuple[int, ...]]] = []  # of the signals in the steps to come

    @property
    def reward(self) -> Reward:
        """The reward function."""
        return self.scorer.reward

    @property
    def log(self) -> TermLog:
        """Per-term sums."""
        return self.scorer.log

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and forget the episodes under way."""
        obs, infos = self.env.reset(seed=seed, options=options)
        self._learn_shapes(infos)
        self.scorer.begin(infos)
        self.scorer.keep()
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the environment and score the transition."""
        obs, env_rew, terminated, truncated, infos = self.env.step(actions)
        if self.reward.signals:
            signals = infos.get("signals", {})
            if any(getattr(signals.get(name), "shape", None) != shape for name, shape in self._shapes):
                self._check("infos['signals']", signals)
            if (terminated | truncated).any():
                self._check("infos['final_info']['signals']", infos.get("final_info", {}).get("signals", {}))
        rew = self.scorer.score(actions, env_rew, terminated, truncated, infos)
        self.scorer.keep()
        return obs, rew, terminated, truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """State of this wrapper, without the environment's."""
        return self.scorer.state_dict()

    def load_state_dict(self, state: dict[str, Any], infos: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; infos are those of the restored environment."""
        self._learn_shapes(infos)
        self.scorer.load_state_dict(state, infos)

    def _learn_shapes(self, infos: dict[str, Any]) -> None:
        self._check("infos['signals']", infos.get("signals", {}))
        self._shapes = [(name, np.shape(infos["signals"][name])) for name in self.reward.signals]

    def _check(self, where: str, signals: dict[str, Any]) -> None:
        """Refuse infos from which the reward cannot be computed."""
        reward, rows = self.reward, self.num_envs
        if not signals.keys() >= reward.signals:
            missing = sorted(reward.signals - signals.keys())
            raise ValueError(f"{where} has no {', '.join(missing)}, which the reward reads")
        for name in reward.signals:
            shape, size = np.shape(signals[name]), reward.sizes.get(name)
            if len(shape) != 2 or shape[0] != rows or shape[1] != (size or shape[1]):
                raise ValueError(f"{where}[{name!r}] has shape {shape}; expected ({rows}, {size or 'k'})")
