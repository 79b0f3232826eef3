"""env_settings -> the environment."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlagents_envs.base_env import BaseEnv

from unity_env.link.channels import ChannelFactory, Parameters, PlayerChannels, collect_stats, import_channel
from unity_env.link.environment import UnityPlayer
from unity_env.link.pool import PlayerPool, RestartLimits
from unity_env.settings import MAX_SEED, EngineSettings, EnvSettings


class Players(PlayerPool):
    """The Unity players of a run, configured alike.

    Args:
        settings: env_settings.
        engine: engine_settings.
        parameters: environment parameters.
        log_folder: where Player-<k>.log goes.
        side_channels: the user's own, made anew for every player.
        first_worker: worker id of player 0.
    """

    def __init__(
        self,
        settings: EnvSettings,
        engine: EngineSettings,
        parameters: Parameters,
        log_folder: Path | None = None,
        side_channels: Sequence[ChannelFactory] = (),
        first_worker: int = 0,
    ) -> None:
        own = [*side_channels, *(import_channel(path) for path in settings.side_channels)]
        self._channels: list[PlayerChannels] = [PlayerChannels() for _ in range(settings.num_envs)]
        self._parameters: Parameters = dict(parameters)
        self._first_seed = seed = max(settings.seed, 0) + first_worker

        def launch(index: int) -> BaseEnv:
            worker = first_worker + index
            self._channels[index] = channels = PlayerChannels(own=[factory() for factory in own])
            channels.configure(engine)
            channels.send_parameters(self._parameters, seed + index, known={})
            return UnityPlayer(
                settings.env_path,
                worker,
                settings.base_port,
                (seed + index) % (MAX_SEED + 1),
                engine.no_graphics or (engine.no_graphics_monitor and worker > 0),
                settings.timeout_wait,
                settings.env_args,
                channels.all(),
                None if log_folder is None else str(log_folder.resolve()),
                settings.num_areas,
                cancelled=self.stopping.is_set,
            )

        limits = RestartLimits(
            settings.max_lifetime_restarts, settings.restarts_rate_limit_n, settings.restarts_rate_limit_period_s
        )
        super().__init__(launch, settings.num_envs, limits)

    def set_parameters(self, parameters: Parameters) -> None:
        """Send environment parameters with the next step or reset, also to players that are started later.

        What a player does with them, and when, is its scene's affair; one that is left out keeps its value.
        """
        known, self._parameters = self._parameters, dict(parameters)
        for index, channels in enumerate(self._channels):
            channels.send_parameters(self._parameters, self._first_seed + index, known)

    def stats(self) -> dict[str, float]:
        """Return what the scenes have reported since the last call."""
        return collect_stats(self._channels)


def make_base_env(
    settings: EnvSettings,
    *,
    engine: EngineSettings | None = None,
    parameters: Parameters | None = None,
    rows: int | None = None,
    log_folder: Path | None = None,
    side_channels: Sequence[Callable[[], Any]] = (),
    first_worker: int = 0,
) -> BaseEnv:
    """Make the environment that `env_path` names.

    Args:
        settings: env_settings of a run.
        engine: engine_settings, for Unity players.
        parameters: environment parameters.
        rows: number of rows of `sim:`; None takes num_envs * num_areas.
        log_folder: where players log.
        side_channels: factories of one's own side channels, for Unity players.
        first_worker: worker id of the first player, so that two sets of players can run at once.

    Raises:
        ValueError: an unknown task, side channel or environment parameter, or several Editors.
        UnityException: a player did not start or connect.
    """
    if settings.env_path is None and settings.num_envs > 1:
        raise ValueError(
            f"num_envs {settings.num_envs}: there is one Editor; name a build in env_path for several players"
        )
    if settings.sim_task is None:
        return Players(settings, engine or EngineSettings(), parameters or {}, log_folder, side_channels, first_worker)
    from unity_env.sim.env import SimEnv  # noqa: PLC0415  # MuJoCo is loaded only where it simulates

    count = settings.num_envs * settings.num_areas if rows is None else rows
    return SimEnv(settings.sim_task, count, max(settings.seed, 0), settings.sim_threads, parameters)
