"""Side channels: what is sent beside observations and actions."""

import importlib
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from mlagents_envs.side_channel import SideChannel
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager
from mlagents_envs.side_channel.stats_side_channel import StatsAggregationMethod, StatsSideChannel

from unity_env.settings import (
    MAX_SEED,
    ConstantSampler,
    EngineSettings,
    GaussianSampler,
    MultiRangeUniformSampler,
    Sampler,
    UniformSampler,
)

ChannelFactory = Callable[[], SideChannel]
Parameters = Mapping[str, float | Sampler]


@dataclass
class PlayerChannels:
    """The side channels of one player.

    Attributes:
        engine: Unity's clock and rendering.
        parameters: environment parameters.
        stats: what the scene's StatsRecorder reports.
        own: the user's.
    """

    engine: EngineConfigurationChannel = field(default_factory=EngineConfigurationChannel)
    parameters: EnvironmentParametersChannel = field(default_factory=EnvironmentParametersChannel)
    stats: StatsSideChannel = field(default_factory=StatsSideChannel)
    own: Sequence[SideChannel] = ()

    def all(self) -> list[SideChannel]:
        """Return them for a player's constructor.

        Raises:
            ValueError: two of them have the same id.
        """
        channels = [self.engine, self.parameters, self.stats, *self.own]
        by_id: dict[UUID, SideChannel] = {}
        for channel in channels:
            if by_id.setdefault(channel.channel_id, channel) is not channel:
                first, second = type(by_id[channel.channel_id]).__name__, type(channel).__name__
                raise ValueError(f"side channel {second}: {first} has the id {channel.channel_id} already")
        return channels

    def configure(self, engine: EngineSettings) -> None:
        """Queue engine_settings; they travel with the first reset."""
        self.engine.set_configuration_parameters(
            width=engine.width,
            height=engine.height,
            quality_level=engine.quality_level,
            time_scale=engine.time_scale,
            target_frame_rate=engine.target_frame_rate,
            capture_frame_rate=engine.capture_frame_rate,
        )

    def send_parameters(self, parameters: Parameters, seed: int, known: Parameters) -> None:
        """Queue environment parameters; they travel with the next step or reset.

        Args:
            parameters: name -> number or sampler.
            seed: of samplers that have none of their own.
            known: what the player has already: a sampler that is sent again would begin its numbers anew.
        """
        for index, (name, value) in enumerate(parameters.items()):
            if name not in known or known[name] != value:
                self._send_parameter(name, value, (seed + index) % (MAX_SEED + 1))

    def _send_parameter(self, name: str, value: float | Sampler, seed: int) -> None:
        channel = self.parameters
        match value:
            case UniformSampler(sampler_parameters=of):
                channel.set_uniform_sampler_parameters(name, of.min_value, of.max_value, _seed(of.seed, seed))
            case GaussianSampler(sampler_parameters=of):
                channel.set_gaussian_sampler_parameters(name, of.mean, of.st_dev, _seed(of.seed, seed))
            case MultiRangeUniformSampler(sampler_parameters=of):
                channel.set_multirangeuniform_sampler_parameters(name, of.intervals, _seed(of.seed, seed))
            case ConstantSampler(sampler_parameters=of):
                channel.set_float_parameter(name, of.value)
            case _:
                channel.set_float_parameter(name, value)


def import_channel(path: str) -> ChannelFactory:
    """Return what makes a side channel of the class that `package.module:Class` names.

    Raises:
        ValueError: no such module or class, or no side channel; from the maker: it cannot be made without arguments.
    """
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # the module may be anybody's code
        raise ValueError(f"side channel {path}: {error}; expected package.module:Class") from error
    if not (isinstance(found, type) and issubclass(found, SideChannel)) or inspect.isabstract(found):
        raise ValueError(f"side channel {path}: not a class derived from mlagents_envs' SideChannel")

    def make() -> SideChannel:
        try:
            channel = found()
            SideChannelManager([channel])  # a constructor that forgot SideChannel's leaves it without an id
        except Exception as error:
            raise ValueError(f"side channel {path}: {class_name}() fails: {error}") from error
        return channel

    return make


def collect_stats(players: Iterable[PlayerChannels]) -> dict[str, float]:
    """Return what the players have reported since the last call, aggregated as each report asks."""
    values: dict[str, list[float]] = defaultdict(list)
    how: dict[str, StatsAggregationMethod] = {}
    for player in players:
        for name, reports in player.stats.get_and_reset_stats().items():
            values[name] += [value for value, _ in reports]
            how[name] = reports[-1][1]
    return {name: _aggregate(reported, how[name]) for name, reported in values.items()}


def _aggregate(values: list[float], how: StatsAggregationMethod) -> float:
    if how is StatsAggregationMethod.MOST_RECENT:
        return values[-1]
    if how is StatsAggregationMethod.SUM:
        return float(np.sum(values))
    return float(np.mean(values))


def _seed(own: int, drawn: int) -> int:
    return drawn if own == -1 else own
