"""What gradient descent does everywhere alike: its learning rate, its minibatches, the bound of its gradient."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give all parameters of an optimiser one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradient(parameters: Iterable[Tensor], max_norm: float | None) -> Tensor:
    """Bring the gradient's norm down to max_norm, where there is one; returns what it was, ()."""
    return nn.utils.clip_grad_norm_(parameters, torch.inf if max_norm is None else max_norm)


def minibatches(
    samples: Tensor, batch_size: int, num_epoch: int, generator: torch.Generator, each: int | None = None
) -> Iterator[Tensor]:
    """Iterate over minibatches of passes in random order, as indices.

    Args:
        samples: what the indices are of, (B, ...); they come where it lives.
        batch_size: of a minibatch; the last one of a pass may be smaller.
        num_epoch: passes.
        generator: of the order.
        each: how many samples a pass takes; None takes all.
    """
    for _ in range(num_epoch):
        order = torch.randperm(len(samples), generator=generator)[:each]
        yield from torch.split(order.to(samples.device), batch_size)


def mean_metrics(steps: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
    """Return the mean of everything that gradient steps tell of themselves, over those that tell of it."""
    sums: dict[str, Tensor | float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for metrics in steps:
        for name, value in metrics.items():
            sums[name] = sums[name] + value.detach()
            counts[name] += 1
    return {name: float(total) / counts[name] for name, total in sums.items()}
