"""Actors of Stable-Baselines3 and rsl_rl become the same bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from tests.helpers import assert_refused, cli
from trainers.edge import ActorRunner

OBS, ACT = 27, 6


def state_of(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def mlp(*sizes: int, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[index], sizes[index + 1]), activation()]
    return nn.Sequential(*layers)


def write(folder: Path, state: Any, **about: Any) -> Path:
    torch.save(state, folder / "policy.pth")
    path = folder / "walker.yaml"
    described = {"library": "stable_baselines3", "weights": "policy.pth", "behavior": "RobotArm", "task": "arm_reach"}
    path.write_text(yaml.safe_dump({key: value for key, value in {**described, **about}.items() if value is not None}))
    return path


def exported(path: Path, *more: object) -> ActorRunner:
    outcome = cli("export", path, "--format", "numpy", *more)
    assert outcome.code == 0, outcome
    return ActorRunner(path.with_suffix(""), rate_hz=25.0)


def observations(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, OBS)).astype(np.float32) * 2


def assert_same(runner: ActorRunner, obs: np.ndarray, expected: Tensor) -> None:
    found = np.array([runner.act(row).copy() for row in obs])
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


def test_ppo_of_stable_baselines3_with_its_normalised_observations(tmp_path: Path) -> None:
    torch.manual_seed(0)
    hidden, last = mlp(OBS, 64, 32), nn.Linear(32, ACT)
    state = state_of("mlp_extractor.policy_net", hidden) | state_of("action_net", last)
    state |= {"log_std": torch.zeros(ACT)} | state_of("mlp_extractor.value_net", mlp(OBS, 64, 32))
    mean, var = torch.randn(OBS), torch.rand(OBS) + 0.1
    statistics = {"mean": mean.tolist(), "var": var.tolist()}
    runner = exported(write(tmp_path, state, observation=statistics))
    obs = observations()
    standard = ((torch.from_numpy(obs) - mean) / (var + 1e-8).sqrt()).clamp(-10, 10)
    assert_same(runner, obs, last(hidden(standard)).clamp(-1, 1))
    assert runner.bundle.card["provenance"]["library"] == "stable_baselines3"
    assert runner.bundle.observation[0].name == "joint_pos"


@pytest.mark.parametrize("kind", ["sac", "td3"])
def test_sac_and_td3_of_stable_baselines3_end_in_tanh(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    hidden, last = mlp(OBS, 48, 48, activation=nn.ReLU), nn.Linear(48, ACT)
    if kind == "sac":
        state = state_of("actor.latent_pi", hidden) | state_of("actor.mu", last)
        state |= state_of("actor.log_std", nn.Linear(48, ACT))
    else:
        state = state_of("actor.mu", nn.Sequential(*hidden, last, nn.Tanh()))
    obs = observations()
    assert_same(
        exported(write(tmp_path, state, activation="relu")), obs, torch.tanh(last(hidden(torch.from_numpy(obs))))
    )


def test_rsl_rl_with_its_normaliser_and_the_clip_that_it_was_trained_with(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*mlp(OBS, 32, 16, activation=nn.ELU), nn.Linear(16, ACT))
    mean, std = torch.randn(1, OBS), torch.rand(1, OBS) + 0.5
    state = state_of("actor", net) | {"std": torch.ones(ACT)}
    state |= {"actor_obs_normalizer._mean": mean, "actor_obs_normalizer._std": std}
    path = write(tmp_path, {"model_state_dict": state, "iter": 5}, library="rsl_rl", activation="elu", clip=0.25)
    obs = observations()
    expected = net((torch.from_numpy(obs) - mean) / (std + 1e-2))
    assert_same(exported(path), obs, expected.clamp(-0.25, 0.25) / 0.25)


def test_choices_of_stable_baselines3s_dqn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*mlp(31, 16, activation=nn.ReLU), nn.Linear(16, 9))
    about = {"behavior": "MobileRobot", "task": "mobile_goal_discrete", "branches": [9], "activation": "relu"}
    path = write(tmp_path, state_of("q_net.q_net", net), **about)
    runner = exported(path)
    obs = np.random.default_rng(0).normal(size=(20, runner.bundle.obs_size)).astype(np.float32)
    assert_same(runner, obs, net(torch.from_numpy(obs)).argmax(dim=1, keepdim=True))


def test_everything_of_a_bundle_is_there(tmp_path: Path) -> None:
    state = state_of("actor", nn.Sequential(*mlp(OBS, 16), nn.Linear(16, ACT)))
    path = write(tmp_path, state, library="rsl_rl", clip=1.0, task=None)
    outcome = cli("export", path, "-o", tmp_path / "out" / "bundle")
    assert outcome.code == 0, outcome
    names = {file.name for file in (tmp_path / "out" / "bundle").iterdir()}
    assert {"actor.onnx", "actor.pt2", "actor.npz", "actor.json", "README.md", "robotrl-edge.pyz"} <= names
    assert cli("export", "--check", tmp_path / "out" / "RobotArm.onnx").code == 0


@pytest.mark.parametrize(
    ("library", "prefix", "activation"),
    [("stable_baselines3", "actor.mu", nn.ReLU), ("rsl_rl", "actor", nn.ELU), ("rsl_rl", "mlp", nn.ELU)],
)
def test_an_activation_that_is_left_out_is_the_librarys(
    tmp_path: Path, library: str, prefix: str, activation: type[nn.Module]
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*mlp(OBS, 16, activation=activation), nn.Linear(16, ACT))
    obs = observations()
    expected = net(torch.from_numpy(obs))
    expected = expected.tanh() if library == "stable_baselines3" else expected.clamp(-1, 1)
    assert_same(exported(write(tmp_path, state_of(prefix, net), library=library, clip=1.0)), obs, expected)


STATE = state_of("mlp_extractor.policy_net", mlp(OBS, 8)) | state_of("action_net", nn.Linear(8, ACT))
CHOOSING, STATE = STATE, {**STATE, "log_std": torch.zeros(ACT)}


@pytest.mark.parametrize(
    ("state", "about", "message"),
    [
        (STATE, {"library": "rllib"}, r"walker.yaml:\d+.*library"),
        (STATE, {"weight": "x"}, r"walker.yaml:\d+.*did you mean weights"),
        (STATE, {"weights": "other.pth"}, r"walker.yaml:\d+.*no such file"),
        (STATE, {"behavior": "../x"}, r"walker.yaml:\d+.*behavior"),
        (STATE, {"task": "arm_raech"}, r"walker.yaml:\d+.*unknown task arm_raech"),
        (
            STATE,
            {"task": "mobile_goal", "behavior": "MobileRobot"},
            r"observation has 31 numbers, the network reads 27",
        ),
        (STATE, {"branches": [9]}, r"9 choices in all, action_net has 6"),
        (STATE, {"observation": {"mean": [0.0], "var": [1.0]}}, r"mean has 1 numbers and var 1, the network reads 27"),
        (state_of("actor", nn.Linear(OBS, 8)), {}, r"not an MLP actor of stable_baselines3: it has actor.weight"),
        (state_of("actor", nn.Sequential(*mlp(OBS, 8), nn.Linear(8, ACT))), {"library": "rsl_rl"}, "clip is missing"),
        (
            state_of("actor", nn.Sequential(nn.Linear(OBS, 8), nn.Linear(9, ACT))),
            {"library": "rsl_rl", "clip": 1.0},
            r"actor.0 has 8 outputs, actor.1 9 inputs",
        ),
        (
            state_of("actor", nn.Sequential(nn.Conv2d(3, 4, 2))),
            {"library": "rsl_rl", "clip": 1.0},
            "4 axes; only fully",
        ),
        ({"a": 1}, {}, "not a state dict"),
        ({1: torch.zeros(3)}, {}, "not a state dict"),
        (CHOOSING, {}, "branches is missing: the 6 outputs are choices"),
        (state_of("q_net.q_net", nn.Sequential(nn.Linear(OBS, 9))), {}, "branches is missing: the 9 outputs"),
        ({**STATE, "features_extractor.cnn.0.weight": torch.zeros(3)}, {}, r"features_extractor.*: not a plain MLP"),
        ({**STATE, "lstm_actor.weight_ih_l0": torch.zeros(3)}, {}, r"lstm_actor.*: not a plain MLP"),
        ({**STATE, "action_net.weight": "x"}, {}, "not an MLP actor"),
        ({**STATE, "action_net.bias": torch.zeros(3)}, {}, r"action_net.weight is \[6, 8\], \[3\] biases"),
        (
            {**STATE, "mlp_extractor.policy_net.0.weight": torch.zeros(8, 0)},
            {},
            r"policy_net.0.weight is \[8, 0\], \[8\] biases; not a layer",
        ),
    ],
)
def test_what_cannot_be_imported_is_one_clear_line(
    tmp_path: Path, state: Any, about: dict[str, Any], message: str
) -> None:
    assert_refused(cli("export", write(tmp_path, state, **about)), message)
    assert not (tmp_path / "walker").exists()


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    torch.save({"net": nn.Linear(2, 2)}, tmp_path / "policy.pth")
    assert_refused(cli("export", path), "weights_only")
