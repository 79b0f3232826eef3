"""A task small enough to write down every episode, so that means and variances of estimators are exact."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

STEPS, STATES, ACTIONS = 3, 2, 2

_random = torch.Generator().manual_seed(1)
NEXT = torch.rand(STATES, ACTIONS, STATES, generator=_random, dtype=torch.float64) + 0.2
NEXT /= NEXT.sum(dim=-1, keepdim=True)  # P(s'|s, a)
REWARD = 3.0 + torch.randn(STATES, ACTIONS, generator=_random, dtype=torch.float64)
THETA = torch.randn(STATES, ACTIONS, generator=_random, dtype=torch.float64)  # pi(a|s) = softmax(theta_s)_a


@dataclass(frozen=True)
class Everything:
    """All E episodes: states and actions (T, E), rewards (T, E), and the chance of each under a policy, (E,)."""

    states: Tensor
    actions: Tensor
    rew: Tensor

    def chance(self, theta: Tensor) -> Tensor:
        moves = NEXT[self.states[:-1], self.actions[:-1], self.states[1:]].prod(dim=0)
        return moves * self.logp(theta).sum(dim=0).exp()

    def logp(self, theta: Tensor) -> Tensor:
        return torch.log_softmax(theta, dim=-1)[self.states, self.actions]

    def scores(self, theta: Tensor) -> Tensor:
        """grad log pi(a_t|s_t), (T, E, parameters)."""
        scores = torch.zeros(*self.states.shape, STATES, ACTIONS, dtype=torch.float64)
        one_hot = torch.nn.functional.one_hot(self.actions, ACTIONS).double()
        at_state = one_hot - torch.softmax(theta, dim=-1)[self.states]
        scores.scatter_(2, self.states[..., None, None].expand(-1, -1, 1, ACTIONS), at_state[:, :, None])
        return scores.flatten(2)


def enumerate_episodes() -> Everything:
    """All episodes that begin in state 0."""
    found = list(product(*[range(ACTIONS), range(STATES)] * (STEPS - 1), range(ACTIONS)))
    actions = torch.tensor([episode[0::2] for episode in found]).T
    states = torch.tensor([(0, *episode[1::2]) for episode in found]).T
    return Everything(states, actions, REWARD[states, actions])


def exact_gradient(theta: Tensor, gamma: float = 1.0) -> Tensor:
    """sum_t sum_{t'>=t} gamma^(t'-t) dE[r_t']/dtheta_t, by forward recursion; theta_t is the policy of step t alone.

    With gamma 1 it is the gradient of the expected return.
    """
    steps = [theta.clone().requires_grad_() for _ in range(STEPS)]
    state = torch.tensor([1.0, 0.0], dtype=torch.float64)
    expected = []
    for own in steps:
        pair = state[:, None] * torch.softmax(own, dim=-1)
        expected.append((pair * REWARD).sum())
        state = torch.einsum("sa,san->n", pair, NEXT)
    total = torch.zeros(STATES * ACTIONS, dtype=torch.float64)
    for later, reward in enumerate(expected):
        parts = torch.autograd.grad(reward, steps, retain_graph=True, allow_unused=True)
        for t, part in enumerate(parts[: later + 1]):
            if part is not None:
                total += gamma ** (later - t) * part.flatten()
    return total
