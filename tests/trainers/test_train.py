"""Whole runs, tiny: what they leave on disk, that they repeat, continue, stop and fail as they should."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]  # it has no type information
    event_accumulator,
)

from tests.helpers import (
    BEHAVIOR,
    NAME,
    ROBOTRL,
    checkpoint_of,
    cli,
    difference,
    files_below,
    leaves,
    lines_of,
    train_tiny,
    write_config,
)
from trainers.checkpoint import load_checkpoint
from trainers.evaluate import Evaluation
from trainers.export.recorded import load_recorded
from trainers.export.unity_check import check_unity_onnx

STEPS = f"{BEHAVIOR}.max_steps"
SEED = "env_settings.seed"
BUNDLE = (
    "actor.json", "actor.npz", "actor.onnx", "actor.pt2", "build_engine.sh", "configuration.yaml", "README.md",
    "robotrl-edge.pyz", "samples.npz", "SHA256SUMS",
)  # fmt: skip


def metrics_of(run: Path) -> list[dict[str, float]]:
    return [line for line in lines_of(run / NAME) if "time/steps_per_second" in line]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def undisturbed(workplace: Path) -> Path:
    """2,048 steps in one go; evaluations in between, as the resumed runs have them."""
    return train_tiny(workplace, "undisturbed", {STEPS: 2048})


def test_a_run_leaves_ml_agents_files_and_ours(undisturbed: Path) -> None:
    expected = {
        "configuration.yaml",
        f"{NAME}.onnx",
        "run_logs/training_status.json",
        f"{NAME}/checkpoint.pt",
        f"{NAME}/best.pt",
        f"{NAME}/metrics.jsonl",
        f"{NAME}/observations.npz",
        *(f"{NAME}/actor/{name}" for name in BUNDLE),
        "run_logs/timers.json",
        *(f"{NAME}/{NAME}-{step}.{kind}" for step in (512, 1024, 1536, 2048) for kind in ("pt", "onnx")),
    }
    found = set(files_below(undisturbed))
    events = {name for name in found if name.startswith(f"{NAME}/events.out.tfevents")}
    assert len(events) == 1
    assert found - events == expected


def test_the_onnx_in_the_runs_root_is_the_exported_actor_as_unity_wants_it(undisturbed: Path) -> None:
    unity, robot = undisturbed / f"{NAME}.onnx", undisturbed / NAME / "actor" / "actor.onnx"
    assert all(verdict.passed for verdict in check_unity_onnx(unity))
    obs = load_recorded(undisturbed / NAME)
    assert obs is not None
    act = [
        onnxruntime.InferenceSession(path).run(["deterministic_continuous_actions"], {"obs_0": obs[:1]})[0]
        for path in (unity, robot)
    ]
    np.testing.assert_array_equal(*act)


def test_the_newest_checkpoint_is_the_last_numbered_one(undisturbed: Path) -> None:
    assert difference(checkpoint_of(undisturbed), load_checkpoint(undisturbed / NAME / f"{NAME}-2048.pt")) == ""
    assert checkpoint_of(undisturbed)["step"] == 2048


def test_the_status_names_step_and_checkpoint(undisturbed: Path) -> None:
    status = json.loads((undisturbed / "run_logs" / "training_status.json").read_text())
    assert status[NAME]["step"] == 2048
    assert status[NAME]["checkpoint"] == f"{NAME}-2048.pt"


def test_metrics_are_json_lines_with_an_entry_per_term(undisturbed: Path) -> None:
    metrics = metrics_of(undisturbed)
    assert [line["step"] for line in metrics] == [256 * k for k in range(1, 9)]
    for line in metrics:
        assert line["reward_per_step/haste"] == pytest.approx(-0.5)
        assert 0 < line["reward_per_step/near"] <= 1
        assert (line["reward_weight/haste"], line["reward_active/haste"]) == (-0.5, 1.0)
        assert line["reward_share/near"] + line["reward_share/haste"] == pytest.approx(1.0)
        assert {"losses/policy_loss", "losses/value_loss", "policy/kl", "policy/clip_fraction"} <= line.keys()
        assert line["policy/learning_rate"] == pytest.approx(0.01)
    ended = [line for line in metrics if "environment/episode_length" in line]
    assert ended
    for line in ended:
        assert line["environment/episode_length"] <= 100
        terms = line["reward_per_episode/near"] + line["reward_per_episode/haste"]
        assert line["environment/episode_return"] == pytest.approx(terms, rel=1e-5)


def test_each_evaluation_is_logged_at_its_own_step_up_to_the_last(undisturbed: Path) -> None:
    evaluations = [line for line in lines_of(undisturbed / NAME) if "evaluation/success" in line]
    assert evaluations[-1]["step"] == 2048
    assert len({line["step"] for line in evaluations}) == len(evaluations)
    assert all("losses/value_loss" not in line for line in evaluations)


def test_tensorboard_shows_the_same_numbers(undisturbed: Path) -> None:
    events = event_accumulator.EventAccumulator(str(undisturbed / NAME))
    events.Reload()
    for name in ("losses/value_loss", "reward_per_step/near", "reward_share/near", "reward_weight/haste"):
        shown = [(scalar.step, scalar.value) for scalar in events.Scalars(name)]
        logged = [(line["step"], np.float32(line[name])) for line in metrics_of(undisturbed)]
        assert shown == logged


def test_only_the_wanted_number_of_checkpoints_is_kept(workplace: Path) -> None:
    run = train_tiny(workplace, "kept", {f"{BEHAVIOR}.checkpoint_interval": 256, f"{BEHAVIOR}.keep_checkpoints": 2})
    assert {path.name for path in (run / NAME).glob(f"{NAME}-*.pt")} == {f"{NAME}-768.pt", f"{NAME}-1024.pt"}


def test_the_same_seed_gives_the_same_weights(workplace: Path, undisturbed: Path) -> None:
    twin = train_tiny(workplace, "twin", {STEPS: 2048})
    one, other = checkpoint_of(undisturbed), checkpoint_of(twin)
    assert difference(one["algorithm"], other["algorithm"]) == ""
    assert difference(one["env"], other["env"]) == ""
    best, other_best = (load_checkpoint(run / NAME / "best.pt") for run in (undisturbed, twin))
    assert difference(best["algorithm"], other_best["algorithm"]) == ""


def test_another_seed_gives_other_weights(workplace: Path, undisturbed: Path) -> None:
    other = train_tiny(workplace, "other", {STEPS: 2048, SEED: 6})
    assert difference(checkpoint_of(undisturbed)["algorithm"]["actor"], checkpoint_of(other)["algorithm"]["actor"])


def test_the_number_of_threads_does_not_change_the_weights(workplace: Path, undisturbed: Path) -> None:
    other = train_tiny(workplace, "threads", {STEPS: 2048, "env_settings.sim_threads": 2})
    assert difference(checkpoint_of(undisturbed)["algorithm"], checkpoint_of(other)["algorithm"]) == ""


def test_training_changes_every_parameter(undisturbed: Path) -> None:
    first, last = (load_checkpoint(undisturbed / NAME / f"{NAME}-{step}.pt") for step in (512, 2048))
    for network in ("actor", "critic"):
        for name, before in first["algorithm"][network].items():
            assert not torch.equal(before, last["algorithm"][network][name]), (network, name)


@pytest.mark.parametrize("stop", [512, 1024, 1792])
def test_a_resumed_run_is_the_undisturbed_run_bit_for_bit(workplace: Path, undisturbed: Path, stop: int) -> None:
    name = f"stopped{stop}"
    run = train_tiny(workplace, name, {STEPS: stop})
    assert checkpoint_of(run)["step"] == stop
    config = write_config(workplace, {STEPS: 2048}, name)
    outcome = cli("train", config, "--results-dir", workplace / "results", "--run-id", name, "--resume")
    assert outcome.code == 0, outcome.err
    assert f"resumed at step {stop:,}: bit-exactly" in outcome.out
    one, other = checkpoint_of(undisturbed), checkpoint_of(run)
    for part in ("step", "algorithm", "env", "reward", "episodes"):
        assert difference(one[part], other[part]) == "", part


def test_evaluations_in_between_do_not_change_what_is_learned(workplace: Path, undisturbed: Path) -> None:
    run = train_tiny(workplace, "evaluated", {STEPS: 2048, "evaluation.interval": 256})
    assert difference(checkpoint_of(undisturbed)["algorithm"], checkpoint_of(run)["algorithm"]) == ""
    assert any("evaluation/return" in line for line in lines_of(run / NAME))


def test_resume_without_a_config_takes_the_runs_own(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_tiny(workplace, "own", {STEPS: 512})
    monkeypatch.chdir(workplace)
    outcome = cli("train", "--resume", "--run-id", "own", "--set", f"{STEPS}=1024")
    assert outcome.code == 0, outcome.err
    assert checkpoint_of(run)["step"] == 1024
    assert [line["step"] for line in metrics_of(run)] == [256, 512, 768, 1024]


def test_a_run_resumed_from_an_older_checkpoint_has_no_step_twice_in_its_metrics(workplace: Path) -> None:
    run = train_tiny(workplace, "older")
    (run / NAME / "checkpoint.pt").write_bytes((run / NAME / f"{NAME}-512.pt").read_bytes())
    outcome = cli("train", workplace / "older.yaml", "--results-dir", run.parent, "--run-id", "older", "--resume")
    assert outcome.code == 0, outcome.err
    assert [line["step"] for line in metrics_of(run)] == [256, 512, 768, 1024]


def test_resuming_with_another_number_of_rows_keeps_the_networks_and_says_so(workplace: Path) -> None:
    run = train_tiny(workplace, "rows", {STEPS: 512})
    fewer = ("--set", f"{STEPS}=768", "--set", "env_settings.num_areas=4")
    outcome = cli("train", "--resume", "--run-id", run.name, "--results-dir", run.parent, *fewer)
    assert outcome.code == 0, outcome.err
    assert "the episodes start anew" in outcome.out


def test_initialize_from_starts_at_step_0_with_the_other_runs_networks(workplace: Path, undisturbed: Path) -> None:
    run = train_tiny(workplace, "heir", {STEPS: 256}, "--initialize-from", "undisturbed")
    inherited = checkpoint_of(run)
    assert inherited["step"] == 256
    count = checkpoint_of(undisturbed)["algorithm"]["actor"]["encoder.0.count"]
    assert inherited["algorithm"]["actor"]["encoder.0.count"] == count + 256


def test_force_starts_over(workplace: Path) -> None:
    run = train_tiny(workplace, "forced", {STEPS: 512})
    (run / "old.txt").write_text("old")
    train_tiny(workplace, "forced", {STEPS: 256}, "--force")
    assert checkpoint_of(run)["step"] == 256
    assert not (run / "old.txt").exists()


def test_the_run_id_of_the_file_holds_where_none_is_given(workplace: Path) -> None:
    config = write_config(workplace, {STEPS: 256, "checkpoint_settings.run_id": "from_file"}, "named")
    outcome = cli("train", config, "--results-dir", workplace / "results")
    assert outcome.code == 0, outcome.err
    assert (workplace / "results" / "from_file" / "configuration.yaml").is_file()


def test_a_reached_success_threshold_ends_the_run(workplace: Path) -> None:
    run = train_tiny(workplace, "solved", {"evaluation.interval": 512, "evaluation.success_threshold": 0.0})
    assert checkpoint_of(run)["step"] == 512


def test_the_best_policy_is_the_one_that_is_kept(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = iter([(False, 5.0), (True, 1.0), (True, 0.5), (False, 9.0), (False, 0.0)])

    def evaluate(*_: Any) -> dict[str, Evaluation]:
        solved, total = next(outcomes)
        return {NAME: Evaluation(np.array([total]), np.array([1]), np.array([solved]))}

    monkeypatch.setattr("trainers.train.evaluate_world", evaluate)
    run = train_tiny(workplace, "best", {"evaluation.interval": 256, f"{BEHAVIOR}.checkpoint_interval": 256})
    best, second = load_checkpoint(run / NAME / "best.pt"), load_checkpoint(run / NAME / f"{NAME}-512.pt")
    assert best["step"] == 512
    assert difference(best["algorithm"], second["algorithm"]) == ""


def test_eval_and_export_work_on_a_finished_run(undisturbed: Path) -> None:
    first, second = (cli("eval", undisturbed, "--episodes", 3, "--json") for _ in range(2))
    assert first.code == 0, first.err
    assert first.out == second.out
    measured = json.loads(first.out)
    assert measured.keys() == {"episodes", "seed", "behaviors"}
    means = measured["behaviors"][NAME]
    intervals = means.pop("intervals")
    assert means.keys() == intervals.keys() == {"success", "return", "length"}
    assert all(low <= means[name] <= high for name, (low, high) in intervals.items())
    before = (undisturbed / f"{NAME}.onnx").read_bytes()
    outcome = cli("export", undisturbed)
    assert outcome.code == 0, outcome.err
    assert (undisturbed / f"{NAME}.onnx").read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_ends_with_a_checkpoint_and_130(tmp_path: Path, number: signal.Signals) -> None:
    config = write_config(tmp_path, {STEPS: 10**9, f"{BEHAVIOR}.checkpoint_interval": 10**9})
    process = subprocess.Popen(
        [ROBOTRL, "train", config, "--run-id", "x"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "results" / "x" / NAME / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while process.poll() is None and not (metrics.exists() and metrics.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "--resume" in out
    run = tmp_path / "results" / "x"
    step = checkpoint_of(run)["step"]
    assert step > 0
    assert step % 256 == 0
    more = ("--set", f"{STEPS}={step + 256}")
    resumed = cli("train", "--resume", "--run-id", "x", "--results-dir", run.parent, *more)
    assert resumed.code == 0, resumed.err
    assert checkpoint_of(run)["step"] == step + 256


def test_an_interrupt_outside_the_loop_exits_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainers.train.train", interrupted)
    assert cli("train", write_config(tmp_path), "--results-dir", tmp_path).code == 130


def test_checkpoints_hold_nothing_but_tensors_and_plain_values(undisturbed: Path) -> None:
    for path, value in leaves(checkpoint_of(undisturbed)):
        assert isinstance(value, torch.Tensor | int | float | str | bool | None), path
