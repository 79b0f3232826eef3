"""Whole runs of DDPG, TD3 and SAC, tiny: they repeat, continue to the bit, export, and keep one replay buffer."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import BEHAVIOR, NAME, checkpoint_of, cli, difference, train_tiny, write_config
from trainers.checkpoint import load_checkpoint

STEPS = f"{BEHAVIOR}.max_steps"
HYPER = {"batch_size": 16, "buffer_size": 300, "buffer_init_steps": 64, "steps_per_update": 8, "learning_rate": 0.01}
SPARSE = {"terms": {"away": {"term": "sparse_goal", "parameters": {"tolerance": 0.02}, "weight": 1.0}}}
RUNS: dict[str, dict[str, Any]] = {
    "ddpg": {"noise": {"type": "ornstein_uhlenbeck"}, "hindsight": {}},
    "td3": {"noise": {"std": 0.3}},
    "sac": {"init_entcoef": 0.1},
}
TOTAL, STOP = 640, 360  # the buffer is full and an episode under way


def changes(kind: str, steps: int, **hyper: Any) -> dict[str, Any]:
    return {
        f"{BEHAVIOR}.trainer_type": kind,
        f"{BEHAVIOR}.hyperparameters": HYPER | RUNS[kind] | hyper,
        f"{BEHAVIOR}.reward_shaping": SPARSE,
        f"{BEHAVIOR}.checkpoint_interval": 512,
        STEPS: steps,
    }


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("off_policy")


@pytest.fixture(scope="module", params=RUNS)
def undisturbed(request: pytest.FixtureRequest, workplace: Path) -> Path:
    return train_tiny(workplace, request.param, changes(request.param, TOTAL))


def test_a_resumed_run_is_the_undisturbed_run_bit_for_bit(workplace: Path, undisturbed: Path) -> None:
    """Same seed, same bits, and a stop in between changes none of them."""
    kind, name = undisturbed.name, f"{undisturbed.name}_stopped"
    run = train_tiny(workplace, name, changes(kind, STOP))
    assert checkpoint_of(run)["step"] == STOP
    config = write_config(workplace, changes(kind, TOTAL), name)
    outcome = cli("train", config, "--results-dir", workplace / "results", "--run-id", name, "--resume")
    assert outcome.code == 0, outcome.err
    assert f"resumed at step {STOP}: bit-exactly, simulation included" in outcome.out
    one, other = checkpoint_of(undisturbed), checkpoint_of(run)
    for part in ("step", "algorithm", "env", "reward", "episodes", "replay"):
        assert difference(one[part], other[part]) == "", part


def test_only_the_newest_checkpoint_holds_the_replay_buffer(undisturbed: Path) -> None:
    assert checkpoint_of(undisturbed)["replay"]["length"].sum() == 300 // 8 * 8
    others = [path for path in (undisturbed / NAME).glob("*.pt") if path.name != "checkpoint.pt"]
    assert {path.name for path in others} == {f"{NAME}-512.pt", f"{NAME}-640.pt", "best.pt"}
    for path in others:
        assert "replay" not in load_checkpoint(path)


def test_the_actor_is_exported_and_acts_as_it_was_trained(undisturbed: Path) -> None:
    card = json.loads((undisturbed / NAME / "actor" / "actor.json").read_text())
    assert max(card["parity"]["largest_difference"].values()) <= 1e-5
    assert cli("export", undisturbed).code == 0
    assert cli("eval", undisturbed, "--episodes", 2, "--json").code == 0


def test_the_configuration_keeps_every_key_of_the_trainer(undisturbed: Path) -> None:
    behavior = yaml.safe_load((undisturbed / "configuration.yaml").read_text())["behaviors"][NAME]
    own = {"ddpg": {"noise"}, "td3": {"noise", "policy_delay", "target_noise_std"}, "sac": {"init_entcoef"}}
    assert own[undisturbed.name] <= behavior["hyperparameters"].keys()
    assert "num_epoch" not in behavior["hyperparameters"]


def test_the_log_has_the_fields_names(undisturbed: Path) -> None:
    lines = [json.loads(line) for line in (undisturbed / NAME / "metrics.jsonl").read_text().splitlines()]
    summaries = [line for line in lines if "losses/value_loss" in line]
    assert [line["step"] for line in summaries] == [256, 512, 640]
    assert summaries[-1]["policy/updates"] > summaries[0]["policy/updates"] > 0
    assert {"losses/policy_loss", "value/q_mean", "policy/learning_rate"} <= summaries[-1].keys()


def test_a_run_resumed_without_its_buffer_says_so_and_goes_on(workplace: Path) -> None:
    run = train_tiny(workplace, "forgetful", changes("td3", 128, save_replay_buffer=False))
    assert "replay" not in checkpoint_of(run)
    outcome = cli("train", "--resume", "--run-id", run.name, "--results-dir", run.parent, "--set", f"{STEPS}=256")
    assert outcome.code == 0, outcome.err
    assert "bit-exactly" not in outcome.out
    assert f"{NAME}: the replay buffer begins empty: the checkpoint has none (save_replay_buffer)" in outcome.out
    assert checkpoint_of(run)["step"] == 256


def test_a_run_resumed_with_other_rows_keeps_the_networks_and_says_what_is_lost(workplace: Path) -> None:
    run = train_tiny(workplace, "rows", changes("sac", 128))
    fewer = ("--set", f"{STEPS}=256", "--set", "env_settings.num_areas=4")
    outcome = cli("train", "--resume", "--run-id", run.name, "--results-dir", run.parent, *fewer)
    assert outcome.code == 0, outcome.err
    assert "the episodes start anew" in outcome.out
    assert "the replay buffer begins empty: the checkpoint's has another size, other rows" in outcome.out


@pytest.mark.parametrize(
    ("hyper", "parts"),
    [
        ({"batch_size": 301}, ["batch_size 301 is larger than buffer_size 300"]),
        ({"buffer_init_steps": 301}, ["buffer_init_steps 301 is larger than buffer_size 300"]),
        ({"buffer_size": 100_000, "buffer_init_steps": 99_999}, ["max_steps 256 ends before anything is learned"]),
        ({"tau": 0.0}, ["hyperparameters.tau", "greater than 0"]),
        ({"steps_per_update": 0}, ["hyperparameters.steps_per_update", "greater than 0"]),
        ({"init_entcof": 1.0}, ["unknown key, did you mean init_entcoef?"]),
        ({"lambd": 0.9}, ["unknown key"]),
        ({"noise": {"std": 0.1}}, ["unknown key"]),
    ],
)
def test_a_wrong_hyperparameter_is_one_line(tmp_path: Path, hyper: dict[str, Any], parts: list[str]) -> None:
    path = write_config(tmp_path, changes("sac", 256, **hyper))
    outcome = cli("train", path, "--results-dir", tmp_path / "results")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    for part in ("tiny.yaml:", f"behaviors.{NAME}", *parts):
        assert part in outcome.err


ML_AGENTS_SAC = """
behaviors:
  3DBall:
    trainer_type: sac
    hyperparameters:
      learning_rate: 0.0003
      learning_rate_schedule: constant
      batch_size: 64
      buffer_size: 200000
      buffer_init_steps: 0
      tau: 0.005
      steps_per_update: 10.0
      save_replay_buffer: false
      init_entcoef: 0.5
      reward_signal_steps_per_update: 10.0
    network_settings: {normalize: true, hidden_units: 64, num_layers: 2, vis_encode_type: simple}
    reward_signals: {extrinsic: {gamma: 0.99, strength: 1.0}}
    keep_checkpoints: 5
    max_steps: 200000
    time_horizon: 1000
    summary_freq: 12000
"""


def test_ml_agents_own_sac_file_is_read_and_its_defaults_are_ml_agents(tmp_path: Path) -> None:
    from trainers.config import load_settings
    from trainers.hyperparameters import SacHyperparameters
    from trainers.idle_settings import without_effect

    (tmp_path / "ball.yaml").write_text(ML_AGENTS_SAC)
    ball = load_settings(tmp_path / "ball.yaml")[0].behaviors["3DBall"]
    assert isinstance(ball.hyperparameters, SacHyperparameters)
    assert (ball.hyperparameters.steps_per_update, ball.hyperparameters.init_entcoef) == (10.0, 0.5)
    assert without_effect(ball) == [
        "hyperparameters.reward_signal_steps_per_update has no effect: no reward signal is learned"
    ]
    default = SacHyperparameters()
    found = (default.batch_size, default.buffer_size, default.buffer_init_steps, default.tau, default.init_entcoef)
    assert found == (128, 50_000, 0, 0.005, 1.0)
    assert (default.learning_rate, default.learning_rate_schedule, default.steps_per_update) == (3e-4, "constant", 1)
