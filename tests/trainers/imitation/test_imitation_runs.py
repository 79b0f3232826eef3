"""Recording, and trainings that imitate what was recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import spec_of
from tests.helpers import (
    BEHAVIOR,
    NAME,
    assert_refused,
    checkpoint_of,
    cli,
    difference,
    lines_of,
    make_rows,
    train_tiny,
    write_config,
)
from tests.trainers.intrinsic.test_payment import SMALL, assert_same_policy
from tests.trainers.test_bad_input import line_of
from tests.unity_env.test_demonstration import HYBRID, moments
from trainers.algorithms import ALGORITHMS
from trainers.checkpoint import load_checkpoint
from unity_env.demonstration import encode_demonstrations, read_demonstrations

STEPS = f"{BEHAVIOR}.max_steps"
CLONING, SIGNALS = f"{BEHAVIOR}.behavioral_cloning", f"{BEHAVIOR}.reward_signals"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demos") / "arm.demo"
    outcome = cli("record", "arm_reach", "-o", path, "--episodes", 4)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"demos     {path}  (RobotArm, 4 episodes, ")
    return path


def test_what_was_recorded_happens_again_where_its_actions_are_repeated(tmp_path: Path) -> None:
    path, seed = tmp_path / "one.demo", 123
    assert cli("record", "arm_reach", "-o", path, "--episodes", 1, "--seed", seed).code == 0
    demos = read_demonstrations(path)
    env = make_rows("arm_reach", rows=1)
    obs, infos = env.reset(seed=seed)
    for shown, signals, action in zip(*demos.obs, demos.action.continuous, strict=True):
        np.testing.assert_array_equal(obs[0], shown)
        np.testing.assert_array_equal(np.concatenate([value[0] for value in infos["signals"].values()]), signals)
        obs, _, terminated, truncated, infos = env.step(action[None])
    assert terminated[0] | truncated[0]
    env.close()


def test_the_same_seed_records_the_same_bytes_and_another_policy_others(tmp_path: Path, demo: Path) -> None:
    again, other = tmp_path / "again.demo", tmp_path / "other.demo"
    assert cli("record", "arm_reach", "-o", again, "--episodes", 4).code == 0
    assert cli("record", "arm_reach", "-o", other, "--episodes", 4, "--policy", "random").code == 0
    assert again.read_bytes() == demo.read_bytes()
    assert read_demonstrations(other).episodes == 4
    assert other.read_bytes() != demo.read_bytes()


@pytest.mark.parametrize(
    ("target", "more", "sizes"),
    [("playroom", ["--behavior", "MobileRobot"], (2, 0)), ("mobile_goal_discrete", ["--policy", "random"], (0, 1))],
)
def test_other_robots_can_be_recorded(tmp_path: Path, target: str, more: list[str], sizes: tuple[int, int]) -> None:
    path = tmp_path / "a.demo"
    outcome = cli("record", target, "-o", path, "--episodes", 1, *more)
    assert outcome.code == 0, outcome.err
    action = read_demonstrations(path).action
    assert (action.continuous.shape[1], action.discrete.shape[1]) == sizes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["arm_reach", "-o", "nowhere/a.demo"], "no folder nowhere"),
        (["arm_reach", "-o", "."], r"\.: is a folder; expected the name of a file"),
        (["arm_rech", "-o", "a.demo"], "arm_rech: not a run"),
        (["playroom", "-o", "a.demo"], "--behavior: is missing"),
        (["arm_reach", "-o", "a.demo", "--policy", "best"], "--policy: best is neither random nor"),
    ],
)
def test_what_cannot_be_recorded_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(cli("record", *arguments), says)
    assert not (tmp_path / "a.demo").exists()


def test_imitation_of_strength_0_changes_no_bit_of_the_policy(tmp_path: Path, demo: Path) -> None:
    plain = train_tiny(tmp_path, "plain", {STEPS: 512})
    quiet = {"demo_path": str(demo), "strength": 0.0}
    more = {STEPS: 512, CLONING: quiet, SIGNALS: {"extrinsic": {}, "gail": {**quiet, **SMALL}}}
    probed = train_tiny(tmp_path, "probed", more)
    assert_same_policy(plain, probed)
    line = lines_of(probed / NAME)[0]
    assert line["intrinsic/gail"] > 0
    assert {"losses/gail", "losses/gail_gradient"} <= line.keys()
    assert "losses/cloning" not in line


def test_an_imitating_training_resumes_to_the_bit_and_is_evaluated_without_its_demonstrations(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.demo"
    mine.write_bytes(demo.read_bytes())
    gail = {"demo_path": str(mine), "strength": 0.5, "use_actions": True, "use_vail": True, **SMALL}
    imitating = {
        CLONING: {"demo_path": str(mine), "steps": 900, "batch_size": 32},
        SIGNALS: {"extrinsic": {"strength": 0.0}, "gail": gail},
    }
    whole = train_tiny(tmp_path, "whole", {STEPS: 768, **imitating})
    train_tiny(tmp_path, "halves", {STEPS: 256, **imitating})
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "halves", "--set", f"{STEPS}=768")
    assert outcome.code == 0, outcome.err
    assert "bit-exactly" in outcome.out
    one, other = checkpoint_of(whole), checkpoint_of(tmp_path / "results" / "halves")
    for part in ("algorithm", "env", "episodes", "reward", "best"):
        assert difference(one[part], other[part]) == "", part
    losses = [line["losses/cloning"] for line in lines_of(whole / NAME) if "losses/cloning" in line]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    mine.unlink()
    assert cli("record", "arm_reach", "--policy", "whole", "-o", "theirs.demo", "--episodes", 1).code == 0
    assert_refused(cli("train", "--resume", "--run-id", "whole", "--set", f"{STEPS}=2048"), r"demo_path: .*mine\.demo")


def test_sac_imitates_and_is_curious_and_resumes_to_the_bit(tmp_path: Path, demo: Path) -> None:
    path = str(demo)
    changes = {
        f"{BEHAVIOR}.trainer_type": "sac",
        f"{BEHAVIOR}.hyperparameters": {
            **{"batch_size": 16, "buffer_size": 300, "buffer_init_steps": 64, "steps_per_update": 8},
            "reward_signal_steps_per_update": 12,
        },
        CLONING: {"demo_path": path, "steps": 900},
        SIGNALS: {
            "extrinsic": {"strength": 2.0},
            "curiosity": {"strength": 0.02, **SMALL},
            "gail": {"demo_path": path, "strength": 0.01, "use_actions": True, "use_vail": True, **SMALL},
        },
        STEPS: 384,
    }
    whole = train_tiny(tmp_path, "whole", changes)
    run = train_tiny(tmp_path, "halves", {**changes, STEPS: 200})
    more = ("--run-id", "halves", "--results-dir", run.parent, "--set", f"{STEPS}=384")
    outcome = cli("train", "--resume", *more)
    assert "bit-exactly" in outcome.out, outcome
    one, other = checkpoint_of(whole), checkpoint_of(run)
    for part in ("algorithm", "replay", "env", "episodes", "reward"):
        assert difference(one[part], other[part]) == "", part
    line = lines_of(whole / NAME)[0]
    assert {"losses/gail", "losses/curiosity_forward", "losses/cloning", "value/q_mean/intrinsic/gail"} <= line.keys()
    other_heads = ("--set", f"{SIGNALS}.curiosity.strength=0.0")
    assert_refused(cli("train", "--resume", *more, *other_heads), "heads extrinsic, intrinsic/gail, but the checkpoint")


def test_choices_are_recorded_and_imitated_and_resume_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mobile.demo"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trainers.world.EVALUATION_ROWS", 2)
    recorded = cli("record", "mobile_goal_discrete", "-o", path, "--episodes", 2)
    assert recorded.code == 0, recorded.err
    assert set(np.unique(read_demonstrations(path).action.discrete)) <= set(range(9))
    gail = {"demo_path": str(path), "use_actions": True, **SMALL}
    behavior = {
        "hyperparameters": {"batch_size": 32, "buffer_size": 128, "learning_rate_schedule": "constant"},
        "network_settings": {"hidden_units": 16, "num_layers": 1},
        "behavioral_cloning": {"demo_path": str(path)},
        "reward_signals": {"extrinsic": {}, "gail": gail},
    }
    changes = {
        "env_settings.env_path": "sim:mobile_goal_discrete",
        "behaviors": {"MobileRobot": behavior | {"max_steps": 256, "summary_freq": 128}},
    }
    whole = train_tiny(tmp_path, "whole", changes)
    train_tiny(tmp_path, "halves", changes, "--set", "behaviors.MobileRobot.max_steps=128")
    resumed = cli("train", "--resume", "--run-id", "halves", "--set", "behaviors.MobileRobot.max_steps=256")
    assert "bit-exactly" in resumed.out, resumed
    one, other = (
        load_checkpoint(tmp_path / "results" / run / "MobileRobot" / "checkpoint.pt") for run in ("whole", "halves")
    )
    assert difference(one["algorithm"], other["algorithm"]) == ""
    losses = [line["losses/cloning"] for line in lines_of(whole / "MobileRobot") if "losses/cloning" in line]
    assert losses[-1] < losses[0] < 2.5


def test_demonstrations_that_do_not_fit_are_refused_with_both_sizes(tmp_path: Path, demo: Path) -> None:
    path, other = tmp_path / "other.demo", spec_of(("observation", 3))
    path.write_bytes(encode_demonstrations("A", other, [moments(other, 3, 0)]))
    config = write_config(tmp_path, {CLONING: {"demo_path": str(path)}})
    at = rf"tiny\.yaml:{line_of(config, 'demo_path')}: behaviors\.RobotArm\.behavioral_cloning\.demo_path: "
    assert_refused(cli("train", config), at, r"other\.demo: shows observations 3, RobotArm.* has 27")
    wide = HYBRID._replace(observation_specs=spec_of(("observation", 27)).observation_specs)
    path.write_bytes(encode_demonstrations("A", wide, [moments(wide, 3, 0)]))
    config = write_config(tmp_path, {f"{SIGNALS}.gail": {"demo_path": str(path)}})
    at = rf"tiny\.yaml:{line_of(config, 'demo_path')}: behaviors\.RobotArm\.reward_signals\.gail\.demo_path: "
    assert_refused(cli("train", config), at, "shows 2 continuous and discrete .3, 4. actions, RobotArm.* has 6 cont")
    path.write_bytes(demo.read_bytes()[:-9])
    assert_refused(cli("train", config), at, r"other\.demo: ends inside a message")
    path.unlink()
    assert_refused(cli("train", config), at, r"other\.demo: cannot be read: No such file")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("section", "key", "value", "says"),
    [
        (CLONING, "strength", -1.0, "greater than or equal to 0"),
        (CLONING, "step", 5, "unknown key, did you mean steps"),
        (CLONING, "steps", -1, "greater than or equal to 0"),
        (CLONING, "num_epoch", 0, "greater than 0"),
        (f"{SIGNALS}.gail", "gamma", 1.1, "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_refused_with_their_line(
    tmp_path: Path, section: str, key: str, value: float, says: str
) -> None:
    config = write_config(tmp_path, {section: {"demo_path": "a.demo", key: value}})
    line = line_of(config, f"{key}: {value}")
    assert_refused(cli("train", config), rf"tiny\.yaml:{line}: {section}\.{key}: .*{says}")


def test_a_trainer_that_does_not_clone_says_which_do(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ALGORITHMS["ppo"], "clones", False)
    config = write_config(tmp_path, {CLONING: {"demo_path": str(demo)}})
    at = rf"tiny\.yaml:{line_of(config, 'behavioral_cloning')}: behaviors\.RobotArm\.behavioral_cloning: "
    assert_refused(cli("train", config), at + "ppo clones no demonstrations")


def test_another_discriminator_than_the_checkpoints_is_refused(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gail: dict[str, Any] = {f"{SIGNALS}.extrinsic": {}, f"{SIGNALS}.gail": {"demo_path": str(demo), **SMALL}}
    train_tiny(tmp_path, "r", {STEPS: 256, **gail})
    monkeypatch.chdir(tmp_path)
    for key, value in {"use_actions": True, "use_vail": True, "network_settings": {"hidden_units": 8}}.items():
        other = {"demo_path": str(demo), **SMALL, key: value}
        config = write_config(tmp_path, {STEPS: 512, **gail, f"{SIGNALS}.gail": other}, "r")
        assert_refused(cli("train", config, "--resume"), rf"gail\.{key}: differs from what the checkpoint")
