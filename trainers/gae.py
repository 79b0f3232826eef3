"""Generalised advantage estimation."""

from collections.abc import Sequence

import torch
from torch import Tensor


def gae(
    rew: Tensor,
    val: Tensor,
    next_val: Tensor,
    terminated: Tensor,
    cut: Tensor,
    valid: Tensor,
    *,
    gamma: float | Sequence[float],
    lam: float,
) -> Tensor:
    """Estimate advantages: A_t = sum_l (gamma lam)^l delta_{t+l}.

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t), Schulman et al. 2016, arXiv 1506.02438, eq. 16. Only a
    termination sets V(s_{t+1}) to zero; at a time limit next_val is the value of the true last observation.

    Args:
        rew: r_t, (T, N), or (T, N, K) for K streams of rewards.
        val: V(s_t), of the same shape.
        next_val: V(s_{t+1}) of the same episode, of the same shape.
        terminated: the task ended in this step, (T, N), or (T, N, K) or (T, N, 1) beside streams, 0 or 1.
        cut: the trace ends after this step, likewise, 0 or 1: any end of an episode, or `time_horizon`.
        valid: a transition ended in this step, likewise, bool; others are passed over, as if they were not there.
        gamma: discount per decision, one for all streams or one for each.
        lam: trace decay; 0 is the temporal difference, 1 Monte Carlo.

    Returns:
        Advantages, shaped as rew; meaningless where not valid.
    """
    discount = torch.as_tensor(gamma, dtype=torch.float64, device=rew.device)
    delta = rew + discount.to(rew.dtype) * next_val * (1.0 - terminated) - val
    decay = (discount * lam).to(rew.dtype) * (1.0 - cut)
    adv = torch.empty_like(rew)
    tail = torch.zeros_like(rew[0])
    for t in range(len(rew) - 1, -1, -1):
        tail = torch.where(valid[t], delta[t] + decay[t] * tail, tail)
        adv[t] = tail
    return adv
