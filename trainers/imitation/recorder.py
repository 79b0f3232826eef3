"""Writes .demo files: what policies do in whole episodes, for this project and for ML-Agents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

from trainers.errors import UserError
from trainers.files import write_atomically
from trainers.record import RecordedScene, opened, play_episodes
from unity_env.agent_rows import StepResult
from unity_env.demonstration import Moment, encode_demonstrations
from unity_env.spaces import action_tuple

Array = np.ndarray


@dataclass(frozen=True)
class Written:
    """What has been recorded.

    Attributes:
        behavior: whose.
        episodes: how many.
        decisions: in all of them.
        solved: how many episodes ended in success; None where none is signalled.
    """

    behavior: str
    episodes: int
    decisions: int
    solved: int | None


class _Decision(NamedTuple):
    """What was seen, (size,) per sensor; what was done, (1, ...); what came of it."""

    obs: list[Array]
    action: ActionTuple
    rew: float
    final_obs: list[Array]
    interrupted: bool
    solved: bool | None


def record_demonstrations(
    target: str,
    path: Path,
    policy: str,
    episodes: int,
    seed: int,
    behavior: str | None = None,
    results_dir: Path | None = None,
) -> Written:
    """Record whole episodes of one behavior into a .demo file; see `trainers.record.record`.

    Raises:
        UserError: there is no such target, policy or behavior, or the behavior sees images.
        RunError: the environment failed.
        OSError: the file cannot be written.
    """
    if policy == "keyboard":
        raise UserError(
            "--policy keyboard: not supported; a person records in Unity, with its Demonstration Recorder: "
            "such .demo files are read"
        )
    with opened(target, policy, episodes, seed, behavior, results_dir) as scene:
        spec = scene.agents.spec
        if any(len(sensor.shape) != 1 for sensor in spec.observation_specs):
            raise UserError(f"{target}: {scene.name} sees more than vectors; Unity's Demonstration Recorder records it")
        shown = play_episodes(scene, episodes, seed, _looker(scene))
    content = encode_demonstrations(scene.name, spec, [_moments(episode, spec) for episode in shown])
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    solved = [episode[-1].solved for episode in shown]
    return Written(scene.name, len(shown), sum(map(len, shown)), None if None in solved else sum(solved))


def _looker(scene: RecordedScene) -> Any:
    """Return what `play_episodes` keeps of a row's transition."""
    agents = scene.agents

    def look(row: int, before: Sequence[Array], result: StepResult) -> _Decision:
        _, rew, terminated, truncated, infos = result
        ended = bool(terminated[row] or truncated[row])
        action = action_tuple(agents.spec.action_spec, _of_row(infos["action"], row))
        return _Decision(
            [sensor[row].copy() for sensor in before],
            action,
            float(rew[row]),
            [sensor[row].copy() for sensor in agents.final_sensors] if ended else [],
            bool(truncated[row]),
            _solved(infos, row) if ended else None,
        )

    return look


def _of_row(action: Any, row: int) -> Any:
    if isinstance(action, Mapping):
        return {name: part[row : row + 1].copy() for name, part in action.items()}
    return action[row : row + 1].copy()


def _solved(infos: Mapping[str, Any], row: int) -> bool | None:
    signals = infos.get("final_info", {}).get("signals", {})
    return bool(signals["success"][row, 0] > 0) if "success" in signals else None


def _moments(episode: Sequence[_Decision], spec: BehaviorSpec) -> list[Moment]:
    """Return an episode's messages: a reward comes with the next one."""
    rewards = [0.0, *(decision.rew for decision in episode)]
    last = episode[-1]
    asked = [Moment(of.obs, of.action, rew) for of, rew in zip(episode, rewards, strict=False)]
    end = Moment(last.final_obs, spec.action_spec.empty_action(1), rewards[-1], True, last.interrupted)
    return [*asked, end]
