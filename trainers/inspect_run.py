"""What can be done with a finished run: evaluate it, export it."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from trainers.checkpoint import load_checkpoint
from trainers.config import load_settings
from trainers.errors import UserError
from trainers.evaluate import Evaluation, evaluate_world
from trainers.export.bundle import Export, Options, best_checkpoint, export_actor
from trainers.export.recorded import Recorder, load_recorded, save_recorded
from trainers.learner import make_algorithm
from trainers.policy import Policy
from trainers.resume import check_networks, load_learner
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from trainers.world import EVALUATION_ROWS, World, make_world
from trainers.world_errors import run_errors
from trainers.yaml_file import Document

Array = np.ndarray


def evaluate_run(root: Path, episodes: int, seed: int) -> dict[str, Evaluation]:
    """Run the best policies of a run on the episodes of `seed`; behavior -> its evaluation.

    Raises:
        UserError: the run has no readable checkpoint, or its settings no longer fit.
        RunError: a reward term that is not a number.
    """
    folder, settings, document = open_run(root)
    with run_errors(settings, document), closing(make_world(settings, document, evaluation=True)) as world:
        return evaluate_world(world, best_policies(folder, settings, document, world), episodes, seed)


def best_policies(folder: RunFolder, settings: RunSettings, document: Document, world: World) -> dict[str, Policy]:
    """Return the best policy of every behavior of a run, without exploration.

    Raises:
        UserError: the run has no readable checkpoint, or its settings no longer fit.
    """
    policies: dict[str, Policy] = {}
    for name in settings.behaviors:
        state = _best_state(folder, settings, document, name)
        algorithm = make_algorithm(world.rows[name], settings, name, document)
        load_learner(algorithm, state, name, document, best_checkpoint(folder, name))
        policies[name] = algorithm.policy()
    return policies


def export_run(root: Path, behavior: str | None = None, options: Options | None = None) -> dict[str, Export]:
    """Export the best policies of a run; behavior -> its export.

    Args:
        root: the run's folder.
        behavior: which one; all by default.
        options: what to export.

    Raises:
        UserError: the run has no readable checkpoint, or no such behavior.
        RunError: the export failed; what was exported before is untouched.
    """
    folder, settings, document = open_run(root)
    if behavior is not None and behavior not in settings.behaviors:
        raise UserError(f"--behavior: {behavior}; {root} has trained {', '.join(settings.behaviors)}")
    for name in settings.behaviors:
        _best_state(folder, settings, document, name)
    recorded = _recorded(folder, settings, document)
    names = settings.behaviors if behavior is None else [behavior]
    return {name: export_actor(folder, name, settings, None, recorded.get(name), options) for name in names}


def _recorded(folder: RunFolder, settings: RunSettings, document: Document) -> dict[str, Array]:
    """Return what the policies of a run have seen: in its evaluation, or else in the embedded simulation, now."""
    known = {name: load_recorded(folder.behavior(name)) for name in settings.behaviors}
    found = {name: seen for name, seen in known.items() if seen is not None}
    if len(found) == len(known) or settings.env_settings.sim_task is None:
        return found
    with run_errors(settings, document), closing(make_world(settings, document, evaluation=True)) as world:
        recorders = {name: Recorder(of) for name, of in best_policies(folder, settings, document, world).items()}
        evaluate_world(world, recorders, EVALUATION_ROWS, settings.evaluation.seed)
    found = {name: recorder.seen for name, recorder in recorders.items() if recorder.seen is not None}
    for name, seen in found.items():
        save_recorded(folder.behavior(name), seen)
    return found


def _best_state(folder: RunFolder, settings: RunSettings, document: Document, name: str) -> dict[str, Any]:
    source = best_checkpoint(folder, name)
    state = load_checkpoint(source)
    check_networks(state, name, settings.behaviors[name], document, source)
    return state


def open_run(root: Path) -> tuple[RunFolder, RunSettings, Document]:
    """Return a run's folder, and its settings with the behaviors that were trained: others may never have appeared."""
    folder = RunFolder(root)
    settings, document = load_settings(folder.configuration)
    trained = {name: of for name, of in settings.behaviors.items() if best_checkpoint(folder, name).is_file()}
    return folder, settings.model_copy(update={"behaviors": trained or settings.behaviors}), document
