"""robotrl train over players with a camera, a buffer and signals: images cross the protocol and are learned from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from tests.helpers import assert_refused, cli, lines_of
from tests.trainers.export.test_export import shape_of
from tests.unity_env.link.camera_player import AGENTS, ENTITIES, SENSORS, SIZE, write_build
from trainers.checkpoint import load_checkpoint
from unity_env import UnityVectorEnv
from unity_env.link.environment import UnityPlayer

PPO: dict[str, Any] = {
    "trainer_type": "ppo",
    "max_steps": 1536,
    "summary_freq": 768,
    "hyperparameters": {
        "buffer_size": 256,
        "batch_size": 64,
        "num_epoch": 4,
        "learning_rate": 3e-3,
        "learning_rate_schedule": "constant",
    },
    "network_settings": {"hidden_units": 16, "num_layers": 1, "vis_encode_type": "simple", "normalize": True},
    "signals": {"right": {"sensor": "signals", "start": 0}},
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_build(tmp_path_factory.mktemp("build"))


def config(folder: Path, build: str, images: str, changes: Mapping[str, Any] | None = None) -> Path:
    path = folder / "camera.yaml"
    run = {
        "behaviors": {"Robot": PPO | dict(changes or {})},
        "env_settings": {"env_path": build, "env_args": ["--images", images], "timeout_wait": 60, "seed": 1},
        "evaluation": {"interval": 100_000, "episodes": 64, "final_episodes": 64},
    }
    path.write_text(yaml.safe_dump(run, sort_keys=False), encoding="utf-8")
    return path


def train(folder: Path, build: str, images: str, changes: Mapping[str, Any] | None = None) -> Any:
    return cli("train", config(folder, build, images, changes), "--results-dir", folder / "results", "--run-id", "r")


@pytest.mark.parametrize("images", ["png", "raw", "last"])
def test_images_cross_the_protocol(build: str, images: str, tmp_path: Path) -> None:
    player = UnityPlayer(
        build,
        worker_id=0,
        base_port=5205,
        timeout_wait=60,
        additional_args=["--images", images],
        log_folder=str(tmp_path),
    )
    env = UnityVectorEnv(player)
    try:
        obs, _ = env.reset()
        shapes = {name: shape for name, shape in SENSORS.items() if name != "signals"}
        shapes["camera"] = (SIZE, SIZE, 3) if images == "last" else (3, SIZE, SIZE)
        assert {name: part.shape for name, part in obs.items()} == {
            name: (AGENTS, *shape) for name, shape in shapes.items()
        }
        camera = obs["camera"] if images != "last" else np.moveaxis(obs["camera"], 3, 1)
        right = env.agents.sensors[2][:, 0]
        halves = camera.mean(axis=(1, 2)).reshape(AGENTS, 2, SIZE // 2).mean(axis=2)
        assert (halves.argmax(axis=1) == right).all()
        assert camera.max() <= 210 / 255 + 1e-6
    finally:
        env.close()


@pytest.fixture(scope="module")
def run(build: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    outcome = train(folder, build, "png", {"critic_observations": "signals"})
    assert outcome.code == 0, outcome.err
    return folder / "results" / "r"


def test_what_is_seen_is_learned(run: Path) -> None:
    returns = [line["evaluation/return"] for line in lines_of(run / "Robot") if "evaluation/return" in line]
    assert returns[-1] > 0.95  # a guess comes to 0.5


def test_the_critic_reads_the_signals_and_the_exported_actor_does_not(run: Path) -> None:
    state = load_checkpoint(run / "Robot" / "checkpoint.pt")
    vectors = {name: state["algorithm"][name]["encoder.0.normalizer.mean"].shape for name in ("actor", "critic")}
    assert vectors == {"actor": (2,), "critic": (3,)}
    graph = onnx.load(run / "Robot.onnx").graph
    assert {value.name: shape_of(value) for value in graph.input} == {
        "obs_0": ["batch", 3, SIZE, SIZE],
        "obs_1": ["batch", 2],
        "obs_2": ["batch", ENTITIES, 2],
        "action_masks": ["batch", 2],
    }
    card = json.loads((run / "Robot" / "actor" / "actor.json").read_text())
    assert card["network"]["inputs"][2] == {"name": "obs_2", "shape": [ENTITIES, 2]}
    assert (card["observation"][2]["name"], card["observation"][2]["size"]) == ("things", ENTITIES * 2)


def test_a_run_with_a_camera_is_evaluated_and_exported_again(run: Path) -> None:
    for command in (("eval", run, "--episodes", "32"), ("export", run)):
        outcome = cli(*command)
        assert outcome.code == 0, outcome.err


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"network_settings": {"vis_encode_type": "nature_cnn"}},
        ["network_settings.vis_encode_type", "at least 36 x 36", "camera has 20 x 20", "smaller ones: .*simple"],
    ),
    (
        {"reward_signals": {"rnd": {"network_settings": {"vis_encode_type": "nature_cnn"}}}},
        [r"reward_signals\.rnd\.network_settings\.vis_encode_type", "camera has 20 x 20"],
    ),
    ({"critic_observations": "signals", "signals": {}}, ["critic_observations", "no signals"]),
]


@pytest.mark.parametrize(("changes", "parts"), REFUSED)
def test_what_a_network_cannot_read_is_refused(
    build: str, tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    assert_refused(train(tmp_path, build, "raw", changes), r"camera\.yaml:\d+: behaviors\.Robot\.", *parts)


def test_a_curious_training_sees_through_the_camera(build: str, tmp_path: Path) -> None:
    small = {"network_settings": {"hidden_units": 16, "num_layers": 1}}
    changes = {"reward_signals": {"extrinsic": {}, "rnd": small, "curiosity": small}, "max_steps": 256}
    outcome = train(tmp_path, build, "png", changes | {"summary_freq": 256})
    assert outcome.code == 0, outcome.err
    line = lines_of(tmp_path / "results" / "r" / "Robot")[0]
    assert line["intrinsic/rnd"] > 0
    assert line["intrinsic/curiosity"] > 0
