"""Runs with costs, and with a critic per term: their logs, that they resume to the bit, what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import (
    BEHAVIOR,
    NAME,
    assert_refused,
    checkpoint_of,
    cli,
    difference,
    lines_of,
    train_tiny,
    write_config,
)
from trainers import learner
from trainers.algorithms import ALGORITHMS
from trainers.algorithms.ppo import Ppo

STEPS, SHAPING, SPLIT = f"{BEHAVIOR}.max_steps", f"{BEHAVIOR}.reward_shaping", f"{BEHAVIOR}.per_term_critic"
SPEED: dict[str, Any] = {"term": "joint_vel", "limit": 80.0}
JERK: dict[str, Any] = {"term": "action_rate", "limit": 0.5, "per": "step"}
COSTS = {f"{SHAPING}.costs": {"speed": SPEED, "jerk": JERK}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("costs"), "whole", {STEPS: 1024, SPLIT: True, **COSTS})


def test_costs_are_logged_apart_from_the_terms(whole: Path) -> None:
    keys = {key for line in lines_of(whole / NAME) for key in line}
    measures = ("per_step", "per_episode", "limit", "multiplier")
    assert {f"cost/{name}/{measure}" for name in ("speed", "jerk") for measure in measures} <= keys
    assert not any(key.startswith("reward_per") and key.endswith(("speed", "jerk")) for key in keys)
    limits = {line["cost/speed/limit"] for line in lines_of(whole / NAME) if "cost/speed/limit" in line}
    assert limits == {80.0}


def test_each_terms_share_of_the_advantage_is_logged(whole: Path) -> None:
    shared = [line for line in lines_of(whole / NAME) if "advantage_share/near" in line]
    assert len(shared) == 4
    for line in shared:
        shares = {key: value for key, value in line.items() if key.startswith("advantage_share/")}
        assert shares.keys() == {f"advantage_share/{name}" for name in ("near", "haste", "cost/speed", "cost/jerk")}
        assert sum(shares.values()) == pytest.approx(1)


def test_a_run_with_costs_and_a_critic_per_term_goes_on_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path
) -> None:
    halves = train_tiny(tmp_path, "halves", {STEPS: 768, SPLIT: True, **COSTS})
    under_way = checkpoint_of(halves)["algorithm"]["costs"]
    assert under_way["spent"].any()  # an episode of 100 steps spans three rollouts
    assert under_way["multipliers"]["jerk"]["value"] > 0
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "halves", "--set", f"{STEPS}=1024")
    assert outcome.code == 0, outcome.err
    assert "bit-exactly" in outcome.out
    one, other = checkpoint_of(whole), checkpoint_of(halves)
    for part in ("algorithm", "env", "reward", "episodes", "metrics"):
        assert difference(one[part], other[part]) == "", part


def test_evaluations_measure_the_costs(tmp_path: Path) -> None:
    """A cost of 1 in every step: 1 per step, and per episode as much as it is long."""
    each: dict[str, Any] = {"term": "time", "limit": 0.5, "per": "step"}
    costs = {"each": each, "all": {"term": "time", "limit": 200.0}}
    run = train_tiny(tmp_path, "measured", {STEPS: 256, f"{SHAPING}.costs": costs})
    (line,) = [line for line in lines_of(run / NAME) if "evaluation/length" in line]
    assert line["evaluation/cost/each"] == 1.0
    assert line["evaluation/cost/all"] == line["evaluation/length"]
    assert checkpoint_of(run)["best"][0] == -0.5
    assert re.search(r"cost/all +│ +\d+", cli("eval", run, "--episodes", 2).out)


def test_a_run_may_start_from_networks_with_the_same_heads_and_has_its_own_multipliers(whole: Path) -> None:
    changes = {STEPS: 256, SPLIT: True, **COSTS, f"{SHAPING}.costs.speed.multiplier": {"initial": 0.25}}
    run = train_tiny(whole.parent.parent, "second", changes, "--initialize-from", "whole")
    multipliers = checkpoint_of(run)["algorithm"]["costs"]["multipliers"]
    assert multipliers["speed"]["value"] == 0.25  # no episode has ended yet
    assert checkpoint_of(whole)["algorithm"]["costs"]["multipliers"]["speed"]["value"] > 0.5


@pytest.mark.parametrize(
    ("changes", "heads"),
    [({**COSTS, SPLIT: False}, "extrinsic, cost/speed, cost/jerk"), ({SPLIT: True}, "haste, near")],
)
def test_another_set_of_heads_is_refused_with_both(whole: Path, changes: dict[str, Any], heads: str) -> None:
    config = write_config(whole.parent.parent, {STEPS: 2048, **changes})
    outcome = cli("train", config, "--results-dir", whole.parent, "--run-id", "whole", "--resume")
    was = r"whole/RobotArm/checkpoint\.pt was made with haste, near, cost/speed, cost/jerk"
    assert_refused(outcome, rf"tiny\.yaml:\d+: {BEHAVIOR}\.reward_shaping: the critic has heads {heads}, but", was)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {f"{SHAPING}.costs": {"speed": {"term": "joint_vel"}}},
            [r"tiny\.yaml:\d+: .*costs\.speed: a cost needs a limit: what its mean per episode may be"],
        ),
        (
            {f"{SHAPING}.costs": {"a": {**SPEED, "limt": 1.0}}},
            [r"tiny\.yaml:\d+: .*costs\.a\.limt", "did you mean limit"],
        ),
        (
            {f"{SHAPING}.costs": {"a": {**SPEED, "signal": "joint_vle"}}},
            [r"tiny\.yaml:\d+: .*costs\.a\.signal: unknown signal joint_vle, did you mean joint_vel"],
        ),
        (
            {SPLIT: True, f"{SHAPING}.only_positive": True},
            [r"tiny\.yaml:\d+: behaviors\.RobotArm\.per_term_critic: ", "only_positive"],
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_line(
    tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    assert_refused(cli("train", write_config(tmp_path, changes), "--results-dir", tmp_path / "results"), *parts)
    assert not (tmp_path / "results").exists()


class Plain(Ppo):
    """A trainer with one value."""

    head_roles = ("total",)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            COSTS,
            [r"tiny\.yaml:\d+: behaviors\.RobotArm\.reward_shaping\.costs: ppo has no cost critics.*: a2c, better"],
        ),
        (
            {SPLIT: True},
            [r"tiny\.yaml:\d+: behaviors\.RobotArm\.per_term_critic: ppo has no critic per term.*: a2c, better"],
        ),
    ],
)
def test_a_trainer_without_heads_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], parts: list[str]
) -> None:
    monkeypatch.setattr(learner, "ALGORITHMS", {**ALGORITHMS, "ppo": Plain, "better": Ppo})
    assert_refused(cli("train", write_config(tmp_path, changes), "--results-dir", tmp_path / "results"), *parts)


def test_a_cost_that_turns_out_to_be_no_number_ends_the_run_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_costs.py").write_text(
        "import numpy as np\n\ndef wild(goal_distance: np.ndarray) -> np.ndarray:\n"
        "    return np.where(goal_distance[:, 0] == 0.5, 0.0, np.nan)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    changes = {f"{SHAPING}.costs": {"wild": {"term": "python:bad_costs:wild", "limit": 1.0}}}
    outcome = cli("train", write_config(tmp_path, changes), "--results-dir", tmp_path / "results")
    assert outcome.code == 3
    assert re.search(r"tiny\.yaml:\d+: behaviors\.RobotArm\.reward_shaping\.costs\.wild: cost wild is nan", outcome.err)
