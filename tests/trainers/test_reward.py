"""What a training owes to its reward: nothing to a probe, the hash in its files, schedules that survive a resume."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers import BEHAVIOR, NAME, checkpoint_of, cli, difference, lines_of, train_tiny
from trainers.config import find_config, load_settings
from trainers.world import make_env

STEPS = f"{BEHAVIOR}.max_steps"
TERMS = f"{BEHAVIOR}.reward_shaping.terms"
PROBE: dict[str, Any] = {"term": "action_rate", "weight": -3.0, "probe": True}
LEARNED = ("algorithm", "env", "episodes", "step", "best")


@pytest.mark.parametrize("silent", [PROBE, {**PROBE, "weight": 0.0, "probe": False}])
def test_a_term_that_does_not_count_changes_no_bit_of_a_training(tmp_path: Path, silent: dict[str, Any]) -> None:
    plain = train_tiny(tmp_path, "plain", {STEPS: 512})
    probed = train_tiny(tmp_path, "probed", {STEPS: 512, f"{TERMS}.jerk": silent})
    one, other = checkpoint_of(plain), checkpoint_of(probed)
    for part in LEARNED:
        assert difference(one[part], other[part]) == "", part
    label = "probe/jerk" if silent["probe"] else "jerk"
    logged = [
        line[f"reward_per_step/{label}"] for line in lines_of(probed / NAME) if f"reward_per_step/{label}" in line
    ]
    assert logged
    assert all((value < 0) == silent["probe"] for value in logged)


def test_the_rewards_hash_is_in_every_checkpoint_and_line_of_the_log(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 512})
    digest = checkpoint_of(run)["reward"]["content_hash"]
    assert len(digest) == 64
    assert {line["reward_hash"] for line in lines_of(run / NAME)} == {digest}
    other = train_tiny(tmp_path, "other", {STEPS: 512, f"{TERMS}.haste.weight": -0.25})
    assert checkpoint_of(other)["reward"]["content_hash"] != digest


@pytest.mark.parametrize(
    "more", [{}, {"use": "potential", "term": "reach", "signal": "goal_distance", "parameters": {"std": 0.3}}]
)
def test_a_resumed_training_goes_on_with_its_schedule_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    weight = {"schedule": "linear", "initial": 0.0, "final": -1.0, "begin": 100, "end": 900}
    shaped = {f"{TERMS}.calm": {"term": "action_rate", "weight": weight} | more}
    whole = train_tiny(tmp_path, "whole", {STEPS: 1024, **shaped})
    train_tiny(tmp_path, "halves", {STEPS: 512, **shaped})
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "halves", "--set", f"{STEPS}=1024")
    assert outcome.code == 0, outcome.err
    one, other = checkpoint_of(whole), checkpoint_of(tmp_path / "results" / "halves")
    for part in (*LEARNED, "reward"):
        assert difference(one[part], other[part]) == "", part


def test_a_training_may_be_resumed_with_another_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_tiny(tmp_path, "r", {STEPS: 512})
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "r", "--set", f"{STEPS}=768", "--set", f"{TERMS}.jerk={PROBE}")
    assert outcome.code == 0, outcome.err
    assert "changed:" in outcome.out


def test_an_endless_bound_survives_the_resolved_configuration(tmp_path: Path) -> None:
    free = {"term": "tolerance", "signal": "goal_distance", "weight": 1.0}
    digests = set()
    for name, end in (("null", None), ("inf", float("inf"))):
        bounded = {**free, "parameters": {"bounds": [0.2, end]}}
        run = train_tiny(tmp_path, name, {STEPS: 256, f"{TERMS}.free": bounded})
        settings, document = load_settings(run / "configuration.yaml")
        env = make_env(settings, NAME, document, rows=2)
        digests |= {env.reward.content_hash, checkpoint_of(run)["reward"]["content_hash"]}
        env.close()
    assert len(digests) == 1


def test_a_potential_takes_gamma_and_weights_per_second_the_period_from_the_run() -> None:
    potential = f"{BEHAVIOR}.reward_shaping={{terms: {{phi: {{term: reach, signal: goal_distance, use: potential, "
    potential += "parameters: {std: 0.3}, weight: 1.0}, haste: {term: time, weight: -1.0}}, per_second: true}"
    settings, document = load_settings(
        find_config("arm_reach_ppo"), overrides=[potential, f"{BEHAVIOR}.reward_signals.extrinsic.gamma=0.8"]
    )
    env = make_env(settings, NAME, document, rows=2)
    assert env.reward.gamma == 0.8
    assert env.reward.weights.tolist() == [1.0, -0.04]
    env.close()
