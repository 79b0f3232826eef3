"""Behavioral cloning: what it fits, how its learning rate falls, when it leaves the policy alone."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from trainers.actors import ActionShape, GaussianActor
from trainers.choices import make_soft_actor, make_stochastic_actor
from trainers.hyperparameters import PpoHyperparameters, SacHyperparameters
from trainers.imitation.cloning import Cloning
from trainers.imitation.demonstrations import Shown
from trainers.settings import CloningSettings, NetworkSettings

HYPER = PpoHyperparameters(learning_rate=1e-2, batch_size=64, buffer_size=64, num_epoch=4)
GAINS = torch.tensor([[-0.8, -0.4]])


pytestmark = pytest.mark.usefixtures("one_thread")


def controller(seed: int, size: int = 512) -> Shown:
    """A hand-written controller of a mass on a rail: u = clip(-0.8 x - 0.4 v)."""
    state = torch.randn(size, 2, generator=torch.Generator().manual_seed(seed))
    return Shown(state, (state @ GAINS.T).clamp(-1.0, 1.0))


def make(shown: Shown | None = None, **settings: Any) -> Cloning:
    torch.manual_seed(0)
    actor = GaussianActor(2, ActionShape(1), NetworkSettings(hidden_units=32, num_layers=2))
    cloning = Cloning(actor, CloningSettings(demo_path="a.demo", **settings), HYPER, seed=0)
    cloning.show({"a.demo": shown or controller(0)}, torch.device("cpu"))
    return cloning


def test_a_policy_learns_the_controllers_actions_as_the_robot_gets_them() -> None:
    cloning = make(steps=8)
    metrics = [cloning.update(step) for step in range(8)]
    unseen = controller(1)
    assert isinstance(cloning.actor, GaussianActor)
    with torch.no_grad():
        error = (cloning.actor.action(unseen.obs) - unseen.act).abs().mean()
    assert error < 0.04  # of actions that are 0.6 in the mean
    assert metrics[-1]["losses/cloning"] < 0.02 * metrics[0]["losses/cloning"]
    assert cloning.actor.log_std.tolist() == [0.0]  # how much to explore is the trainer's to learn


@pytest.mark.parametrize(
    ("steps", "step", "expected"),
    [(0, 10**9, 5e-3), (1000, 0, 5e-3), (1000, 250, 0.75 * 5e-3), (1000, 999, 5e-6)],
)
def test_the_learning_rate_is_strength_times_the_trainers_and_falls_to_0(
    steps: int, step: int, expected: float
) -> None:
    cloning = make(strength=0.5, steps=steps)
    assert cloning.update(step)["policy/cloning_learning_rate"] == pytest.approx(expected)
    assert cloning.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


@pytest.mark.parametrize(("settings", "step"), [({"strength": 0.0}, 0), ({"steps": 100}, 100), ({"steps": 100}, 101)])
def test_without_a_learning_rate_no_bit_is_changed(settings: dict[str, Any], step: int) -> None:
    cloning = make(**settings)
    before = copy.deepcopy((cloning.actor.state_dict(), cloning.state_dict()))
    assert cloning.update(step) == {}
    assert difference(before, (cloning.actor.state_dict(), cloning.state_dict())) == ""


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({}, [64] * 8),
        ({"batch_size": 200}, [200, 200, 112]),
        ({"samples_per_update": 100}, [64, 36]),
        ({"samples_per_update": 10_000, "batch_size": 512}, [512]),
    ],
)
def test_a_pass_takes_every_demonstration_once_or_as_many_as_wanted(
    settings: dict[str, Any], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloning = make(num_epoch=1, **settings)
    batches: list[Tensor] = []

    def descend(batch: Tensor) -> Tensor:
        batches.append(batch)
        return torch.zeros(())

    monkeypatch.setattr(cloning, "_descend", descend)
    cloning.update(0)
    assert [len(batch) for batch in batches] == sizes
    assert len(set(torch.cat(batches).tolist())) == sum(sizes)


def test_a_restored_cloning_makes_the_same_next_update() -> None:
    cloning, fresh = make(steps=100), make(controller(0), steps=100)
    cloning.update(0)
    fresh.actor.load_state_dict(cloning.actor.state_dict())
    fresh.load_state_dict(copy.deepcopy(cloning.state_dict()))
    assert cloning.update(50) == fresh.update(50)
    assert difference(cloning.actor.state_dict(), fresh.actor.state_dict()) == ""
    assert difference(cloning.state_dict(), fresh.state_dict()) == ""


def test_choices_are_learned_by_cross_entropy_beside_numbers() -> None:
    shape = ActionShape(1, (2, 3))
    state = torch.randn(512, 2, generator=torch.Generator().manual_seed(0))
    numbers, first = (state @ GAINS.T).clamp(-1.0, 1.0), (state[:, :1] > 0).float()
    second = (state[:, 1:] > -0.5).float() + (state[:, 1:] > 0.5).float()
    shown = Shown(state, torch.cat((numbers, first, second), dim=-1))
    torch.manual_seed(0)
    actor = make_stochastic_actor(2, shape, NetworkSettings(hidden_units=32))
    cloning = Cloning(actor, CloningSettings(demo_path="a.demo"), HYPER, seed=0)
    cloning.show({"a.demo": shown}, torch.device("cpu"))
    for step in range(12):
        cloning.update(step)
    act = actor.action(torch.cat((state, torch.ones(512, 5)), dim=-1))
    assert (act[:, :1] - numbers).abs().mean() < 0.06
    assert (act[:, 1:] == shown.act[:, 1:]).float().mean() > 0.95


def test_the_loss_of_choices_is_the_mean_of_minus_log_pi_over_branches() -> None:
    shape = ActionShape(0, (2, 4))
    actor = make_stochastic_actor(3, shape, NetworkSettings(hidden_units=4))
    for layer in actor.children():
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)  # all choices are as likely
    cloning = Cloning(actor, CloningSettings(demo_path="a.demo"), HYPER, seed=0)
    loss = cloning.loss(Shown(torch.zeros(5, 3), torch.zeros(5, 2)))
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


@pytest.mark.parametrize("shape", [ActionShape(1), ActionShape(0, (3,)), ActionShape(1, (3,))], ids=str)
def test_a_soft_policy_is_drawn_to_numbers_and_choices_a_minibatch_at_a_time(shape: ActionShape) -> None:
    torch.manual_seed(0)
    actor = make_soft_actor(2, shape, NetworkSettings(hidden_units=32, num_layers=1))
    hyper = SacHyperparameters(learning_rate=1e-2, batch_size=64)
    cloning = Cloning(actor, CloningSettings(demo_path="a.demo"), hyper, seed=0)
    seen, numbers = controller(0)
    choices = (seen[:, :1] > 0.0).float() * 2.0
    act = torch.cat((numbers[:, : shape.continuous], choices[:, : len(shape.branches)]), dim=-1)
    cloning.show({"a.demo": Shown(seen, act)}, torch.device("cpu"))
    cloning.update(0, times=300)
    with torch.no_grad():
        done = actor.action(torch.cat((seen, torch.ones(len(seen), shape.choices)), dim=-1))
    assert (done - act)[:, : shape.continuous].abs().sum(dim=1).mean() < 0.1
    assert (done - act)[:, shape.continuous :].bool().float().sum(dim=1).mean() < 0.05
