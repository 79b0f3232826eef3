"""What a run that goes on, or an actor taken from it, owes to the run that was."""

from pathlib import Path

import pytest
import torch
import yaml

from tests.helpers import BEHAVIOR, NAME, assert_refused, checkpoint_of, cli, files_below, train_tiny, write_config
from trainers.schedules import scheduled

STEPS = f"{BEHAVIOR}.max_steps"


def test_a_schedule_that_starts_below_its_floor_stays_where_it_starts() -> None:
    assert [scheduled(0.05, "linear", progress, 0.1) for progress in (0.0, 0.5, 1.0)] == [0.05] * 3


def test_a_resumed_run_says_which_settings_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_tiny(tmp_path, "r", {STEPS: 512})
    monkeypatch.chdir(tmp_path)
    rate = f"{BEHAVIOR}.hyperparameters.learning_rate"
    outcome = cli("train", "--resume", "--run-id", "r", "--set", f"{rate}=0.02", "--set", f"{STEPS}=768")
    assert outcome.code == 0, outcome.err
    assert f"changed: {rate}: was 0.01, is 0.02" in outcome.out
    assert "bit-exactly" not in outcome.out


def test_an_unchanged_run_is_resumed_bit_exactly_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_tiny(tmp_path, "r", {STEPS: 512})
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "r", "--set", f"{STEPS}=768")
    assert "resumed at step 512: bit-exactly, simulation included" in outcome.out
    assert "changed:" not in outcome.out


def test_a_solved_run_does_not_train_on_when_it_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {STEPS: 1024, "evaluation.interval": 256, "evaluation.success_threshold": 0.0}
    run = train_tiny(tmp_path, "r", changes)
    solved_at = checkpoint_of(run)["step"]
    assert solved_at < 1024
    monkeypatch.chdir(tmp_path)
    assert cli("train", "--resume", "--run-id", "r").code == 0
    assert checkpoint_of(run)["step"] == solved_at


@pytest.mark.parametrize("command", ["eval", "export"])
def test_a_configuration_that_does_not_fit_the_checkpoint_is_refused(tmp_path: Path, command: str) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 256})
    configuration = yaml.safe_load((run / "configuration.yaml").read_text())
    configuration["behaviors"][NAME]["network_settings"]["activation"] = "tanh"
    (run / "configuration.yaml").write_text(yaml.safe_dump(configuration))
    outcome = cli(command, run)
    assert outcome.code == 2
    assert "network_settings.activation: is tanh" in outcome.err
    assert "swish" in outcome.err


def test_a_checkpoint_that_lacks_a_part_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 256})
    state = torch.load(run / NAME / "checkpoint.pt", weights_only=True)
    del state["algorithm"]["optimizer"]
    torch.save(state, run / NAME / "checkpoint.pt")
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "r")
    assert outcome.code == 2
    assert "does not fit this run" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_an_export_keeps_what_training_has_measured(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 256})
    card = run / NAME / "actor" / "actor.json"
    measured = yaml.safe_load(card.read_text())["success_measured"]
    assert measured["episodes"] == 2
    assert cli("export", run).code == 0
    assert yaml.safe_load(card.read_text())["success_measured"] == measured


def test_a_shared_critic_shares_the_hidden_layers_and_learns(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 512, f"{BEHAVIOR}.hyperparameters.shared_critic": True})
    state = checkpoint_of(run)["algorithm"]
    for name, weight in state["actor"].items():
        if name.startswith("encoder."):
            assert torch.equal(weight, state["critic"][name])
    assert cli("export", run).code == 0


def test_a_users_file_beside_the_checkpoints_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 256})
    (run / NAME / f"{NAME}-backup.pt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert cli("train", "--resume", "--run-id", "r", "--set", f"{STEPS}=1024").code == 0
    assert (run / NAME / f"{NAME}-backup.pt").read_text() == "mine"


def test_a_policy_of_other_observations_is_refused_with_both_and_nothing_is_changed(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 256, f"{BEHAVIOR}.reward_shaping": None})
    before = files_below(run)
    other = write_config(tmp_path, {"env_settings.env_path": "sim:arm_pick_place", f"{BEHAVIOR}.reward_shaping": None})
    for how in ("r --resume", "another --initialize-from r", "another --initialize-from r --inference"):
        outcome = cli("train", other, "--results-dir", tmp_path / "results", "--run-id", *how.split())
        assert_refused(outcome, "sees 43 numbers and acts by 7 numbers", "made where it sees 27 numbers and acts by 6")
    assert files_below(run) == before


def test_a_critic_of_another_form_is_refused_in_a_line_and_nothing_is_changed(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {STEPS: 256})
    before = files_below(run)
    other = write_config(tmp_path, {f"{BEHAVIOR}.hyperparameters.shared_critic": True})
    for how in ("r --resume", "another --initialize-from r"):
        outcome = cli("train", other, "--results-dir", tmp_path / "results", "--run-id", *how.split())
        assert_refused(outcome, "does not fit this run")
    assert files_below(run) == before
    configuration = yaml.safe_load((run / "configuration.yaml").read_text())
    configuration["behaviors"][NAME]["hyperparameters"]["shared_critic"] = True
    (run / "configuration.yaml").write_text(yaml.safe_dump(configuration))
    assert_refused(cli("eval", run), "does not fit this run")
