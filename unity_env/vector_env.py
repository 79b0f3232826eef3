"""UnityVectorEnv: gymnasium's vector interface over any ML-Agents environment, a row per agent."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from mlagents_envs.base_env import BaseEnv, DecisionSteps, TerminalSteps

from unity_env.spaces import (
    SIGNALS_SENSOR,
    Layouts,
    SensorLayout,
    action_space,
    action_tuple,
    observation_space,
    observed_sensors,
    signals_index,
)

Array = np.ndarray


@runtime_checkable
class Seedable(Protocol):
    """An environment that can be seeded again while it runs; a Unity player is seeded when it starts."""

    def reseed(self, seed: int) -> None:
        """Let the episodes after the next reset depend on `seed` alone."""


@runtime_checkable
class Restorable(Protocol):
    """An environment whose state can be saved; a Unity player's cannot."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where the state was taken."""


class UnityVectorEnv(VectorEnv[Any, Any, Array]):
    """One behavior of an ML-Agents environment; row = agent.

    Observations are (N, ...) arrays (a dict of them, by sensor name, where the policy sees several sensors).
    Autoreset is SAME_STEP: when an episode ends, the returned observation is the first of the next episode
    and infos carries what ended:

    - `infos["signals"]`: signal name -> (N, k), the current signals, where the environment has them;
    - `infos["final_obs"]`, `infos["final_info"]["signals"]`: the same of the ended episodes, in full size,
      meaningful in the rows where `infos["_final_obs"]` is True; absent in steps in which none ended;
    - `infos["valid"]`: (N,) bool, False in rows whose agent reported nothing in this step: no transition;
    - `infos["action_mask"]`: ML-Agents' masks per branch, True = unavailable, where the environment sends them.

    `terminated` is an end of the task; `truncated` is ML-Agents' `interrupted` (a time limit).

    Args:
        env: any `mlagents_envs.base_env.BaseEnv`.
        behavior: behavior name; may be left out where the environment has just one.
        layouts: sensor name -> component names, for space bounds and named signals.

    Raises:
        ValueError: unknown or ambiguous behavior, or a layout that does not fit the sensors.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  # gymnasium's own attribute

    def __init__(self, env: BaseEnv, behavior: str | None = None, layouts: Layouts | None = None) -> None:
        self.env = env
        self._sensors: list[Array] = []
        self._pending_reward: Array = np.zeros(0, dtype=np.float32)
        if not env.behavior_specs:
            env.reset()
        self.behavior = _choose_behavior(env, behavior)
        self.behavior_spec = env.behavior_specs[self.behavior]
        self.layouts: Layouts = layouts or {}
        self._observed = observed_sensors(self.behavior_spec)
        self._signals_at = signals_index(self.behavior_spec)
        self._signal_layout = self._check_signals()
        self.single_observation_space = observation_space(self.behavior_spec, self.layouts)
        self.single_action_space = action_space(self.behavior_spec.action_spec)
        self._restart()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode in every row.

        A seed reaches the environment only if it is `Seedable`: a Unity player takes its seed when it starts.
        """
        super().reset(seed=seed, options=options)
        if seed is not None and isinstance(self.env, Seedable):
            self.env.reseed(seed)
        self._restart()
        return self._observation(self._sensors), self._infos(np.ones(self.num_envs, dtype=bool))

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Send an action for every row, advance until agents report, return gymnasium's five values."""
        self._send(actions)
        decisions, terminals = self._advance()
        self._sensors = [sensor.copy() for sensor in self._sensors]
        rew = self._pending_reward
        self._pending_reward = np.zeros(self.num_envs, dtype=np.float32)
        terminated = np.zeros(self.num_envs, dtype=bool)
        truncated = np.zeros(self.num_envs, dtype=bool)
        valid = np.zeros(self.num_envs, dtype=bool)
        final: dict[str, Any] = {}
        if len(terminals):
            rows = self._rows(terminals.agent_id)
            rew[rows] += terminals.reward
            truncated[rows] = terminals.interrupted
            terminated[rows] = ~terminals.interrupted
            valid[rows] = True
            final = self._final_infos(rows, terminals)
        rows = self._rows(decisions.agent_id)
        ended = (terminated | truncated)[rows]
        rew[rows] += np.where(ended, np.float32(0), decisions.reward)
        self._pending_reward[rows] += np.where(ended, decisions.reward, np.float32(0))
        valid[rows] = True
        self._store(decisions, rows)
        return self._observation(self._sensors), rew, terminated, truncated, self._infos(valid) | final

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002  # gymnasium's signature
        """Close the environment below."""
        self.env.close()

    def state_dict(self) -> dict[str, Any] | None:
        """State of the environment and of this wrapper; None where the environment cannot tell its state."""
        if not isinstance(self.env, Restorable):
            return None
        return {"env": self.env.state_dict(), "pending_reward": self._pending_reward.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Continue where `state_dict` was taken; returns that moment's observations and infos.

        Raises:
            TypeError: the environment is not `Restorable`.
        """
        if not isinstance(self.env, Restorable):
            raise TypeError(f"{type(self.env).__name__} cannot restore a state")
        self.env.load_state_dict(state["env"])
        base: BaseEnv = self.env
        decisions, _ = base.get_steps(self.behavior)
        self._assign_rows(decisions)
        self._pending_reward = np.array(state["pending_reward"])
        return self._observation(self._sensors), self._infos(np.ones(self.num_envs, dtype=bool))

    def _restart(self) -> None:
        self.env.reset()
        decisions, _ = self.env.get_steps(self.behavior)
        while len(decisions) == 0:
            self.env.step()
            decisions, _ = self.env.get_steps(self.behavior)
        self._assign_rows(decisions)
        self._pending_reward = np.zeros(self.num_envs, dtype=np.float32)

    def _assign_rows(self, decisions: DecisionSteps) -> None:
        self.num_envs = len(decisions)
        self._agent_ids = np.array(decisions.agent_id)
        self._row_of = {int(agent): row for row, agent in enumerate(self._agent_ids)}
        self._sensors = [np.empty_like(sensor) for sensor in decisions.obs]
        self._store(decisions, slice(None))

    def _store(self, decisions: DecisionSteps, rows: Array | slice) -> None:
        for mine, sensor in zip(self._sensors, decisions.obs, strict=True):
            mine[rows] = sensor
        self._requesting = rows
        self._masks = decisions.action_mask

    def _rows(self, agent_ids: Array) -> Array | slice:
        if np.array_equal(agent_ids, self._agent_ids):
            return slice(None)
        return np.array([self._row_of[int(agent)] for agent in agent_ids], dtype=np.int64)

    def _send(self, actions: Any) -> None:
        wanted = action_tuple(self.behavior_spec.action_spec, actions)
        wanted._continuous = wanted.continuous[self._requesting]
        wanted._discrete = wanted.discrete[self._requesting]
        self.env.set_actions(self.behavior, wanted)

    def _advance(self) -> tuple[DecisionSteps, TerminalSteps]:
        while True:
            self.env.step()
            decisions, terminals = self.env.get_steps(self.behavior)
            if len(decisions) or len(terminals):
                return decisions, terminals

    def _observation(self, sensors: list[Array]) -> Any:
        if len(self._observed) == 1:
            return sensors[next(iter(self._observed.values()))]
        return {name: sensors[index] for name, index in self._observed.items()}

    def _infos(self, valid: Array) -> dict[str, Any]:
        infos: dict[str, Any] = {"valid": valid}
        if self._signal_layout is not None and self._signals_at is not None:
            infos["signals"] = self._signal_layout.split(self._sensors[self._signals_at])
        if self._masks is not None:
            infos["action_mask"] = self._masks
        return infos

    def _final_infos(self, rows: Array | slice, terminals: TerminalSteps) -> dict[str, Any]:
        full = [np.zeros_like(sensor) for sensor in self._sensors]
        for mine, sensor in zip(full, terminals.obs, strict=True):
            mine[rows] = sensor
        mask = np.zeros(self.num_envs, dtype=bool)
        mask[rows] = True
        final: dict[str, Any] = {"final_obs": self._observation(full), "_final_obs": mask, "_final_info": mask.copy()}
        if self._signal_layout is not None and self._signals_at is not None:
            final["final_info"] = {"signals": self._signal_layout.split(full[self._signals_at])}
        return final

    def _check_signals(self) -> SensorLayout | None:
        layout = self.layouts.get(SIGNALS_SENSOR)
        if layout is None or self._signals_at is None:
            return None
        sent = tuple(self.behavior_spec.observation_specs[self._signals_at].shape)
        if sent != (layout.size,):
            raise ValueError(f"sensor signals: its components have {layout.size} values, the environment sends {sent}")
        return layout


def _choose_behavior(env: BaseEnv, behavior: str | None) -> str:
    names = list(env.behavior_specs)
    if behavior is None and len(names) == 1:
        return str(names[0])
    if behavior is None:
        raise ValueError(f"name one behavior of {', '.join(names)}")
    if behavior not in names:
        raise ValueError(f"behavior {behavior}: the environment has {', '.join(names)}")
    return behavior


LayoutsByBehavior = Mapping[str, Layouts]
