"""Starting from what an earlier run has learned: --resume, --initialize-from, init_path."""

from pathlib import Path
from typing import Any

from trainers.algorithms import Algorithm
from trainers.checkpoint import load_checkpoint
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.yaml_file import Document


def load_resumed(folder: RunFolder, name: str, behavior: BehaviorSettings, document: Document) -> dict[str, Any]:
    """Return the state of the newest checkpoint.

    Raises:
        UserError: there is none, or it was made with other networks.
    """
    path = folder.checkpoint(name)
    state = load_checkpoint(path)
    _check_networks(state, name, behavior, document, path)
    return state


def initial_checkpoint(settings: RunSettings, name: str, behavior: BehaviorSettings) -> Path:
    """Return the checkpoint that init_path or --initialize-from names."""
    if behavior.init_path:
        return Path(behavior.init_path)
    chosen = settings.checkpoint_settings
    return RunFolder(Path(chosen.results_dir) / str(chosen.initialize_from)).checkpoint(name)


def initialize(algorithm: Algorithm, path: Path, name: str, behavior: BehaviorSettings, document: Document) -> None:
    """Take over networks and optimiser; the random state stays this run's own."""
    state = load_checkpoint(path)
    _check_networks(state, name, behavior, document, path)
    algorithm.load_state_dict(state["algorithm"] | {"generator": algorithm.state_dict()["generator"]})


def _check_networks(
    state: dict[str, Any], name: str, behavior: BehaviorSettings, document: Document, path: Path
) -> None:
    """Refuse a checkpoint whose networks differ: a partly loaded policy is no policy."""
    saved = state["settings"]
    now = behavior.model_dump(mode="json")
    for key, value in {"trainer_type": saved["trainer_type"], **saved["network_settings"]}.items():
        current = now.get(key) if key == "trainer_type" else now["network_settings"].get(key)
        if current != value:
            at = ("behaviors", name, key) if key == "trainer_type" else ("behaviors", name, "network_settings", key)
            raise document.error(at, f"is {current}, but the checkpoint {path} was made with {value}")
