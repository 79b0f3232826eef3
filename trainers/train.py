"""START HERE: YAML -> environment -> reward -> loop -> checkpoint -> actor."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from trainers.a3c.main import AsyncLoop, for_a3c, is_a3c
from trainers.checkpoint import load_checkpoint
from trainers.curriculum import Curricula
from trainers.display import Display
from trainers.evaluate import Evaluation, evaluate_world
from trainers.export.bundle import Export, best_checkpoint, export_actor
from trainers.export.recorded import save_recorded
from trainers.loop import Evaluate, TrainingLoop
from trainers.resume import changed_settings, load_resumed, restore
from trainers.roster import Roster
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from trainers.wandb_log import WandbLog, import_wandb
from trainers.world import make_world
from trainers.world_errors import run_errors
from trainers.yaml_file import Document


@dataclass(frozen=True)
class Trained:
    """How a run ended.

    Attributes:
        folder: its files.
        step: training steps done.
        evaluations: behavior -> the final one, on held-out episodes; empty in the Editor, which has no second
            scene for it.
        exports: behavior -> the exported actor; empty after a stop signal.
    """

    folder: RunFolder
    step: int
    evaluations: Mapping[str, Evaluation]
    exports: Mapping[str, Export]


def train(settings: RunSettings, document: Document, display: Display) -> Trained:
    """Train the run's behaviors, keep their best policies, measure them on held-out episodes, export them.

    Raises:
        UserError: the settings do not fit the environment, or the results folder cannot be used.
        RunError: training failed after it had begun, or a player did not start.
    """
    torch.set_num_threads(settings.torch_settings.threads)
    settings = for_a3c(settings, document)
    chosen = settings.checkpoint_settings
    folder = RunFolder(Path(chosen.results_dir) / chosen.run_id)
    folder.check(settings.behaviors, resume=chosen.resume, force=chosen.force)
    with ExitStack() as worlds, run_errors(settings, document):
        world = worlds.enter_context(closing(make_world(settings, document, late=True)))
        resumed = load_resumed(folder, settings, document) if chosen.resume else {}
        roster = Roster(settings, document, world, folder, display, resumed)
        evaluate_on = _evaluator(settings, document, roster, worlds)
        changed = changed_settings(folder.configuration, settings) if chosen.resume else []
        if settings.wandb is not None:
            import_wandb()
        worlds.enter_context(folder.claimed())
        folder.check(settings.behaviors, resume=chosen.resume, force=chosen.force)  # another run may have begun since
        folder.prepare(world.rows, keep=chosen.resume)
        if not chosen.resume:
            roster.write_settings()
        if settings.wandb is not None:
            roster.wandb = worlds.enter_context(closing(WandbLog(settings, folder.root)))
        roster.open()
        curricula = Curricula(settings.environment_parameters, {name: of.num_rows for name, of in world.rows.items()})
        parts = (world, roster, settings.evaluation, evaluate_on, curricula, folder, display)
        loop = AsyncLoop(*parts, settings=settings, document=document) if is_a3c(settings) else TrainingLoop(*parts)
        if chosen.resume:
            _resume(loop, roster, changed)
        else:
            loop.start(settings.env_settings.seed)
        for start in curricula.present():
            display.lesson(loop.step, str(start))
        display.start({name: (of.step, of.settings.max_steps) for name, of in roster.trainers.items()})
        loop.run()
        display.stop()
        if loop.stop_requested:
            return Trained(folder, loop.step, {}, {})
        for name, algorithm in roster.algorithms.items():
            algorithm.load_state_dict(load_checkpoint(best_checkpoint(folder, name))["algorithm"])
        finals = evaluate_on(settings.evaluation.final_episodes, settings.evaluation.final_seed) if evaluate_on else {}
    return Trained(folder, loop.step, finals, _export(roster, finals))


def _export(roster: Roster, finals: Mapping[str, Evaluation]) -> dict[str, Export]:
    """Export all behaviors; what their policies have seen in the evaluation stays, for later exports, too."""
    exports = {}
    for name in roster.trainers:
        recorded = roster.policies[name].seen
        if recorded is not None:
            save_recorded(roster.folder.behavior(name), recorded)
        exports[name] = export_actor(roster.folder, name, roster.settings, finals.get(name), recorded)
    return exports


def _resume(loop: TrainingLoop, roster: Roster, changed: list[str]) -> None:
    """Let the loop go on from the checkpoints, and say what could be taken over and what has changed."""
    exact = restore(loop, roster.resumed, roster.settings.env_settings.seed, roster.folder)
    roster.write_settings()  # not before: checkpoints that do not fit leave the run as it is
    what = "simulation included" if exact else "networks and optimiser; the episodes start anew"
    lost = [f"{name}: {trainer.lost}" for name, trainer in roster.trainers.items() if trainer.lost]
    bits = "bit-exactly, " if exact and not changed and not lost else ""
    roster.display.note(f"resumed at step {loop.step:,}: {bits}{what}")
    for line in (*lost, *(f"changed: {line}" for line in changed)):
        roster.display.note(f"  {line}")


def _evaluator(settings: RunSettings, document: Document, roster: Roster, worlds: ExitStack) -> Evaluate | None:
    """Return what runs evaluation episodes; None in the Editor."""
    if settings.env_settings.env_path is None:
        return None
    world = worlds.enter_context(closing(make_world(settings, document, evaluation=True, late=True)))
    return partial(evaluate_world, world, roster.policies)
