"""What an environment may be able to do beside ML-Agents' contract, and how the wrappers pass it on."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from mlagents_envs.base_env import BaseEnv

from unity_env.settings import Sampler


@runtime_checkable
class Seedable(Protocol):
    """An environment that can be seeded again while it runs; a Unity player is seeded when it starts."""

    def reseed(self, seed: int) -> None:
        """Let the episodes after the next reset depend on `seed` alone."""


@runtime_checkable
class Restorable(Protocol):
    """An environment whose state can be saved; a Unity player's cannot."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where the state was taken."""


@runtime_checkable
class Reporting(Protocol):
    """An environment whose scene reports statistics of its own."""

    def stats(self) -> dict[str, float]:
        """What was reported since the last call."""


@runtime_checkable
class Configurable(Protocol):
    """An environment whose parameters can be set while it runs."""

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Give environment parameters to the episodes that begin from now on."""


@runtime_checkable
class Sampling(Protocol):
    """An environment that tells what it has drawn from the samplers of its parameters; a Unity player does not."""

    def sampled_means(self) -> dict[str, float]:
        """The mean of each sampled parameter over the episodes begun since the last call."""


class PassesOn:
    """A wrapper over one environment, which reports, and takes parameters, as far as that one can.

    Attributes:
        env: the environment below.
    """

    env: BaseEnv

    def stats(self) -> dict[str, float]:
        """What the scene has reported of itself since the last call; empty where it cannot."""
        return self.env.stats() if isinstance(self.env, Reporting) else {}

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Give environment parameters to the episodes that begin from now on.

        Raises:
            TypeError: the environment is not `Configurable`.
            ValueError: one that the environment refuses.
        """
        if not isinstance(self.env, Configurable):
            raise TypeError(f"{type(self.env).__name__} takes no environment parameters")
        self.env.set_parameters(parameters)

    def sampled_means(self) -> dict[str, float]:
        """The mean of each sampled parameter over the episodes begun since the last call; empty where unknown."""
        return self.env.sampled_means() if isinstance(self.env, Sampling) else {}
