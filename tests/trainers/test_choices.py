"""Policies of discrete and hybrid actions: their distributions, and masks that nothing gets past."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainers.actors import ActionShape, StochasticActor
from trainers.choices import CategoricalActor, HybridActor, draw, make_stochastic_actor
from trainers.errors import RunError
from trainers.masks import seen, with_allowed
from trainers.q_network import QNetwork
from trainers.settings import NetworkSettings

OBS = 5
BRANCHES = (3, 2, 4)
DISCRETE, HYBRID = ActionShape(0, BRANCHES), ActionShape(2, BRANCHES)
SMALL = NetworkSettings(hidden_units=8, num_layers=1)


def sharpened(actor: nn.Module) -> nn.Module:
    """A policy whose choices are far from even."""
    for layer in (getattr(actor, name, None) for name in ("logits", "mean", "advantage")):
        if layer is not None:
            nn.init.normal_(layer.weight, std=1.5)
    return actor


def make_actor(shape: ActionShape) -> StochasticActor:
    torch.manual_seed(3)
    actor = make_stochastic_actor(OBS, shape, SMALL)
    sharpened(actor)
    return actor


def observed(rows: int, allowed: Tensor | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    masks = torch.ones(rows, sum(BRANCHES)) if allowed is None else allowed
    return torch.cat((torch.randn(rows, OBS, generator=generator), masks), dim=1)


def random_masks(rows: int, seed: int) -> Tensor:
    """At least one choice of each branch is allowed."""
    rng = np.random.default_rng(seed)
    parts = [rng.random((rows, size)) < 0.4 for size in BRANCHES]
    for part in parts:
        part[np.arange(rows), rng.integers(part.shape[1], size=rows)] = True
    return torch.from_numpy(np.concatenate(parts, axis=1)).float()


def allowed_of(masks: Tensor, choices: Tensor) -> Tensor:
    """Whether each choice, (B, branches), was allowed."""
    starts = torch.tensor([0, *np.cumsum(BRANCHES)[:-1].tolist()])
    return masks.gather(1, choices.long() + starts) > 0


def distributions(actor: StochasticActor, obs: Tensor) -> list[torch.distributions.Categorical]:
    return [torch.distributions.Categorical(logits=part) for part in actor.scores(obs)]


def test_the_kind_of_actions_decides_on_the_policy() -> None:
    kinds = {shape.kind: type(make_actor(shape)).__name__ for shape in (ActionShape(2), DISCRETE, HYBRID)}
    assert kinds == {"continuous": "GaussianActor", "discrete": "CategoricalActor", "hybrid": "HybridActor"}


def test_log_prob_and_entropy_are_sums_over_the_branches() -> None:
    actor, obs = make_actor(DISCRETE), observed(50, random_masks(50, 0))
    act = actor.sample(obs, torch.randn(50, 3))
    logp, entropy = actor.log_prob_and_entropy(obs, act)
    parts = distributions(actor, obs)
    expected = sum(part.log_prob(act[:, k]) for k, part in enumerate(parts))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(logp, expected)
    assert entropy.item() == pytest.approx(sum(part.entropy().mean().item() for part in parts), rel=1e-5)  # type: ignore[no-untyped-call]


def test_two_even_branches_of_2_and_4_have_the_entropy_of_8_outcomes() -> None:
    actor = CategoricalActor(OBS, ActionShape(0, (2, 4)), SMALL)
    nn.init.zeros_(actor.logits.weight)
    obs = torch.cat((torch.randn(3, OBS), torch.ones(3, 6)), dim=1)
    logp, entropy = actor.log_prob_and_entropy(obs, torch.tensor([[0.0, 0.0], [1.0, 3.0], [0.0, 2.0]]))
    assert entropy.item() == pytest.approx(np.log(8))
    assert logp.tolist() == pytest.approx([-np.log(8)] * 3)
    obs[:, -4:-2] = 0.0  # two of four are forbidden
    assert actor.log_prob_and_entropy(obs, torch.tensor([[0.0, 2.0]] * 3))[1].item() == pytest.approx(np.log(4))


def test_a_hybrid_log_prob_is_that_of_its_parts() -> None:
    actor, obs = make_actor(HYBRID), observed(20)
    assert isinstance(actor, HybridActor)
    actor.log_std.data = torch.tensor([-1.0, 0.5])
    act = actor.sample(obs, torch.randn(20, 5))
    normal = torch.distributions.Normal(actor.parts(obs)[0], actor.log_std.exp())
    logp, entropy = actor.log_prob_and_entropy(obs, act)
    parts = distributions(actor, obs)
    expected = normal.log_prob(act[:, :2]).sum(1)  # type: ignore[no-untyped-call]
    expected += sum(part.log_prob(act[:, 2 + k]) for k, part in enumerate(parts))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(logp, expected)
    both = normal.entropy()[0].sum() + sum(part.entropy().mean() for part in parts)  # type: ignore[no-untyped-call]
    assert entropy.item() == pytest.approx(both.item(), rel=1e-5)


def test_samples_are_as_frequent_as_they_are_likely() -> None:
    actor = make_actor(DISCRETE)
    obs = observed(1).expand(60_000, -1)
    drawn = actor.sample(obs, torch.randn(60_000, 3, generator=torch.Generator().manual_seed(0))).long()
    for branch, part in enumerate(distributions(actor, obs[:1])):
        found = torch.bincount(drawn[:, branch], minlength=BRANCHES[branch]) / len(drawn)
        torch.testing.assert_close(found, part.probs[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("shape", [DISCRETE, HYBRID], ids=["discrete", "hybrid"])
def test_masked_choices_are_never_made_in_100_000_samples(shape: ActionShape) -> None:
    actor, masks = make_actor(shape), random_masks(100_000, 1)
    obs, size = observed(100_000, masks), shape.continuous
    with torch.no_grad():
        for act in (actor.sample(obs, torch.randn(100_000, shape.size)), actor.action(obs), actor.random_action(obs)):
            assert allowed_of(masks, act[:, size:]).all()


@given(st.integers(0, 2**31), st.floats(-40, 40))
@settings(max_examples=50, deadline=None)
def test_no_noise_however_large_leads_to_a_choice_of_probability_0(seed: int, noise: float) -> None:
    log_probs = torch.log_softmax(torch.where(random_masks(64, seed)[:, 5:] > 0, torch.randn(64, 4), -1e8), dim=1)
    chosen = draw([log_probs], torch.full((64, 1), noise))
    assert (log_probs.gather(1, chosen.long()) > -1e7).all()


def test_the_best_choice_is_the_likeliest_that_is_allowed() -> None:
    actor, masks = make_actor(DISCRETE), random_masks(500, 2)
    obs = observed(500, masks)
    chosen = actor.action(obs).long()
    for branch, part in enumerate(distributions(actor, obs)):
        assert torch.equal(part.probs.argmax(1), chosen[:, branch])


def test_a_branch_without_an_allowed_choice_gives_no_nan() -> None:
    actor = make_actor(HYBRID)
    obs = observed(4, torch.zeros(4, sum(BRANCHES)))
    act = actor.sample(obs, torch.randn(4, 5))
    logp, entropy = actor.log_prob_and_entropy(obs, act)
    (logp.sum() + entropy).backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(logp).all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in actor.parameters())


def test_masks_do_not_reach_the_encoder() -> None:
    actor, obs = make_actor(DISCRETE), observed(6)
    other = observed(6, random_masks(6, 9))
    assert torch.equal(actor.encoder(obs), actor.encoder(other))


def test_actions_leave_in_the_environments_format() -> None:
    act = torch.tensor([[0.5, -1.0, 2.0, 0.0, 3.0]])
    hybrid = HYBRID.for_env(act)
    assert hybrid["continuous"].tolist() == [[0.5, -1.0]]
    assert hybrid["discrete"].tolist() == [[2, 0, 3]]
    discrete = DISCRETE.for_env(act[:, 2:])
    assert (discrete.dtype, discrete.tolist()) == (np.int32, [[2, 0, 3]])
    assert ActionShape(5).for_env(act).tolist() == act.tolist()


def test_encoded_actions_are_clamped_numbers_and_one_hot_choices() -> None:
    shape = ActionShape(1, (2, 3))
    assert shape.encode(torch.tensor([[6.0, 1.0, 0.0]])).tolist() == [[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]]
    assert shape.encoded_size == 6


@pytest.mark.parametrize("dueling", [False, True])
def test_a_q_network_acts_by_the_best_value_that_is_allowed(dueling: bool) -> None:
    torch.manual_seed(0)
    network = QNetwork(OBS, DISCRETE, SMALL.model_copy(update={"dueling": dueling}))
    masks = random_masks(100, 4)
    obs = observed(100, masks)
    values, starts = network(obs), [0, *np.cumsum(BRANCHES)[:-1].tolist()]
    for branch, (start, size) in enumerate(zip(starts, BRANCHES, strict=True)):
        part = values[:, start : start + size].masked_fill(masks[:, start : start + size] == 0, -torch.inf)
        assert torch.equal(part.argmax(1), network.action(obs)[:, branch].long())


def test_dueling_advantages_have_the_mean_0_in_every_branch() -> None:
    torch.manual_seed(0)
    network = QNetwork(OBS, DISCRETE, SMALL.model_copy(update={"dueling": True}))
    sharpened(network)
    obs = observed(30)
    assert network.value is not None
    state_value = network.value(network.encoder(obs))
    for part in torch.split(network(obs) - state_value, list(BRANCHES), dim=1):
        torch.testing.assert_close(part.mean(dim=1), torch.zeros(30), atol=1e-5, rtol=0)
    shifted = network(obs)
    network.advantage.bias.data += torch.repeat_interleave(torch.tensor([5.0, -2.0, 1.0]), torch.tensor(BRANCHES))
    torch.testing.assert_close(network(obs), shifted)  # a constant in A cannot be mistaken for V


def test_masks_follow_the_observation_as_1_for_what_is_allowed() -> None:
    obs = np.array([[7.0], [8.0]], dtype=np.float32)
    masks = [np.array([[True, False], [False, False]]), np.array([[False, True, True], [False, False, True]])]
    wide = with_allowed(obs, masks, (2, 3))
    assert wide.dtype == np.float32
    assert wide.tolist() == [[7, 0, 1, 1, 0, 0], [8, 1, 1, 1, 1, 0]]
    assert with_allowed(obs, None, (2,)).tolist() == [[7, 1, 1], [8, 1, 1]]
    with pytest.raises(RunError, match="action mask of branch 1, row 1: forbids all choices"):
        with_allowed(obs, [np.zeros((2, 2), bool), np.array([[False] * 3, [True] * 3])], (2, 3))


def test_final_observations_are_as_wide_and_allow_everything() -> None:
    obs = np.zeros((2, 1), dtype=np.float32)
    infos: dict[str, Any] = {"final_obs": obs + 3, "action_mask": [np.array([[True, False]] * 2)]}
    assert seen(obs, infos, (2,)).tolist() == [[0, 0, 1]] * 2
    assert infos["final_obs"].tolist() == [[3, 1, 1]] * 2
    assert seen(obs, {}, ()) is obs
