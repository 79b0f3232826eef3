"""Importance sampling: what one distribution's samples say of another one.

E_{x~p}[f(x)] = E_{x~q}[f(x) p(x) / q(x)]. Here p is the policy that is learned, q the older one that acted, and
rho = pi(a|s) / pi_old(a|s) their ratio. The price is variance, which grows with the distance of p from q.
"""

import torch
from torch import Tensor


def weighted_variance(f: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Return Var_{x~q}[f p / q] = E_{x~p}[f^2 p / q] - E_{x~p}[f]^2, of one sample; ().

    Args:
        f: of every possible x, (X,).
        p: probabilities that the mean is about, (X,).
        q: probabilities of the samples, (X,); above 0 wherever p is.
    """
    possible = p > 0
    f, p, q = f[possible], p[possible], q[possible]
    return (p * f**2 * p / q).sum() - (p * f).sum() ** 2


def surrogate(new_logp: Tensor, old_logp: Tensor, adv: Tensor) -> Tensor:
    """Return J = mean rho A, whose gradient is mean rho A grad log pi(a|s); all (B,), the mean ().

    Schulman et al. 2017, arXiv 1707.06347, eq. 6. Where both policies are the same, this is the policy gradient.
    """
    return (torch.exp(new_logp - old_logp) * adv).mean()


def kl_divergence(new_logp: Tensor, old_logp: Tensor) -> Tensor:
    """Estimate KL(pi_old || pi) = E_old[log pi_old - log pi] by mean(rho - 1 - log rho), in nats; ().

    E_old[rho] = 1, so that the mean and its gradient are right, and no sample is negative (Schulman 2020,
    "Approximating KL divergence").

    Args:
        new_logp: log pi(a|s), (B,).
        old_logp: log pi_old(a|s) of actions that pi_old has drawn, (B,).
    """
    log_ratio = new_logp - old_logp
    return (log_ratio.exp() - 1.0 - log_ratio).mean()


def corrected_rewards(rew: Tensor, new_logp: Tensor, old_logp: Tensor) -> Tensor:
    """Return r_t prod_{k<=t} rho_k: an old policy's rewards, in the mean those of the new one.

    Their sum is an unbiased estimate of the new policy's return, and sums from t on, times grad log pi(a_t|s_t),
    one of its gradient (per-decision importance sampling, Precup, Sutton & Singh 2000).

    Args:
        rew: r_t of whole episodes, (T, M).
        new_logp: log pi(a_t|s_t), (T, M); 0 after an episode's end.
        old_logp: log pi_old(a_t|s_t), likewise.

    Returns:
        (T, M).
    """
    return rew * torch.exp((new_logp - old_logp).cumsum(dim=0))
