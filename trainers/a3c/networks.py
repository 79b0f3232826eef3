"""What the processes of A3C share: policy and value network, RMSprop's statistics, the step counter."""

import fcntl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainers.actors import Actor
from trainers.hyperparameters import A3cHyperparameters
from trainers.networks import Encoder


class SharedRMSprop(Optimizer):
    """RMSprop whose statistics all processes share (Mnih et al. 2016, arXiv 1602.01783, section 4).

    g <- alpha g + (1 - alpha) dtheta^2, theta <- theta - eta dtheta / sqrt(g + eps).

    Args:
        parameters: theta, in shared memory.
        rate: eta.
        decay: alpha.
        epsilon: eps.
    """

    def __init__(self, parameters: list[nn.Parameter], rate: float, decay: float, epsilon: float) -> None:
        super().__init__(parameters, {"lr": rate, "alpha": decay, "eps": epsilon})
        for parameter in parameters:
            self.state[parameter]["square"] = _shared(torch.zeros_like(parameter).detach())

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # a closure makes no sense here
        """Take one step along the gradients."""
        del closure
        for group in self.param_groups:
            for parameter in group["params"]:
                grad, square = parameter.grad, self.state[parameter]["square"]
                square.mul_(group["alpha"]).addcmul_(grad, grad, value=1.0 - group["alpha"])
                parameter.addcdiv_(grad, (square + group["eps"]).sqrt(), value=-group["lr"])

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the statistics; they stay in shared memory."""
        for index, parameter in enumerate(self.param_groups[0]["params"]):
            self.state[parameter]["square"].copy_(state_dict["state"][index]["square"])


class GlobalNetworks:
    """Policy and value network in shared memory.

    One process at a time changes or copies them. The lock is a file's, which the system gives back when its holder is
    killed; what that one had not finished is lost, and nobody waits for it.

    Args:
        networks: policy and value network, as they are now.
        hyper: of RMSprop.
        workers: W.

    Attributes:
        optimizer: of the shared parameters.
        steps: the global step counter, a summand per worker, (W,): each has a single writer, so no step is lost.
    """

    def __init__(self, networks: nn.ModuleList, hyper: A3cHyperparameters, workers: int) -> None:
        self._networks = deepcopy(networks).share_memory()
        parameters = list(self._networks.parameters())
        self.optimizer = SharedRMSprop(parameters, hyper.learning_rate, hyper.rms_decay, hyper.rms_epsilon)
        self.steps = _shared(torch.zeros(workers, dtype=torch.int64))
        self._stop = _shared(torch.zeros(1, dtype=torch.bool))
        self._file = tempfile.NamedTemporaryFile(prefix="a3c-", suffix=".lock")  # noqa: SIM115  # goes with this object
        self._lock_path = self._file.name

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs."""
        return {key: value for key, value in self.__dict__.items() if key != "_file"}

    @property
    def actor(self) -> Actor:
        """The global policy."""
        actor = self._networks[0]
        assert isinstance(actor, Actor)
        return actor

    @property
    def step(self) -> int:
        """The global step counter."""
        return int(self.steps.sum())

    @property
    def stopped(self) -> bool:
        """Whether the workers are to end."""
        return bool(self._stop)

    def stop(self) -> None:
        """Let the workers end after the rollout that they are in."""
        self._stop.fill_(True)

    @torch.no_grad()
    def set(self, networks: nn.ModuleList) -> None:
        """Take over a policy and a value network."""
        with self._locked():
            _copy(networks, self._networks)

    @torch.no_grad()
    def copy_to(self, networks: nn.ModuleList) -> int:
        """Copy both into local networks; returns the step that they are of."""
        with self._locked():
            _copy(self._networks, networks)
            return self.step

    @torch.no_grad()
    def descend(self, networks: nn.ModuleList, worker: int, steps: int, obs: Tensor) -> None:
        """Apply the gradients of local networks to the global ones, and copy the result back.

        Args:
            networks: whose parameters have gradients.
            worker: who has made them.
            steps: of how many environment steps.
            obs: which the global networks' normalisers take in, (B, D).
        """
        with self._locked():
            for shared, local in zip(self._networks.parameters(), networks.parameters(), strict=True):
                shared.grad = local.grad
            self.optimizer.step()
            for module in self._networks.modules():
                if isinstance(module, Encoder):
                    module.update_normalizer(obs)
            self.steps[worker] += steps
            _copy(self._networks, networks)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with Path(self._lock_path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _shared(tensor: Tensor) -> Tensor:
    tensor.share_memory_()  # type: ignore[no-untyped-call]
    return tensor


def _copy(source: nn.Module, target: nn.Module) -> None:
    for into, value in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
        into.copy_(value)
