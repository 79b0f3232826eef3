import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.actors import ActionShape, GaussianActor, to_env
from trainers.networks import ACTIVATIONS, Critic
from trainers.normalizer import Normalizer
from trainers.settings import NetworkSettings


def make_actor(**settings: object) -> GaussianActor:
    torch.manual_seed(0)
    actor = GaussianActor(5, ActionShape(3), NetworkSettings.model_validate({"hidden_units": 8, **settings}))
    actor.log_std.data = torch.tensor([-1.0, 0.0, 0.7])
    return actor


def test_log_prob_and_entropy_are_those_of_torchs_normal() -> None:
    actor = make_actor()
    obs, act = torch.randn(10, 5), 3 * torch.randn(10, 3)
    normal = torch.distributions.Normal(actor(obs), actor.log_std.exp())
    torch.testing.assert_close(actor.log_prob(obs, act), normal.log_prob(act).sum(-1))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(actor.entropy(), normal.entropy()[0].sum())  # type: ignore[no-untyped-call]


def test_log_prob_of_the_mean_of_a_standard_normal_is_known() -> None:
    actor = make_actor()
    actor.log_std.data.zero_()
    obs = torch.randn(1, 5)
    assert float(actor.log_prob(obs, actor(obs)).detach()) == pytest.approx(-1.5 * math.log(2 * math.pi))


def test_samples_have_the_policys_mean_and_deviation() -> None:
    actor = make_actor()
    obs = torch.randn(1, 5).expand(40_000, 5)
    drawn = actor.sample(obs, torch.randn(40_000, 3))
    torch.testing.assert_close(drawn.mean(0), actor(obs[:1])[0], atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.std(0), actor.log_std.exp(), atol=0, rtol=0.03)


def test_a_sample_without_noise_is_the_mean() -> None:
    actor = make_actor()
    obs = torch.randn(4, 5)
    assert torch.equal(actor.sample(obs, torch.zeros(4, 3)), actor(obs))


@pytest.mark.parametrize(("act", "sent"), [(-9, -1), (-3, -1), (-1.5, -0.5), (0, 0), (3, 1), (4, 1)])
def test_to_env_clamps_at_3_and_scales_to_1(act: float, sent: float) -> None:
    assert float(to_env(torch.tensor(float(act)))) == sent


@given(st.floats(-1e30, 1e30))
def test_to_env_stays_in_the_unit_box(act: float) -> None:
    assert -1 <= float(to_env(torch.tensor(act))) <= 1


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_networks_have_the_described_depth_width_and_activation(activation: str) -> None:
    shape = NetworkSettings.model_validate({"hidden_units": 7, "num_layers": 3, "activation": activation})
    critic = Critic(5, 3, shape)
    widths = [(part.in_features, part.out_features) for part in critic.modules() if isinstance(part, torch.nn.Linear)]
    assert widths == [(5, 7), (7, 7), (7, 7), (7, 3)]
    assert sum(isinstance(part, type(ACTIVATIONS[activation]())) for part in critic.modules()) == 3
    assert critic(torch.randn(4, 5)).shape == (4, 3)


def test_a_fresh_policy_barely_moves() -> None:
    actor = make_actor(num_layers=1)
    assert float(to_env(actor(torch.randn(100, 5))).detach().abs().max()) < 0.1


def test_only_a_normalizing_network_has_a_normalizer() -> None:
    assert make_actor(normalize=False).encoder.normalizer() is None
    assert isinstance(make_actor(normalize=True).encoder.normalizer(), Normalizer)


def test_statistics_over_batches_are_numpys_over_all() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(1000, 4)) * [1, 10, 0.1, 100] + [0, 5, -3, 1000]
    normalizer = Normalizer(4)
    for batch in np.split(data, [1, 3, 100, 640]):
        normalizer.update(torch.from_numpy(batch))
    np.testing.assert_allclose(normalizer.mean, data.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(normalizer.var, data.var(axis=0), rtol=1e-4)
    assert normalizer.count == 1000
    standard = normalizer(torch.from_numpy(data).float()).numpy()
    expected = np.clip((data - data.mean(axis=0)) / np.sqrt(data.var(axis=0) + 1e-8), -5, 5)
    np.testing.assert_allclose(standard, expected, atol=2e-3)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_batch_sizes_do_not_matter(sizes: list[int], seed: int) -> None:
    data = np.random.default_rng(seed).normal(size=(sum(sizes), 2))
    at_once, in_parts = Normalizer(2), Normalizer(2)
    at_once.update(torch.from_numpy(data))
    for batch in np.split(data, np.cumsum(sizes)[:-1]):
        in_parts.update(torch.from_numpy(batch))
    np.testing.assert_allclose(in_parts.mean, at_once.mean, atol=1e-6)
    np.testing.assert_allclose(in_parts.var, at_once.var, rtol=1e-5, atol=1e-9)


def test_a_fresh_normalizer_changes_nothing_within_its_clamp() -> None:
    obs = torch.tensor([[-4.9, 0.0, 4.9]])
    assert torch.equal(Normalizer(3)(obs), obs)


def test_normalized_values_are_clamped_at_5() -> None:
    assert Normalizer(2)(torch.tensor([[-7.0, 1e9]])).tolist() == [[-5.0, 5.0]]


def test_a_constant_observation_stays_finite() -> None:
    normalizer = Normalizer(1)
    normalizer.update(torch.full((10, 1), 3.0))
    assert normalizer(torch.tensor([[3.0], [3.1], [-1e6]])).tolist() == [[0.0], [5.0], [-5.0]]
