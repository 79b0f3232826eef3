"""UnityScene: all behaviors of one ML-Agents environment at once."""

from collections.abc import Collection, Mapping
from typing import Any

from mlagents_envs.base_env import BaseEnv

from unity_env.abilities import PassesOn, Restorable, Seedable
from unity_env.agent_rows import AgentRows, StepResult
from unity_env.settings import SignalSlice
from unity_env.spaces import Layouts
from unity_env.vector_env import answers_to


class UnityScene(PassesOn):
    """Steps a scene once and tells each behavior's part of it, as `UnityVectorEnv` would.

    A behavior is known from the first message of its first agent on. One that appears late joins the results
    of `step` then: its first entry has no valid rows, and its `requesting` rows want an action from the next
    step on.

    Args:
        env: any `BaseEnv`.
        layouts: behavior name, without `?team=` -> sensor name -> component names.
        rows: behavior name, without `?team=` -> number of rows; where left out, the agents of its first message.
        signals: behavior name, without `?team=` -> further signals, as parts of the observed sensors.
        wanted: names of the behaviors to tell of, with or without `?team=`; the others get zero actions. None
            tells of all.

    Attributes:
        behaviors: full name -> the rows of a behavior that has appeared.
    """

    def __init__(
        self,
        env: BaseEnv,
        layouts: Mapping[str, Layouts] | None = None,
        rows: Mapping[str, int] | None = None,
        signals: Mapping[str, Mapping[str, SignalSlice]] | None = None,
        wanted: Collection[str] | None = None,
    ) -> None:
        self.env = env
        self._layouts, self._rows, self._signals = layouts or {}, rows or {}, signals or {}
        self._wanted = wanted
        self.behaviors: dict[str, AgentRows] = {}

    def reset(self, *, seed: int | None = None) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Start new episodes everywhere; returns full behavior name -> (observations, infos)."""
        if seed is not None and isinstance(self.env, Seedable):
            self.env.reseed(seed)
        self.env.reset()
        self._welcome()
        return {name: rows.begin(self.env.get_steps(name)[0]) for name, rows in self.behaviors.items()}

    def step(self, actions: Mapping[str, Any]) -> dict[str, StepResult]:
        """Send every behavior's actions, advance once, return gymnasium's five values for each behavior.

        Args:
            actions: full behavior name -> actions, (N, ...), for every known behavior.
        """
        for name, rows in self.behaviors.items():
            self.env.set_actions(name, rows.send(actions[name]))
        self.env.step()
        new = self._welcome()
        for name in new:
            self.behaviors[name].begin(self.env.get_steps(name)[0])
        return {
            name: rows.now() if name in new else rows.receive(*self.env.get_steps(name))
            for name, rows in self.behaviors.items()
        }

    def close(self) -> None:
        """Close the environment below."""
        self.env.close()

    def state_dict(self) -> dict[str, Any] | None:
        """State of the environment and of all rows; None where the environment cannot tell its state."""
        if not isinstance(self.env, Restorable):
            return None
        rows = {name: rows.state_dict() for name, rows in self.behaviors.items()}
        return {"env": self.env.state_dict(), "agents": rows}

    def load_state_dict(self, state: dict[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Continue where `state_dict` was taken; returns that moment's observations and infos.

        Raises:
            TypeError: the environment is not `Restorable`.
        """
        if not isinstance(self.env, Restorable):
            raise TypeError(f"{type(self.env).__name__} cannot restore a state")
        self.env.load_state_dict(state["env"])
        self._welcome()
        base: BaseEnv = self.env
        moment = {name: rows.begin(base.get_steps(name)[0]) for name, rows in self.behaviors.items()}
        for name, rows in self.behaviors.items():
            rows.load_state_dict(state["agents"][name])
        return moment

    def _is_wanted(self, name: str) -> bool:
        return self._wanted is None or any(answers_to(name, wanted) for wanted in self._wanted)

    def _welcome(self) -> list[str]:
        """Make rows for behaviors whose agents have appeared; returns their names."""
        unknown = [name for name in self.env.behavior_specs if name not in self.behaviors and self._is_wanted(name)]
        new = [name for name in unknown if len(self.env.get_steps(name)[0])]
        for name in new:
            plain = name.partition("?")[0]
            self.behaviors[name] = AgentRows(
                name,
                self.env.behavior_specs[name],
                self._layouts.get(plain, {}),
                self._rows.get(plain),
                self._signals.get(plain),
            )
        return new
