"""UnityVectorEnv: gymnasium's vector interface over any ML-Agents environment, a row per agent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from mlagents_envs.base_env import BaseEnv, DecisionSteps, TerminalSteps
from mlagents_envs.exception import UnityTimeOutException

from unity_env.abilities import PassesOn, Restorable, Seedable
from unity_env.agent_rows import AgentRows, StepResult
from unity_env.settings import SignalSlice
from unity_env.spaces import Layouts

Array = np.ndarray
APPEAR_STEPS = 100
SILENT_STEPS = 10_000  # 200 s of Unity's physics: longer than any respawn


class UnityVectorEnv(PassesOn, VectorEnv[Any, Any, Array]):
    """One behavior of an ML-Agents environment; row = agent.

    Observations are (N, ...) arrays (a dict of them, by sensor name, where the policy sees several sensors).
    Autoreset is SAME_STEP: when an episode ends, the returned observation is the first of the next episode
    and infos carries what ended:

    - `infos["signals"]`: signal name -> (N, k), the current signals, where the environment has them;
    - `infos["final_obs"]`, `infos["final_info"]["signals"]`: the same of the ended episodes, in full size,
      meaningful in the rows where `infos["_final_obs"]` is True; absent in steps in which none ended;
    - `infos["valid"]`, `infos["requesting"]`, `infos["action"]`: see `AgentRows`; agents that report in every
      step, such as the embedded simulation's, are valid and requesting in all of them;
    - `infos["action_mask"]`: ML-Agents' masks per branch, True = unavailable, where the environment sends them.

    `terminated` is an end of the task; `truncated` is ML-Agents' `interrupted` (a time limit).

    Args:
        env: any `mlagents_envs.base_env.BaseEnv`.
        behavior: behavior name, with or without `?team=`; may be left out where the environment has just one.
        layouts: sensor name -> component names, for space bounds and named signals.
        rows: number of rows; None takes the number of agents in the first message.
        signals: further signals, as parts of the observed sensors.

    Raises:
        ValueError: unknown or ambiguous behavior, or a layout or signal that does not fit the sensors.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012  # gymnasium's own attribute

    def __init__(
        self,
        env: BaseEnv,
        behavior: str | None = None,
        layouts: Layouts | None = None,
        rows: int | None = None,
        signals: Mapping[str, SignalSlice] | None = None,
    ) -> None:
        self.env = env
        self.behavior = find_behavior(env, behavior)
        self.layouts: Layouts = layouts or {}
        self.agents = AgentRows(self.behavior, env.behavior_specs[self.behavior], self.layouts, rows, signals)
        self.agents.begin(self._first_decisions())
        self.num_envs = self.agents.num_rows
        self.single_observation_space = self.agents.single_observation_space
        self.single_action_space = self.agents.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode in every row.

        A seed reaches the environment only if it is `Seedable`: a Unity player takes its seed when it starts.
        """
        super().reset(seed=seed, options=options)
        if seed is not None and isinstance(self.env, Seedable):
            self.env.reseed(seed)
        return self.agents.begin(self._first_decisions())

    def step(self, actions: Any) -> StepResult:
        """Send the requested actions, advance until agents report, return gymnasium's five values.

        Raises:
            UnityTimeOutException: the scene goes on, but no agent of the behavior reports in 10,000 steps.
        """
        self.env.set_actions(self.behavior, self.agents.send(actions))
        self.env.step()
        return self.agents.receive(*self._next_reports())

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002  # gymnasium's signature
        """Close the environment below."""
        self.env.close()

    def state_dict(self) -> dict[str, Any] | None:
        """State of the environment and of its rows; None where the environment cannot tell its state."""
        if not isinstance(self.env, Restorable):
            return None
        return {"env": self.env.state_dict(), "agents": self.agents.state_dict()}

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
        result = self.agents.begin(decisions)
        self.agents.load_state_dict(state["agents"])
        return result

    def _first_decisions(self) -> DecisionSteps:
        self.env.reset()
        decisions, _ = self._next_reports()
        while len(decisions) == 0:
            self.env.step()
            decisions, _ = self._next_reports()
        return decisions

    def _next_reports(self) -> tuple[DecisionSteps, TerminalSteps]:
        """Return what the agents report in the current step, or in the first of the next ones in which any does."""
        for _ in range(SILENT_STEPS):
            decisions, terminals = self.env.get_steps(self.behavior)
            if len(decisions) or len(terminals):
                return decisions, terminals
            self.env.step()
        raise UnityTimeOutException(
            f"behavior {self.behavior}: no agent has reported for {SILENT_STEPS:,} steps of the scene; "
            "have all been removed or disabled?"
        )


def answers_to(full_name: str, wanted: str) -> bool:
    """Tell whether a behavior is meant by a name, which may leave out `?team=`."""
    return wanted in (full_name, full_name.partition("?")[0])


def find_behavior(env: BaseEnv, wanted: str | None) -> str:
    """Return the environment's full name of a behavior, stepping until it appears.

    Args:
        env: a behavior is known from its first agent's first message on, which may come late.
        wanted: with or without `?team=`; None where the environment has just one.

    Raises:
        ValueError: it does not appear within 100 steps, or the name is not unique.
    """
    if not env.behavior_specs:
        env.reset()
    for _ in range(APPEAR_STEPS):
        found: list[str] = [name for name in env.behavior_specs if wanted is None or answers_to(name, wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"behavior {wanted or ''}: name one of {', '.join(found)}")
        env.step()
    known = ", ".join(env.behavior_specs) or "none"
    raise ValueError(f"behavior {wanted}: the environment has {known}")
