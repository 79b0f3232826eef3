"""Generalised advantage estimation."""

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
    gamma: float,
    lam: float,
) -> Tensor:
    """Estimate advantages: A_t = sum_k (gamma lam)^k delta_{t+k}.

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t), Schulman et al. 2016, arXiv 1506.02438, eq. 16. Only a
    termination sets V(s_{t+1}) to zero; at a time limit next_val is the value of the true last observation.

    Args:
        rew: r_t, (T, N).
        val: V(s_t), (T, N).
        next_val: V(s_{t+1}) of the same episode, (T, N).
        terminated: the task ended in this step, (T, N), 0 or 1.
        cut: the trace ends after this step, (T, N), 0 or 1: any end of an episode, or `time_horizon`.
        valid: a transition ended in this step, (T, N), bool; others are passed over, as if they were not there.
        gamma: discount per decision.
        lam: trace decay; 0 is the temporal difference, 1 Monte Carlo.

    Returns:
        Advantages, (T, N); meaningless where not valid.
    """
    delta = rew + gamma * next_val * (1.0 - terminated) - val
    decay = gamma * lam * (1.0 - cut)
    adv = torch.empty_like(rew)
    tail = torch.zeros_like(rew[0])
    for t in range(len(rew) - 1, -1, -1):
        tail = torch.where(valid[t], delta[t] + decay[t] * tail, tail)
        adv[t] = tail
    return adv
