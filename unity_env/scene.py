"""UnityScene: all behaviors of one ML-Agents environment at once."""

from collections.abc import Mapping
from typing import Any

from mlagents_envs.base_env import BaseEnv

from unity_env.agent_rows import AgentRows, StepResult
from unity_env.spaces import Layouts
from unity_env.vector_env import Seedable


class UnityScene:
    """Steps a scene once and tells each behavior's part of it, as `UnityVectorEnv` would.

    A behavior is known from the first message of its first agent on. One that appears late joins the results
    of `step` then: its first entry has no valid rows, and its `requesting` rows want an action from the next
    step on.

    Args:
        env: any `BaseEnv`.
        layouts: behavior name, without `?team=` -> sensor name -> component names.
        rows: behavior name, without `?team=` -> number of rows; where left out, the agents of its first message.
    """

    def __init__(
        self,
        env: BaseEnv,
        layouts: Mapping[str, Layouts] | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        self.env = env
        self._layouts, self._rows = layouts or {}, rows or {}
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

    def _welcome(self) -> list[str]:
        """Make rows for behaviors whose agents have appeared; returns their names."""
        unknown = [name for name in self.env.behavior_specs if name not in self.behaviors]
        new = [name for name in unknown if len(self.env.get_steps(name)[0])]
        for name in new:
            plain = name.partition("?")[0]
            self.behaviors[name] = AgentRows(
                name, self.env.behavior_specs[name], self._layouts.get(plain, {}), self._rows.get(plain)
            )
        return new
