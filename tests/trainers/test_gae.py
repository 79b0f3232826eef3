from functools import partial

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from trainers import gae as module

SHAPE = (6, 3)
values = arrays(np.float64, SHAPE, elements=st.floats(-10, 10))
flags = arrays(np.bool_, SHAPE)
fractions = st.floats(0, 1)


def gae(
    rew: Tensor, val: Tensor, next_val: Tensor, terminated: Tensor, cut: Tensor, *, gamma: float, lam: float
) -> Tensor:
    """Advantages where every step ends a transition."""
    valid = torch.ones(rew.shape, dtype=torch.bool)
    return module.gae(rew, val, next_val, terminated, cut, valid, gamma=gamma, lam=lam)


def col(*numbers: float) -> Tensor:
    """One row over T steps, (T, 1)."""
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def row(adv: Tensor) -> list[float]:
    listed: list[float] = adv[:, 0].tolist()
    return listed


def test_gae_follows_worked_arithmetic_over_three_steps() -> None:
    rew, val, next_val, never = col(1, 2, 3), col(1, 1, 1), col(1, 1, 4), col(0, 0, 0)
    # delta = 1 + 0.5 - 1, 2 + 0.5 - 1, 3 + 2 - 1; gamma lam = 0.25
    # A_2 = 4, A_1 = 1.5 + 0.25 * 4, A_0 = 0.5 + 0.25 * 2.5
    assert row(gae(rew, val, next_val, never, never, gamma=0.5, lam=0.5)) == [1.125, 2.5, 4.0]


def test_gae_bootstraps_through_a_time_limit() -> None:
    end = partial(gae, col(1), col(0), col(10), gamma=0.5, lam=0.9)
    assert row(end(col(0), col(1))) == [1 + 0.5 * 10]
    assert row(end(col(1), col(1))) == [1]


def test_a_termination_hides_what_the_next_episode_earns() -> None:
    rew, val, next_val = col(1, 2, 100), col(1, 1, 1), col(1, 7, 4)
    ended = col(0, 1, 0)
    # delta_1 = 2 - 1, the 7 does not count; delta_0 = 1 + 0.5 - 1
    assert row(gae(rew, val, next_val, ended, ended, gamma=0.5, lam=0.5))[:2] == [0.5 + 0.25 * 1, 1.0]


def test_a_cut_keeps_the_value_and_drops_the_trace() -> None:
    rew, val, next_val, never = col(1, 2, 100), col(1, 1, 1), col(1, 7, 4), col(0, 0, 0)
    # delta_1 = 2 + 3.5 - 1, and nothing of A_2 = 101 reaches it
    assert row(gae(rew, val, next_val, never, col(0, 1, 0), gamma=0.5, lam=0.5)) == [0.5 + 0.25 * 4.5, 4.5, 101.0]


def test_rows_do_not_mix() -> None:
    rew = torch.tensor([[1.0, 0.0], [1.0, 5.0]])
    zero = torch.zeros(2, 2)
    adv = gae(rew, zero, zero, zero, zero, gamma=1.0, lam=1.0)
    assert adv.tolist() == [[2.0, 5.0], [1.0, 5.0]]


@given(values, values, values, flags, flags, fractions)
def test_lambda_0_is_the_temporal_difference(
    rew: np.ndarray, val: np.ndarray, next_val: np.ndarray, terminated: np.ndarray, cut: np.ndarray, gamma: float
) -> None:
    parts = [torch.from_numpy(part.astype(float)) for part in (rew, val, next_val, terminated, cut)]
    adv = gae(*parts, gamma=gamma, lam=0.0)
    np.testing.assert_allclose(adv, rew + gamma * next_val * ~terminated - val, atol=1e-12)


@given(values, values, st.floats(-10, 10), fractions)
def test_lambda_1_is_the_discounted_return_less_the_value(
    rew: np.ndarray, val: np.ndarray, last: float, gamma: float
) -> None:
    next_val = np.vstack([val[1:], np.full((1, SHAPE[1]), last)])
    never = torch.zeros(SHAPE, dtype=torch.float64)
    tensors = [torch.from_numpy(part) for part in (rew, val, next_val)]
    adv = gae(tensors[0], tensors[1], tensors[2], never, never, gamma=gamma, lam=1.0)
    steps = SHAPE[0]
    for t in range(steps):
        future = sum(gamma ** (k - t) * rew[k] for k in range(t, steps)) + gamma ** (steps - t) * last
        np.testing.assert_allclose(adv[t], future - val[t], atol=1e-9)


@given(values, values, values, flags, flags, fractions, fractions)
def test_gae_is_the_sum_of_its_definition(
    rew: np.ndarray,
    val: np.ndarray,
    next_val: np.ndarray,
    terminated: np.ndarray,
    cut: np.ndarray,
    gamma: float,
    lam: float,
) -> None:
    ends = cut | terminated
    parts = [torch.from_numpy(part.astype(float)) for part in (rew, val, next_val, terminated, ends)]
    adv = gae(*parts, gamma=gamma, lam=lam)
    for n in range(SHAPE[1]):
        for t in range(SHAPE[0]):
            total, weight = 0.0, 1.0
            for k in range(t, SHAPE[0]):
                bootstrap = 0.0 if terminated[k, n] else gamma * next_val[k, n]
                total += weight * (rew[k, n] + bootstrap - val[k, n])
                weight *= gamma * lam
                if ends[k, n]:
                    break
            np.testing.assert_allclose(adv[t, n], total, atol=1e-9)


@given(values, values, values, flags, flags, flags, fractions)
def test_steps_without_a_transition_are_passed_over_as_if_they_were_not_there(
    rew: np.ndarray,
    val: np.ndarray,
    next_val: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    valid: np.ndarray,
    lam: float,
) -> None:
    parts = [torch.from_numpy(part.astype(float)) for part in (rew, val, next_val, terminated, ended | terminated)]
    adv = module.gae(
        parts[0], parts[1], parts[2], parts[3], parts[4], torch.from_numpy(valid), gamma=0.9, lam=lam
    ).numpy()  # fmt: skip
    for n in range(SHAPE[1]):
        kept = valid[:, n]
        alone = [part[kept, n : n + 1] for part in parts]
        if kept.any():
            expected = gae(alone[0], alone[1], alone[2], alone[3], alone[4], gamma=0.9, lam=lam)
            np.testing.assert_allclose(adv[kept, n], expected[:, 0], atol=1e-9)


@given(arrays(np.float64, (*SHAPE, 2), elements=st.floats(-10, 10)), values, flags, flags, flags, fractions, fractions)
def test_streams_are_discounted_apart_and_share_the_ends(
    rew: np.ndarray,
    val: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    valid: np.ndarray,
    gamma: float,
    lam: float,
) -> None:
    ends = [torch.from_numpy(part) for part in (terminated.astype(float), (ended | terminated).astype(float), valid)]
    rewards, state = torch.from_numpy(rew), torch.from_numpy(np.stack([val, -val], axis=-1))
    gammas, wide = [gamma, 0.5], [flag[..., None] for flag in ends]
    both = module.gae(rewards, state, state.flip(0), *wide, gamma=gammas, lam=lam)
    for k in range(2):
        alone = module.gae(rewards[..., k], state[..., k], state.flip(0)[..., k], *ends, gamma=gammas[k], lam=lam)
        assert torch.equal(both[..., k], alone)
