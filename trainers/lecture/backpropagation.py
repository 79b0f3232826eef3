"""Neural networks and SGD: a fit of (state, action, target Q), and its gradient layer by layer.

Lei Ying, "Lecture 10: Neural Nets and SGD", University of Michigan. Layer l computes x_l = w_l y_(l-1) + b_l and
y_l = sigma(x_l); the last one has no sigma.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

LEAK = 0.01  # slope of the leaky ReLU below 0

SIGMA: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": lambda x: torch.where(x > 0, x, LEAK * x),
    "tanh": torch.tanh,
}
SIGMA_PRIME: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: (x > 0).to(x.dtype),
    "leaky_relu": lambda x: torch.where(x > 0, torch.ones_like(x), LEAK),
    "tanh": lambda x: 1.0 - torch.tanh(x) ** 2,
}


class QNetwork(nn.Module):
    """Q(x, u; w), a multilayer perceptron.

    Args:
        sizes: of its layers, from state and action together to 1.
        activation: a key of `SIGMA`.
    """

    def __init__(self, sizes: Sequence[int], activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(sizes))
        self.activation = activation

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Return Q of B pairs, (B,)."""
        y = torch.cat([state, action], dim=1)
        for layer in self.layers[:-1]:
            y = SIGMA[self.activation](layer(y))
        value: Tensor = self.layers[-1](y).squeeze(1)
        return value


def squared_error(value: Tensor, target: Tensor) -> Tensor:
    """Return L = sum_m (Q_m - target_m)^2."""
    return (value - target).square().sum()


def fit(
    network: QNetwork, data: tuple[Tensor, Tensor, Tensor], rate: float, steps: int, batch_size: int
) -> list[float]:
    """Fit Q to targets by stochastic gradient descent, w <- w - rate grad L(w).

    Args:
        network: to be fitted.
        data: states (M, D), actions (M, A) and target Q values (M,).
        rate: step size, for the mean over the minibatch.
        steps: minibatches.
        batch_size: of each, drawn by torch's own random numbers.

    Returns:
        The mean squared error of each minibatch before its step.
    """
    states, actions, targets = data
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    errors = []
    for _ in range(steps):
        batch = torch.randint(len(targets), (batch_size,))
        loss = squared_error(network(states[batch], actions[batch]), targets[batch]) / batch_size
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        errors.append(loss.item())
    return errors


def backpropagate(network: QNetwork, state: Tensor, action: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return dL/dw_l and dL/db_l of every layer, by the formulas of the notes.

    dL/dw_lij = dL/dy_li sigma'(x_li) y_(l-1)j, dL/db_li = dL/dy_li sigma'(x_li),
    dL/dy_(l-1)i = sum_k dL/dy_lk sigma'(x_lk) w_lki; summed over the B samples.

    Args:
        network: whose gradient is wanted.
        state: (B, D).
        action: (B, A).
        target: (B,).
    """
    sigma, sigma_prime = SIGMA[network.activation], SIGMA_PRIME[network.activation]
    parameters = [parameter.detach() for parameter in network.parameters()]
    weights = list(zip(parameters[0::2], parameters[1::2], strict=True))
    ys, xs = [torch.cat([state, action], dim=1)], []
    for w, b in weights:
        xs.append(ys[-1] @ w.T + b)
        ys.append(sigma(xs[-1]))
    ys[-1] = xs[-1]

    gradients = []
    dl_dx = 2.0 * (ys[-1] - target[:, None])  # of the last layer, where sigma' = 1
    for layer in reversed(range(len(weights))):
        gradients.append((dl_dx.T @ ys[layer], dl_dx.sum(dim=0)))
        if layer > 0:
            dl_dy = dl_dx @ weights[layer][0]
            dl_dx = dl_dy * sigma_prime(xs[layer - 1])
    return gradients[::-1]
