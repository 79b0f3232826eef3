"""What can be done with a finished run: evaluate it, export it."""

from contextlib import closing
from pathlib import Path

from trainers.checkpoint import load_checkpoint
from trainers.config import load_settings
from trainers.evaluate import Evaluation, evaluate
from trainers.export.bundle import Export, best_checkpoint, export_actor
from trainers.resume import check_networks
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from trainers.train import make_algorithm
from trainers.world import make_env, run_errors
from trainers.yaml_file import Document


def evaluate_run(root: Path, episodes: int, seed: int) -> Evaluation:
    """Run the best policy of a run on the episodes of `seed`.

    Raises:
        UserError: the run has no readable checkpoint, or its settings no longer fit.
        RunError: a reward term that is not a number.
    """
    folder, settings, document, name = _open(root)
    state = load_checkpoint(best_checkpoint(folder, name))
    check_networks(state, name, settings.behaviors[name], document, best_checkpoint(folder, name))
    with run_errors(name, document), closing(make_env(settings, name, document, evaluation=True)) as env:
        algorithm = make_algorithm(env, settings, name, document)
        algorithm.load_state_dict(state["algorithm"])
        return evaluate(env, algorithm.act_deterministic, episodes, seed)


def export_run(root: Path) -> Export:
    """Export the best policy of a run.

    Raises:
        UserError: the run has no readable checkpoint.
        RunError: the export failed; what was exported before is untouched.
    """
    folder, settings, document, name = _open(root)
    source = best_checkpoint(folder, name)
    check_networks(load_checkpoint(source), name, settings.behaviors[name], document, source)
    return export_actor(folder, name, settings)


def _open(root: Path) -> tuple[RunFolder, RunSettings, Document, str]:
    folder = RunFolder(root)
    settings, document = load_settings(folder.configuration)
    return folder, settings, document, next(iter(settings.behaviors))
