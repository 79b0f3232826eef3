"""Asynchronous advantage actor-critic (Mnih et al. 2016, arXiv 1602.01783): what each process computes."""

import os
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from trainers.a3c.networks import GlobalNetworks
from trainers.algorithms.a2c import A2c
from trainers.algorithms.algorithm import Metrics
from trainers.heads import Role
from trainers.hyperparameters import A3cHyperparameters


class A3c(A2c):
    """A2C whose gradients go to global networks, and whose own networks are copies of them.

    Several processes with one of these each are A3C; one alone is A2C with the paper's RMSprop.

    Attributes:
        shared: the global networks.
    """

    remembers: ClassVar[bool] = False
    reads_signals: ClassVar[bool] = False  # a worker knows of its networks' sensors alone
    head_roles: ClassVar[tuple[Role, ...]] = ("total",)  # all others would need statistics of all workers
    hyper: A3cHyperparameters
    shared: GlobalNetworks
    _worker = 0

    def _make_optimizer(self) -> Optimizer:
        self._networks = nn.ModuleList([self.actor, self.critic])
        self.shared = GlobalNetworks(self._networks, self.hyper, worker_count(self.hyper))
        return self.shared.optimizer

    def join(self, shared: GlobalNetworks, worker: int) -> None:
        """Work on another process's global networks, as its worker of that number."""
        self.shared, self.optimizer, self._worker = shared, shared.optimizer, worker
        self.pull()

    def pull(self) -> int:
        """Copy the global networks; returns the step that they are of."""
        return self.shared.copy_to(self._networks)

    def update(self, progress: float) -> Metrics:
        """Take one step of the global networks along the gradient of the own ones."""
        self._schedule_rate(progress)
        steps = int(self.rollout.valid.sum())
        obs = self.rollout.obs[:-1][self.rollout.valid]
        metrics = self._differentiate(progress)
        self.shared.descend(self._networks, self._worker, steps, obs)
        return metrics | {"policy/learning_rate": self._rate()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, with the global networks too."""
        super().load_state_dict(state)
        self.shared.set(self._networks)

    def _update_normalizers(self, obs: Tensor) -> None:
        """Leave the own normalisers alone: the global ones take the observations in."""


def worker_count(hyper: A3cHyperparameters) -> int:
    """Return the number of workers: num_workers, or one per CPU."""
    return hyper.num_workers or len(os.sched_getaffinity(0))
