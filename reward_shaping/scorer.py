"""Scores the transitions of a vector environment's rows, step by step."""

from collections import deque
from collections.abc import Collection
from typing import Any

import numpy as np

from reward_shaping.reward import Reward
from reward_shaping.term import Signals, Transition
from reward_shaping.term_log import TermLog

Array = np.ndarray

LATEST_EPISODES = 100  # of which the success decides weights that follow success


class RewardScorer:
    """Remembers what a transition began with, scores it when it ends, and logs the terms.

    Args:
        reward: the reward function.
        rows: N.
        scale: factor on the total (ML-Agents' `strength`); the breakdown is logged without it.
        beside: names of signals that its transitions have beside those that the reward reads.

    Attributes:
        log: per-term sums.
        step: transitions scored, which schedules of weights follow.
    """

    def __init__(self, reward: Reward, rows: int, scale: float = 1.0, beside: Collection[str] = ()) -> None:
        self.reward = reward
        self._names = reward.signals.union(beside)
        self.scale = scale
        self.log = TermLog(reward.labels, rows, reward.counted)
        self.step = 0
        self._successes = deque[float](maxlen=LATEST_EPISODES)
        self._moments = [(0, 0.0), (0, 0.0)]
        self._signals: Signals = {}
        self._previous_action: Array | None = None

    def begin(self, infos: dict[str, Any]) -> None:
        """Forget the episodes under way; infos are those of a reset."""
        self._signals = self._used(infos)
        self._previous_action = None
        self.log.restart_episodes()

    def keep(self) -> None:
        """Copy what the next transition begins with, so that environment and policy may use their arrays again."""
        self._signals = {name: np.array(self._signals[name]) for name in self.reward.signals_before}
        if self._previous_action is not None:
            self._previous_action = self._previous_action.copy()

    def score(self, actions: Any, env_rew: Array, terminated: Array, truncated: Array, infos: dict[str, Any]) -> Array:
        """Return the reward of a step, (N,), and add the breakdown to its infos.

        Adds `infos["reward_terms"]` (term name -> (N,), weighted, probes included), `infos["costs"]` (cost name ->
        (N,)), `infos["transition"]`, what they were computed from, and `infos["env_reward"]`.

        Args:
            actions: what was sent, where infos do not tell what led to the transition.
            env_rew: the environment's own reward, (N,).
            terminated: (N,) bool.
            truncated: (N,) bool.
            infos: of the step, with SAME_STEP autoreset.
        """
        action = _flat(infos.get("action", actions))
        done = terminated | truncated
        valid = infos.get("valid")
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
        transitions = len(done) if valid is None else int(np.count_nonzero(valid))
        if valid is not None and transitions < len(done):
            total, breakdown = np.where(valid, total, 0.0), np.where(valid, breakdown, 0.0)
            action = np.where(valid[:, None], action, transition.previous_action)
        self.log.add(breakdown, done, transitions)
        self.step += transitions
        if self.reward.is_scheduled:
            self._advance_weights(infos, done)
        self._signals = signals
        self._previous_action = np.where(done[:, None], 0.0, action) if done.any() else action
        infos["reward_terms"] = dict(zip(self.reward.names, breakdown, strict=True))
        infos["costs"] = self._costs(transition, valid)
        infos["transition"] = transition
        infos["env_reward"] = env_rew
        scaled: Array = self.scale * total
        return scaled

    def continue_from(self, step: int, state: dict[str, Any]) -> None:
        """Let weights be those of a training that has come to `step`, without the episodes under way in its state."""
        self.step = step
        self._successes.extend(state["successes"])
        self._moments = [(step, self._success)] * 2
        self.reward.restart(*self._moments[1])

    def summary(self) -> dict[str, float]:
        """Return what `TermLog.summary` does and, as `reward_weight/<term>`, what the terms are multiplied by now."""
        weights = zip(self.reward.labels, self.reward.weights.tolist(), strict=True)
        return self.log.summary() | {f"reward_weight/{name}": weight for name, weight in weights}

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on."""
        return {
            "content_hash": self.reward.content_hash,
            "previous_action": self._previous_action,
            "log": self.log.state_dict(),
            "step": self.step,
            "successes": list(self._successes),
            "moments": list(self._moments),
        }

    def load_state_dict(self, state: dict[str, Any], infos: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; infos are those of the restored environment.

        What another reward has logged is dropped: its terms were others.
        """
        self._previous_action = None if state["previous_action"] is None else np.array(state["previous_action"])
        self._signals = self._used(infos)
        if state["content_hash"] == self.reward.content_hash:
            self.log.load_state_dict(state["log"])
        self.step = state["step"]
        self._successes.extend(state["successes"])
        self._moments = [(step, success) for step, success in state["moments"]]
        self.reward.restart(*self._moments[0])
        self.reward.advance(*self._moments[1])

    @property
    def _success(self) -> float:
        return sum(self._successes) / len(self._successes) if self._successes else 0.0

    def _advance_weights(self, infos: dict[str, Any], done: Array) -> None:
        if done.any():
            finals = infos.get("final_info", {}).get("signals", {})
            self._successes.extend(finals["success"][done, 0].tolist() if "success" in finals else ())
        self._moments = [self._moments[1], (self.step, self._success)]
        self.reward.advance(*self._moments[1])

    def _costs(self, transition: Transition, valid: Array | None) -> dict[str, Array]:
        if not self.reward.costs:
            return {}
        values = self.reward.cost_of(transition)
        if valid is not None:
            values = np.where(valid, values, 0.0)
        return {cost.name: value for cost, value in zip(self.reward.costs, values, strict=True)}

    def _used(self, infos: dict[str, Any]) -> Signals:
        return {name: infos["signals"][name] for name in self._names} if self._names else {}


def _with_finals(signals: Signals, infos: dict[str, Any], done: Array) -> Signals:
    if "final_info" not in infos or not signals:
        return signals
    finals = infos["final_info"]["signals"]
    return {name: np.where(done[:, None], finals[name], value) for name, value in signals.items()}


def _flat(actions: Any) -> Array:
    if isinstance(actions, dict):
        return np.concatenate([_flat(part) for part in actions.values()], axis=1)
    return np.asarray(actions, dtype=np.float32).reshape(len(actions), -1)
