"""Starting from what an earlier run has learned: --resume, --initialize-from, init_path."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainers.algorithms import Algorithm
from trainers.checkpoint import load_checkpoint
from trainers.errors import UserError
from trainers.heads import heads_of
from trainers.loop import TrainingLoop
from trainers.observation import Observation, as_observation
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.yaml_file import Document, read_yaml


def load_resumed(folder: RunFolder, settings: RunSettings, document: Document) -> dict[str, dict[str, Any]]:
    """Return behavior -> the state of its newest checkpoint; those that had not appeared in the scene have none.

    Raises:
        UserError: one is missing or was made with other networks.
    """
    states: dict[str, dict[str, Any]] = {}
    for name, behavior in settings.behaviors.items():
        path = folder.checkpoint(name)
        if not path.is_file():
            continue
        states[name] = load_checkpoint(path)
        check_networks(states[name], name, behavior, document, path)
        _check_intrinsic(states[name], name, behavior, document, path)
    trained = {name for state in states.values() for name in state["moment"]}
    for name in sorted(trained & settings.behaviors.keys() - states.keys()):
        raise UserError(f"--resume: no {folder.checkpoint(name)}, though {name} has been trained")
    return states


def restore(loop: TrainingLoop, states: dict[str, dict[str, Any]], seed: int, folder: RunFolder) -> bool:
    """Let the loop continue from the states; returns whether the simulation's state came back, too.

    Raises:
        UserError: a checkpoint lacks something, or something in it does not fit.
    """
    with _fitting(*(folder.checkpoint(name) for name in states)):
        return loop.restore(states, seed)


@contextmanager
def _fitting(*paths: Path) -> Iterator[None]:
    """Turn what torch says of checkpoints that do not fit into a line."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()[:30])
        where = ", ".join(str(path) for path in paths)
        raise UserError(f"{where}: does not fit this run: {type(error).__name__}: {reason}") from None


def changed_settings(configuration: Path, settings: RunSettings) -> list[str]:
    """Return a line for every setting that differs from the run's own configuration.yaml.

    What only names and ends the run does not count: checkpoint_settings and max_steps.
    """
    if not configuration.is_file():
        return []
    before, now = _flat(read_yaml(configuration).data), _flat(settings.model_dump(mode="json"))
    keys = [key for key in now if not key.startswith("checkpoint_settings.") and not key.endswith(".max_steps")]
    return [f"{key}: was {before.get(key)}, is {now[key]}" for key in keys if before.get(key) != now[key]]


def _flat(data: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) and value else {f"{above}{key}": value}
    return flat


def initial_checkpoint(settings: RunSettings, name: str, behavior: BehaviorSettings) -> Path | None:
    """Return the checkpoint that init_path or --initialize-from names; None where neither is given.

    As in ML-Agents, init_path goes before, and beside --initialize-from may be the name of one of its files alone.
    """
    chosen = settings.checkpoint_settings
    if chosen.initialize_from is None:
        return Path(behavior.init_path) if behavior.init_path else None
    folder = RunFolder(Path(chosen.results_dir) / chosen.initialize_from)
    if not behavior.init_path:
        return folder.checkpoint(name)
    given = Path(behavior.init_path)
    return folder.behavior(name) / given if given.name == behavior.init_path else given


def initialize(algorithm: Algorithm, path: Path, name: str, behavior: BehaviorSettings, document: Document) -> None:
    """Take over networks and optimiser; what is random and under way stays this run's own."""
    state = load_checkpoint(path)
    check_networks(state, name, behavior, document, path)
    check_agents(state, name, algorithm, document, path)
    with _fitting(path):
        learned = {key: state["algorithm"][key] for key in algorithm.learned}
        algorithm.load_state_dict(algorithm.state_dict() | learned)


def check_networks(
    state: dict[str, Any], name: str, behavior: BehaviorSettings, document: Document, path: Path
) -> None:
    """Refuse a checkpoint whose networks differ: a partly loaded policy is no policy."""
    saved = state["settings"]
    now = behavior.model_dump(mode="json")
    shape = {key: value for key, value in saved["network_settings"].items() if key != "deterministic"}
    own = {key: saved.get(key) for key in ("trainer_type", "critic_observations")}
    for key, value in {**own, **shape}.items():
        current = now.get(key) if key in own else now["network_settings"].get(key)
        if current != value:
            at = ("behaviors", name, key) if key in own else ("behaviors", name, "network_settings", key)
            raise document.error(at, f"is {current}, but the checkpoint {path} was made with {value}")
    heads = [head.label for head in heads_of(behavior)]
    made_with = state["algorithm"].get("heads", heads)
    if heads != made_with:
        intrinsic = any(label.startswith("intrinsic/") for label in {*heads} ^ {*made_with})
        raise document.error(
            ("behaviors", name, "reward_signals" if intrinsic else "reward_shaping"),
            f"the critic has heads {', '.join(heads)}, but the checkpoint {path} was made with {', '.join(made_with)}",
        )


def load_learner(algorithm: Algorithm, state: dict[str, Any], name: str, document: Document, path: Path) -> None:
    """Take over all that a checkpoint's learner was.

    Raises:
        UserError: it does not fit.
    """
    check_agents(state, name, algorithm, document, path)
    with _fitting(path):
        algorithm.load_state_dict(state["algorithm"])


def check_agents(state: dict[str, Any], name: str, algorithm: Algorithm, document: Document, path: Path) -> None:
    """Refuse a checkpoint whose agents saw other things, or did others."""
    actor = algorithm.actor
    now = _agents(actor.observation, actor.shape.continuous, actor.shape.branches)
    known, acts = state.get("observation"), state["actions"]
    seen = as_observation(state["obs_size"]) if known is None else Observation.from_state(known)
    saved = _agents(seen, acts["continuous"], acts["branches"])
    if saved != now:
        raise document.error(("behaviors", name), f"{now}, but the checkpoint {path} was made where it {saved}")


def _agents(observation: Observation, continuous: int, branches: Sequence[int]) -> str:
    parts = [f"{observation.size} numbers"] if observation.is_vector else _shapes(observation)
    parts += [f"{observation.signals} of signals"] if observation.signals else []
    acts = [f"{continuous} numbers"] if continuous else []
    acts += [f"choices of {' x '.join(str(size) for size in branches)}"] if branches else []
    return f"sees {', '.join(parts)} and acts by {' and '.join(acts)}"


def _shapes(observation: Observation) -> list[str]:
    return [f"{sensor.kind} {'x'.join(str(size) for size in sensor.shape)}" for sensor in observation.sensors]


def _check_intrinsic(
    state: dict[str, Any], name: str, behavior: BehaviorSettings, document: Document, path: Path
) -> None:
    """Refuse a checkpoint whose intrinsic rewards come from other networks."""
    for signal, settings in behavior.reward_signals.intrinsic.items():
        saved = state["settings"]["reward_signals"].get(signal) or {}
        now = settings.model_dump(mode="json")
        for key in ("network_settings", "use_actions", "use_vail"):
            if key in saved and saved[key] != now[key]:
                at = ("behaviors", name, "reward_signals", signal, key)
                raise document.error(at, f"differs from what the checkpoint {path} was made with")
