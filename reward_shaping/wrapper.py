"""RewardWrapper: the reward of a vector environment, computed from its signals."""

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper

from reward_shaping.reward import Reward
from reward_shaping.term import Signals, Transition
from reward_shaping.term_log import TermLog


class RewardWrapper(VectorWrapper):
    """Replaces the reward of any `VectorEnv` with SAME_STEP autoreset whose infos carry `signals`.

    Where infos carry `valid`, (N,) bool, rows that are not valid have no transition in this step: their
    reward is zero and no term is logged; `infos["action"]` then holds the actions that led to the transitions.

    `step` returns the total as the reward and adds `infos["reward_terms"]` (term name -> (N,), weighted) and
    `infos["env_reward"]`, the environment's own.

    Args:
        env: infos["signals"] maps signal name -> (N, k); infos["final_info"]["signals"] holds those of
            ended episodes, in the rows where infos["_final_info"] is True.
        reward: the reward function.
        scale: factor on the total (ML-Agents' `strength`); the breakdown is logged without it.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], reward: Reward, scale: float = 1.0) -> None:
        super().__init__(env)
        self.reward = reward
        self.scale = scale
        self.log = TermLog(reward.names, env.num_envs)
        self._signals: Signals = {}
        self._previous_action: np.ndarray | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and forget the episodes under way."""
        obs, infos = self.env.reset(seed=seed, options=options)
        self._signals = self._used(infos)
        self._previous_action = None
        self.log.restart_episodes()
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the environment and score the transition."""
        obs, env_rew, terminated, truncated, infos = self.env.step(actions)
        action = _flat(infos.get("action", actions))
        done = terminated | truncated
        valid = infos.get("valid", np.ones_like(done))
        signals = self._used(infos)
        transition = Transition(
            signals=self._signals,
            next_signals=_with_finals(signals, infos, done),
            action=action,
            previous_action=np.zeros_like(action) if self._previous_action is None else self._previous_action,
            terminated=terminated,
            truncated=truncated,
            env_reward=env_rew,
        )
        total, breakdown = self.reward(transition)
        if not valid.all():
            total, breakdown = np.where(valid, total, 0.0), np.where(valid, breakdown, 0.0)
            action = np.where(valid[:, None], action, transition.previous_action)
        self.log.add(breakdown, done, int(valid.sum()))
        self._signals = signals
        self._previous_action = np.where(done[:, None], 0.0, action) if done.any() else action
        infos["reward_terms"] = dict(zip(self.reward.names, breakdown, strict=True))
        infos["env_reward"] = env_rew
        return obs, self.scale * total, terminated, truncated, infos

    def state_dict(self) -> dict[str, Any]:
        """State of this wrapper, without the environment's."""
        return {"previous_action": self._previous_action, "log": self.log.state_dict()}

    def load_state_dict(self, state: dict[str, Any], infos: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; infos are those of the restored environment."""
        self._previous_action = None if state["previous_action"] is None else np.array(state["previous_action"])
        self._signals = self._used(infos)
        self.log.load_state_dict(state["log"])

    def _used(self, infos: dict[str, Any]) -> Signals:
        if not self.reward.signals:
            return {}
        return {name: infos["signals"][name] for name in self.reward.signals}


def _with_finals(signals: Signals, infos: dict[str, Any], done: np.ndarray) -> Signals:
    if "final_info" not in infos or not signals:
        return signals
    finals = infos["final_info"]["signals"]
    return {name: np.where(done[:, None], finals[name], value) for name, value in signals.items()}


def _flat(actions: Any) -> np.ndarray:
    if isinstance(actions, dict):
        return np.concatenate([_flat(part) for part in actions.values()], axis=1)
    return np.asarray(actions, dtype=np.float32).reshape(len(actions), -1)
