import pytest
import torch

from tests.trainers.enumerable_mdp import THETA, enumerate_episodes, exact_gradient
from trainers.importance import corrected_rewards, kl_divergence, surrogate, weighted_variance

OLD = THETA + torch.tensor([[0.4, -0.3], [-0.2, 0.5]])  # the policy that acted


def test_an_old_policys_episodes_give_the_new_ones_gradient() -> None:
    every = enumerate_episodes()
    rew = corrected_rewards(every.rew, every.logp(THETA), every.logp(OLD))
    to_go = rew.flip(0).cumsum(dim=0).flip(0)
    estimates = (to_go[..., None] * every.scores(THETA)).sum(dim=0)
    mean = (every.chance(OLD)[:, None] * estimates).sum(dim=0)
    torch.testing.assert_close(mean, exact_gradient(THETA), rtol=0, atol=1e-12)
    uncorrected = (every.chance(OLD)[:, None, None] * every.rew.flip(0).cumsum(0).flip(0).T[..., None]
                   * every.scores(THETA).transpose(0, 1)).sum(dim=(0, 1))  # fmt: skip
    assert float((uncorrected - exact_gradient(THETA)).abs().max()) > 0.1


def test_the_variance_is_that_of_weighted_samples() -> None:
    f, p, q = torch.tensor([[1.0, -2.0, 5.0], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]).double()
    weighted = f * p / q
    mean = (q * weighted).sum()
    assert float(mean) == pytest.approx(float((p * f).sum()))
    assert float(weighted_variance(f, p, q)) == pytest.approx(float((q * (weighted - mean) ** 2).sum()))
    # 0.2/0.6 * 0.2 * 1 + 0.5/0.3 * 0.5 * 4 + 0.3/0.1 * 0.3 * 25 - 0.7^2
    assert float(weighted_variance(f, p, q)) == pytest.approx(1 / 15 + 10 / 3 + 22.5 - 0.49)


def test_samples_have_the_variance_that_the_formula_says() -> None:
    f, p, q = torch.tensor([[1.0, -2.0, 5.0], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3]]).double()
    drawn = torch.multinomial(q, 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    assert float((f * p / q)[drawn].var()) == pytest.approx(float(weighted_variance(f, p, q)), rel=0.02)


def test_the_variance_without_a_change_of_policy_is_the_plain_one_and_grows_with_the_distance() -> None:
    f, p = torch.tensor([1.0, 1.0, 4.0]), torch.tensor([0.5, 0.25, 0.25])
    assert float(weighted_variance(f, p, p)) == pytest.approx(1.6875)
    far = [torch.tensor([0.25 + x, 0.5 - x, 0.25]) for x in (0.25, 0.1, 0.0)]
    variances = [float(weighted_variance(f, p, q)) for q in far]
    assert variances == sorted(variances)


def test_the_surrogates_gradient_is_the_policy_gradient_where_nothing_has_changed() -> None:
    old, adv = torch.tensor([-1.0, -2.0, -0.5]), torch.tensor([3.0, -1.0, 2.0])
    new = old.clone().requires_grad_()
    surrogate(new, old, adv).backward()  # type: ignore[no-untyped-call]
    assert new.grad is not None
    torch.testing.assert_close(new.grad, adv / 3)


def test_the_estimate_of_the_divergence_is_right_in_the_mean_and_never_negative() -> None:
    old, new = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.2, 0.5, 0.3]).double()
    each = [float(kl_divergence(new.log()[x : x + 1], old.log()[x : x + 1])) for x in range(3)]
    assert min(each) >= 0
    exact = float((old * (old.log() - new.log())).sum())
    assert sum(chance * part for chance, part in zip(old.tolist(), each, strict=True)) == pytest.approx(exact)
