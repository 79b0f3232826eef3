"""What a learner and a training do with intrinsic rewards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

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
from tests.trainers.algorithms.test_ppo import col, make_ppo
from trainers.actors import ActionShape, to_env
from trainers.algorithms import ALGORITHMS, Step
from trainers.algorithms.ppo import Ppo
from trainers.intrinsic import Transitions
from trainers.settings import BehaviorSettings

SIGNALS = f"{BEHAVIOR}.reward_signals"
STEPS = f"{BEHAVIOR}.max_steps"
SMALL = {"network_settings": {"hidden_units": 16, "num_layers": 1}}
POLICY = ("actor", "critic", "optimizer", "generator", "rollout")


def ppo_with(signals: dict[str, Any], **hyper: Any) -> Ppo:
    settings = {
        "time_horizon": 1000,
        "hyperparameters": {"buffer_size": 3, "batch_size": 3, "num_epoch": 1, "lambd": 0.8} | hyper,
        "network_settings": {"hidden_units": 4, "num_layers": 1},
        "reward_signals": {"extrinsic": {"gamma": 0.5}, **signals},
    }
    return Ppo(1, ActionShape(1), 1, BehaviorSettings.model_validate(settings), seed=0, device=torch.device("cpu"))


def feed(ppo: Ppo, obs: list[float], *, ends: dict[int, tuple[str, float]] | None = None) -> None:
    """One row's rollout with rewards 1, 2, 3 ...; ends map a step to how it ended, and its true last observation."""
    for t in range(len(obs) - 1):
        how, last = (ends or {}).get(t, ("", 0.0))
        ppo.act(col(obs[t]), np.array([True]))
        step = Step(
            np.array([t + 1], dtype=np.float32),
            np.array([how == "terminated"]),
            np.array([how == "truncated"]),
            col(obs[t + 1]),
            col(last) if how else None,
            np.array([True]),
            np.array([[t + 1.0] + [0.0] * (len(ppo.heads) - 1)], dtype=np.float32),
        )
        ppo.observe(step)


class Linear(torch.nn.Module):
    """V_k(s) = s for both heads."""

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        return obs.expand(*obs.shape[:-1], 2)


@pytest.mark.parametrize("how", ["terminated", "truncated"])
def test_an_intrinsic_return_goes_on_where_an_episode_ends(how: str) -> None:
    ppo = ppo_with({"rnd": {"gamma": 0.9, **SMALL}})
    feed(ppo, [1, 2, 100, 4], ends={1: (how, 6.0)})
    ppo.rollout.rew[..., 1] = torch.tensor([[10.0], [20.0], [30.0]])  # as `pay` would
    ppo.critic = Linear()  # type: ignore[assignment]  # a critic whose values are known
    val = ppo.critic(ppo.rollout.obs)
    adv = ppo._advantages(val[:-1], ppo._next_values(val))
    delta = np.array([10 + 0.9 * 2 - 1, 20 + 0.9 * 100 - 2, 30 + 0.9 * 4 - 100])
    trace = 0.9 * 0.8
    expected = [delta[0] + trace * (delta[1] + trace * delta[2]), delta[1] + trace * delta[2], delta[2]]
    np.testing.assert_allclose(adv[:, 0, 1], expected, rtol=1e-6)
    task = 2 - 2 if how == "terminated" else 2 + 0.5 * 6 - 2
    np.testing.assert_allclose(adv[1, 0, 0], task)  # the task's own return does end


@pytest.mark.parametrize("name", ["rnd", "curiosity"])
def test_what_is_paid_is_strength_times_reward_of_transitions_within_episodes(name: str) -> None:
    ppo, twin = (ppo_with({name: {"strength": 0.25, **SMALL}}) for _ in range(2))
    for learner in (ppo, twin):
        feed(learner, [1, 2, 100, 4], ends={1: ("terminated", 6.0)})
    rollout, signal = twin.rollout, twin.intrinsic.signals[name]
    within = torch.tensor([2.0, 6.0, 4.0])[:, None, None]
    expected = signal.reward(Transitions(rollout.obs[:-1], to_env(rollout.act), within), rollout.valid)
    metrics = ppo.intrinsic.pay(ppo.rollout, 4, 1)
    torch.testing.assert_close(ppo.rollout.rew[..., 1], 0.25 * expected)
    assert ppo.rollout.rew[:, 0, 0].tolist() == [1, 2, 3]
    assert metrics[f"intrinsic/{name}"] == pytest.approx(expected.mean().item())


def test_a_learner_without_intrinsic_rewards_has_nothing_of_them() -> None:
    ppo = make_ppo()
    assert ppo.intrinsic.pay(ppo.rollout, 4, 1) == {}
    assert ppo.state_dict()["intrinsic"] == {}


def assert_same_policy(plain: Path, probed: Path) -> None:
    """The runs played and learned alike, to the bit."""
    one, other = checkpoint_of(plain), checkpoint_of(probed)
    for part in POLICY:
        assert difference(one["algorithm"][part], other["algorithm"][part]) == "", part
    for part in ("env", "episodes", "best"):
        assert difference(one[part], other[part]) == "", part


def test_a_signal_of_strength_0_changes_no_bit_of_the_policy_but_is_logged(tmp_path: Path) -> None:
    plain = train_tiny(tmp_path, "plain", {STEPS: 512})
    zero = {"strength": 0.0, **SMALL}
    quiet = {"extrinsic": {}, "curiosity": zero, "rnd": zero}
    probed = train_tiny(tmp_path, "probed", {STEPS: 512, SIGNALS: quiet})
    assert_same_policy(plain, probed)
    line = lines_of(probed / NAME)[0]
    assert line["intrinsic/rnd"] > 0
    assert line["intrinsic/curiosity"] > 0
    assert {"losses/rnd", "losses/curiosity_forward", "losses/curiosity_inverse"} <= line.keys()
    assert line["reward_per_step/haste"] == -0.5


def test_a_curious_training_without_the_tasks_reward_resumes_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = {"extrinsic": {"strength": 0.0}, "curiosity": {"strength": 0.5, **SMALL}, "rnd": {"gamma": 0.9, **SMALL}}
    whole = train_tiny(tmp_path, "whole", {STEPS: 1024, SIGNALS: signals})
    train_tiny(tmp_path, "halves", {STEPS: 512, SIGNALS: signals})
    monkeypatch.chdir(tmp_path)
    outcome = cli("train", "--resume", "--run-id", "halves", "--set", f"{STEPS}=1024")
    assert outcome.code == 0, outcome.err
    one, other = checkpoint_of(whole), checkpoint_of(tmp_path / "results" / "halves")
    for part in ("algorithm", "env", "episodes", "reward", "best"):
        assert difference(one[part], other[part]) == "", part
    line = next(line for line in lines_of(whole / NAME) if "environment/episode_return" in line)
    assert line["environment/episode_return"] == 0.0  # nothing intrinsic is in it
    assert line["advantage_share/intrinsic/rnd"] > 0
    assert one["algorithm"]["heads"] == ["extrinsic", "intrinsic/curiosity", "intrinsic/rnd"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({f"{SIGNALS}.rnd": {"strength": 0.5}}, r"reward_signals.*heads extrinsic, intrinsic/rnd, but the checkpoint"),
        ({f"{SIGNALS}.curiosity.network_settings.hidden_units": 8}, r"curiosity\.network_settings: differs from what"),
    ],
)
def test_other_signals_than_the_checkpoints_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], says: str
) -> None:
    before = {f"{SIGNALS}.extrinsic": {}, f"{SIGNALS}.curiosity": {"strength": 0.0, **SMALL}}
    train_tiny(tmp_path, "r", {STEPS: 256, **before})
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, {STEPS: 512, **before, **changes}, "r")
    assert_refused(cli("train", config, "--resume"), says)


def test_a_trainer_without_value_heads_refuses_intrinsic_rewards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ALGORITHMS["ppo"], "head_roles", ("total",))
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, {f"{SIGNALS}.rnd": {"strength": 0.5}})
    assert_refused(cli("train", config), r"tiny\.yaml:\d+: behaviors\.RobotArm\.reward_signals\.rnd", "no value head")
