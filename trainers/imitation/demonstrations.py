"""Demonstrations as a learner needs them: checked against its behavior, in tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.observation import observation_of
from trainers.settings import BehaviorSettings
from trainers.yaml_file import Document
from unity_env.agent_rows import AgentRows
from unity_env.demonstration import (
    DemonstrationError,
    Demonstrations,
    describe_actions,
    read_demonstrations,
)
from unity_env.spaces import observed_sensors


class Shown(NamedTuple):
    """M decisions that are to be imitated.

    Attributes:
        obs: what was seen, (M, D).
        act: what was done, (M, A): numbers in [-1, 1], then the index of each branch's choice.
    """

    obs: Tensor
    act: Tensor


def load_shown(behavior: BehaviorSettings, rows: AgentRows, name: str, document: Document) -> dict[str, Shown]:
    """Return demo_path -> the demonstrations there, for every demo_path of a behavior's settings.

    Args:
        behavior: its settings.
        rows: its agents.
        name: of the behavior.
        document: the run's YAML, for messages.

    Raises:
        UserError: a file that is missing, damaged or of another behavior, with the line of its demo_path.
    """
    shown: dict[str, Shown] = {}
    for at, path in _demo_paths(behavior).items():
        try:
            shown[path] = _fitting(read_demonstrations(Path(path)), rows)
        except DemonstrationError as error:
            raise document.error(("behaviors", name, *at, "demo_path"), str(error)) from None
    return shown


def _demo_paths(behavior: BehaviorSettings) -> Mapping[tuple[str, ...], str]:
    """Return where demo_paths stand in a behavior's settings, and what they are."""
    wanted = {
        ("behavioral_cloning",): behavior.behavioral_cloning,
        ("reward_signals", "gail"): behavior.reward_signals.gail,
    }
    return {at: settings.demo_path for at, settings in wanted.items() if settings is not None}


def _fitting(demos: Demonstrations, rows: AgentRows) -> Shown:
    """Return what the behavior can learn from.

    Raises:
        DemonstrationError: it sees or decides something else.
    """
    recorded, wanted = demos.spec, rows.spec
    seen, sees = (
        [tuple(of.observation_specs[index].shape) for index in observed_sensors(of).values()]
        for of in (recorded, wanted)
    )
    done, does = recorded.action_spec, wanted.action_spec
    if seen != sees:
        raise DemonstrationError(f"{demos.source}: shows observations {_sizes(seen)}, {rows.name} has {_sizes(sees)}")
    if (done.continuous_size, tuple(done.discrete_branches)) != (does.continuous_size, tuple(does.discrete_branches)):
        raise DemonstrationError(
            f"{demos.source}: shows {describe_actions(done)}, {rows.name} has {describe_actions(does)}"
        )
    seen_obs = {name: demos.obs[index] for name, index in observed_sensors(recorded).items()}
    sensors = dict(zip((sensor.name for sensor in observation_of(rows).sensors), seen_obs.values(), strict=True))
    numbers, choices = (torch.from_numpy(part) for part in (demos.action.continuous, demos.action.discrete))
    obs = torch.from_numpy(observation_of(rows).rows(sensors, {}))
    return Shown(obs, torch.cat((numbers, choices.float()), dim=-1))


def _sizes(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(" x ".join(map(str, shape)) for shape in shapes) or "of nothing"
