"""Writes .demo files: what policies do in whole episodes, for this project and for ML-Agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

from trainers.errors import UserError
from trainers.files import write_atomically
from trainers.imitation.keyboard import Driver, ReadKeys, drive_episodes, driven_role
from trainers.record import FELLOWS, RecordedScene, opened, play_episodes
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
    with opened(target, policy, episodes, seed, behavior, results_dir) as scene:
        _check_vectors(scene, target)
        shown = play_episodes(scene, episodes, seed, _looker(scene))
    return _write(path, scene, shown)


def record_person(
    target: str,
    path: Path,
    episodes: int,
    seed: int,
    behavior: str | None,
    results_dir: Path | None,
    read: ReadKeys,
    stage: Callable[[RecordedScene, Driver], Callable[[bool], None]],
) -> Written:
    """Record whole episodes of one behavior that a person drives; its fellows are driven by their controllers.

    Args:
        target: a task, a config or a run, whose environment it is.
        path: the .demo file to write.
        episodes: how many at most.
        seed: of the first one.
        behavior: which one; may be left out where there is one.
        results_dir: where runs are looked for.
        read: returns the keys pressed since it was called last.
        stage: makes what is called after every step, see `drive_episodes`.

    Raises:
        UserError: there is no such target or behavior, its environment is not embedded, or no episode was driven to
            its end.
        RunError: the environment failed.
        OSError: the file cannot be written.
    """
    with opened(target, FELLOWS, 1, seed, behavior, results_dir) as scene:
        _check_vectors(scene, target)
        driver = Driver(driven_role(scene), read)
        shown = drive_episodes(scene, driver, episodes, seed, _looker(scene), stage(scene, driver))
    if not shown:
        raise UserError(f"{path}: not written: no episode was driven to its end")
    return _write(path, scene, shown)


def _check_vectors(scene: RecordedScene, target: str) -> None:
    if any(len(sensor.shape) != 1 for sensor in scene.agents.spec.observation_specs):
        raise UserError(f"{target}: {scene.name} sees more than vectors; Unity's Demonstration Recorder records it")


def _write(path: Path, scene: RecordedScene, shown: Sequence[Sequence[_Decision]]) -> Written:
    spec = scene.agents.spec
    content = encode_demonstrations(scene.name, spec, [_moments(episode, spec) for episode in shown])
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    solved = [episode[-1].solved for episode in shown]
    return Written(scene.name, len(shown), sum(map(len, shown)), None if None in solved else sum(map(bool, solved)))


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
