"""What can be done with a finished run: evaluate it, export it."""

from contextlib import closing
from pathlib import Path
from typing import Any

from trainers.checkpoint import load_checkpoint
from trainers.config import load_settings
from trainers.evaluate import Evaluation, evaluate_world
from trainers.export.bundle import Export, best_checkpoint, export_actor
from trainers.policy import Policy
from trainers.resume import check_networks
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from trainers.train import make_algorithm
from trainers.world import World, make_world
from trainers.world_errors import run_errors
from trainers.yaml_file import Document


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
        algorithm.load_state_dict(state["algorithm"])
        policies[name] = algorithm.policy()
    return policies


def export_run(root: Path) -> dict[str, Export]:
    """Export the best policies of a run; behavior -> its export.

    Raises:
        UserError: the run has no readable checkpoint.
        RunError: the export failed; what was exported before is untouched.
    """
    folder, settings, document = open_run(root)
    for name in settings.behaviors:
        _best_state(folder, settings, document, name)
    return {name: export_actor(folder, name, settings) for name in settings.behaviors}


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
