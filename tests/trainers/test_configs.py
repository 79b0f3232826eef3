"""The shipped configs: what there is, what the names say, and that each of them starts and learns."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from rich.console import Console

from tests.helpers import cli
from trainers.config import CONFIGS_DIR, load_settings
from trainers.curriculum import Curricula
from trainers.display import Display
from trainers.hyperparameters import TrainerType
from trainers.loop import TrainingLoop
from trainers.roster import Roster
from trainers.run_folder import RunFolder
from trainers.world import make_world
from unity_env.sim.role import all_roles

CONFIGS = {path.stem: path for path in sorted(CONFIGS_DIR.glob("*.yaml"))}
LOADED = {name: load_settings(path)[0] for name, path in CONFIGS.items()}
TRAINERS = get_args(TrainerType)


def trainers_of(name: str) -> set[str]:
    return {behavior.trainer_type for behavior in LOADED[name].behaviors.values()}


@pytest.mark.parametrize("task", all_roles())
def test_every_task_has_configs_of_an_on_policy_and_an_off_policy_trainer(task: str) -> None:
    found: set[str] = set().union(
        *(trainers_of(name) for name in CONFIGS if LOADED[name].env_settings.sim_task == task)
    )
    discrete = any(role.choices for role in all_roles()[task])
    assert {"ppo", "dqn" if discrete else "ddpg"} <= found


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_trainer_has_a_config(trainer: str) -> None:
    assert any(trainer in trainers_of(name) for name in CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_name_says_the_task_then_the_trainer(name: str) -> None:
    task, trainers = LOADED[name].env_settings.sim_task, trainers_of(name)
    assert any(name == f"{task}_{trainer}" or name.startswith(f"{task}_{trainer}_") for trainer in trainers)


SMALL: dict[str, dict[str, Any]] = {
    "reinforce": {"num_episodes": 2},
    "a2c": {"buffer_size": 32},
    "ppo": {"batch_size": 16, "buffer_size": 32, "num_epoch": 1},
}
OFF_POLICY = {"batch_size": 16, "buffer_size": 4096, "buffer_init_steps": 16, "steps_per_update": 32}
LEARNS = {  # what every trainer logs of its updates
    "reinforce": {"losses/policy_loss", "policy/entropy", "policy/grad_norm"},
    "a2c": {
        "losses/policy_loss", "losses/value_loss", "policy/entropy", "policy/grad_norm", "value/explained_variance",
    },
    "ppo": {
        "losses/policy_loss", "losses/value_loss", "policy/entropy", "policy/kl", "policy/clip_fraction",
        "policy/grad_norm", "value/explained_variance",
    },
    "dqn": {"losses/value_loss", "policy/grad_norm", "policy/epsilon"},
    "ddpg": {"losses/policy_loss", "losses/value_loss", "policy/grad_norm", "value/grad_norm"},
    "td3": {"losses/policy_loss", "losses/value_loss", "policy/grad_norm", "value/grad_norm"},
    "sac": {"losses/policy_loss", "losses/value_loss", "policy/grad_norm", "policy/entropy", "policy/entropy_coef"},
}  # fmt: skip
SPLIT = {f"time/{part}_share" for part in ("policy", "simulation", "update", "evaluation", "other")}


class Collected(Display):
    """Keeps the summaries."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.summaries: list[tuple[str, dict[str, float]]] = []

    def summary(self, name: str, step: int, metrics: Any) -> None:
        super().summary(name, step, metrics)
        self.summaries.append((name, dict(metrics)))


def tiny(name: str, demo: Path) -> list[str]:
    """Overrides that let a config's behaviors learn after a few steps of 2 rows, and end."""
    texts = ["env_settings.num_areas=2", "env_settings.sim_threads=1"]
    for behavior, of in LOADED[name].behaviors.items():
        place = f"behaviors.{behavior}"
        sizes = SMALL.get(of.trainer_type, OFF_POLICY)
        texts += [f"{place}.hyperparameters.{key}={value}" for key, value in sizes.items()]
        texts += [f"{place}.max_steps=64", f"{place}.network_settings.hidden_units=8"]
        if of.behavioral_cloning is not None:
            texts.append(f"{place}.behavioral_cloning.demo_path={demo}")
    return texts


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "arm_reach.demo"
    assert cli("record", "arm_reach", "-o", path, "--episodes", 1).code == 0
    return path


@pytest.mark.parametrize(
    "name", [name for name in CONFIGS if "a3c" not in trainers_of(name)]
)  # it has processes: test_a3c
def test_a_config_starts_and_learns_and_logs_what_its_trainer_owes(name: str, demo: Path, tmp_path: Path) -> None:
    settings, document = load_settings(CONFIGS[name], {}, tiny(name, demo))
    folder, display = RunFolder(tmp_path / "r"), Collected()
    world = make_world(settings, document)
    roster = Roster(settings, document, world, folder, display, {})
    folder.prepare(world.rows, keep=False)
    roster.open()
    curricula = Curricula(settings.environment_parameters, {of: rows.num_rows for of, rows in world.rows.items()})
    loop = TrainingLoop(world, roster, settings.evaluation, None, curricula, folder, display)
    loop.start(0)
    loop.run()
    world.close()
    for behavior, of in settings.behaviors.items():
        logged = next(metrics for at, metrics in reversed(display.summaries) if at == behavior)
        common = {"policy/learning_rate", "time/steps_per_second", *SPLIT}
        assert LEARNS[of.trainer_type] | common <= logged.keys()
        assert sum(logged[part] for part in SPLIT) == pytest.approx(1.0)
        assert all(np.isfinite(logged[key]) for key in LEARNS[of.trainer_type] if "explained" not in key)
