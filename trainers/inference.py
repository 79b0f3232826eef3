"""robotrl train --inference: trained policies at work in their scene, with a log, and nothing learned."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainers.algorithms import Algorithm
from trainers.checkpoint import as_arrays, load_checkpoint
from trainers.curriculum import Curricula
from trainers.display import Display
from trainers.errors import UserError
from trainers.files import write_text
from trainers.learner import make_algorithm
from trainers.loop import stop_signals
from trainers.metrics import EpisodeLog, MetricsLog
from trainers.policy import Policy, SamplingPolicy
from trainers.resume import check_networks, initial_checkpoint, load_learner
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.world import World, make_world
from trainers.world_errors import run_errors
from trainers.yaml_file import Document


@dataclass(frozen=True)
class Inferred:
    """What came of it.

    Attributes:
        log: the folder of the logs.
        steps: decisions, by behavior.
        stopped: by Ctrl-C, before max_steps.
    """

    log: Path
    steps: dict[str, int]
    stopped: bool


class Player:
    """One behavior that acts and learns nothing.

    Args:
        policy: what it does.
        rows: N.
        log: where its episodes go.
    """

    def __init__(self, policy: Policy, rows: int, log: MetricsLog) -> None:
        self.policy, self.log = policy, log
        self.episodes = EpisodeLog(rows)
        self.step = self.summarized = 0
        self.seen: tuple[Any, Mapping[str, Any]]

    def summarize(self, more: dict[str, float]) -> dict[str, float]:
        """Log the means since the last summary."""
        self.summarized = self.step
        return self.log.summarize(self.step, {**self.episodes.summary(), **more})


def infer(settings: RunSettings, document: Document, display: Display) -> Inferred:
    """Let the policies of a run act until their max_steps or Ctrl-C.

    With --resume they are those of the run's newest checkpoints, in the lessons that it had come to; else those of
    --initialize-from or init_path. They act as they explore, with their own randomness, or by
    network_settings.deterministic (--deterministic) without. The logs go to inference/ in the run's folder; nothing
    else is written.

    Raises:
        UserError: no policy is named, or it does not fit.
        RunError: the environment failed.
    """
    torch.set_num_threads(settings.torch_settings.threads)
    torch.manual_seed(settings.env_settings.seed)
    chosen = settings.checkpoint_settings
    folder = RunFolder(Path(chosen.results_dir) / chosen.run_id)
    log = folder.root / "inference"
    if chosen.resume:
        folder.check(settings.behaviors, resume=True, force=False)
    with ExitStack() as opened, run_errors(settings, document):
        sources = {name: _source(folder, settings, name, of) for name, of in settings.behaviors.items()}
        states = {name: load_checkpoint(source) for name, source in sources.items()}
        world = opened.enter_context(closing(make_world(settings, document)))
        players = {}
        for name, behavior in settings.behaviors.items():
            check_networks(states[name], name, behavior, document, sources[name])
            algorithm = make_algorithm(world.rows[name], settings, name, document)
            load_learner(algorithm, states[name], name, document, sources[name])
            (log / name).mkdir(parents=True, exist_ok=True)
            write_text(log / name / "metrics.jsonl", "")
            metrics = opened.enter_context(closing(MetricsLog(log / name, 0)))
            players[name] = Player(policy_of(algorithm, behavior), world.rows[name].num_rows, metrics)
            display.note(f"{name} acts by {sources[name]}")
        if chosen.resume:
            _take_lessons(world, settings, next(iter(states.values())))
        return _play(world, players, settings, display, log)


def policy_of(algorithm: Algorithm, behavior: BehaviorSettings) -> Policy:
    """Return how a trained policy acts: by its own distribution, or deterministically where the settings want that."""
    if behavior.network_settings.deterministic:
        return algorithm.policy()
    return SamplingPolicy(algorithm.actor, algorithm.device)


def _source(folder: RunFolder, settings: RunSettings, name: str, behavior: BehaviorSettings) -> Path:
    """Return the checkpoint that a behavior acts by."""
    if settings.checkpoint_settings.resume:
        return folder.checkpoint(name)
    source = initial_checkpoint(settings, name, behavior)
    if source is None:
        raise UserError(
            f"--inference: {name} needs a trained policy; name a run with --resume --run-id or --initialize-from"
        )
    return source


def _take_lessons(world: World, settings: RunSettings, state: dict[str, Any]) -> None:
    """Give the scene the environment parameters of the lessons that the training had come to."""
    curricula = Curricula(settings.environment_parameters, {})
    curricula.load_state_dict(as_arrays(state["curricula"]))
    if curricula.present():
        world.set_parameters(curricula.values())


def _play(world: World, players: dict[str, Player], settings: RunSettings, display: Display, log: Path) -> Inferred:
    """Step until every behavior has its max_steps, or a stop signal."""
    limits = {name: of.max_steps for name, of in settings.behaviors.items()}
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    for name, start in world.reset(settings.env_settings.seed).items():
        players[name].seen = start
    display.start({name: (0, limit) for name, limit in limits.items()})
    with stop_signals(stop):
        while not stopped and any(player.step < limits[name] for name, player in players.items()):
            results = world.step({name: player.policy(*player.seen) for name, player in players.items()})
            for name, (obs, rew, terminated, truncated, infos) in results.items():
                player, before = players[name], players[name].step
                player.seen = obs, infos
                player.step += int(infos["valid"].sum())
                player.episodes.add(rew, terminated, truncated, infos)
                if player.step // _every(settings, name) > before // _every(settings, name):
                    _summarize(world, name, player, display)
    for name, player in players.items():
        if player.summarized != player.step:
            _summarize(world, name, player, display)
    display.stop()
    return Inferred(log, {name: player.step for name, player in players.items()}, stopped)


def _every(settings: RunSettings, name: str) -> int:
    return settings.behaviors[name].summary_freq


def _summarize(world: World, name: str, player: Player, display: Display) -> None:
    scene = {f"scene/{key}": value for key, value in world.stats().items()}
    means = player.summarize({**world.scorers[name].summary(), **scene})
    display.progress(name, player.step)
    display.summary(name, player.step, means)
