"""UnityGymEnv: gymnasium's single-agent interface over an ML-Agents environment with one agent."""

from typing import Any

import gymnasium as gym
import numpy as np
from mlagents_envs.base_env import BaseEnv

from unity_env.spaces import Layouts
from unity_env.vector_env import UnityVectorEnv


class UnityGymEnv(gym.Env[Any, Any]):
    """One agent of an ML-Agents environment.

    `info["signals"]` maps signal name -> (k,). An ML-Agents agent restarts itself when its episode ends, so
    `reset` after an end goes on with the episode that has already begun; with a seed, or in the middle of an
    episode, it restarts the scene.

    Args:
        env: any `BaseEnv` with one agent under the behavior.
        behavior: behavior name; may be left out where the environment has just one.
        layouts: sensor name -> component names, for space bounds and named signals.

    Raises:
        ValueError: more than one agent.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # gymnasium's own attribute

    def __init__(self, env: BaseEnv, behavior: str | None = None, layouts: Layouts | None = None) -> None:
        self._rows = UnityVectorEnv(env, behavior, layouts)
        if self._rows.num_envs != 1:
            raise ValueError(f"UnityGymEnv is for one agent, {self._rows.behavior} has {self._rows.num_envs}")
        self.observation_space = self._rows.single_observation_space
        self.action_space = self._rows.single_action_space
        self._started: tuple[Any, dict[str, Any]] | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the class."""
        super().reset(seed=seed, options=options)
        if seed is not None or self._started is None:
            self._started = self._rows.reset(seed=seed, options=options)
        (obs, infos), self._started = self._started, None
        while not infos["requesting"][0]:  # ML-Agents may send an end without the next episode's first observation
            obs, *_, infos = self._rows.step(self._rows.action_space.sample())
        return _only_row(obs), _info(infos)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one action of `action_space`; at an end, the observation and signals are the final ones."""
        obs, rew, terminated, truncated, infos = self._rows.step(_as_row(action))
        if terminated[0] or truncated[0]:
            self._started = (obs, infos)
            obs, infos = infos["final_obs"], infos.get("final_info", {})
        return _only_row(obs), float(rew[0]), bool(terminated[0]), bool(truncated[0]), _info(infos)

    def close(self) -> None:
        """Close the environment below."""
        self._rows.close()


def _as_row(action: Any) -> Any:
    if isinstance(action, dict):
        return {name: np.asarray(part)[None] for name, part in action.items()}
    return np.asarray(action)[None]


def _only_row(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {name: part[0].copy() for name, part in batch.items()}
    return batch[0].copy()


def _info(infos: dict[str, Any]) -> dict[str, Any]:
    return {"signals": {name: value[0].copy() for name, value in infos.get("signals", {}).items()}}
