"""A YAML file, the command line's overrides and ML-Agents' defaults -> the settings of a run."""

import copy
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reward_shaping.cases import RewardFile
from reward_shaping.term import nearest
from trainers.errors import UserError
from trainers.settings import RunSettings
from trainers.yaml_file import Document, dotted, dump_yaml, parse_value, read_yaml, validate
from unity_env.sim.role import all_roles

CONFIGS_DIR = Path(__file__).parent.parent / "configs"
SECTIONS = (
    "default_settings",
    "env_settings",
    "engine_settings",
    "environment_parameters",
    "checkpoint_settings",
    "torch_settings",
    "evaluation",
)
DEPRECATED = ("framework", "output_path")  # keys of a behavior that older files of ML-Agents have


def find_config(name: str) -> Path:
    """Return the file called `name`, or the shipped config of that name, with or without .yaml.

    Raises:
        UserError: there is neither.
    """
    given = Path(name)
    if given.is_file():
        return given
    for shipped in (CONFIGS_DIR / name, CONFIGS_DIR / f"{name}.yaml"):
        if shipped.is_file():
            return shipped
    if given.is_dir():
        raise UserError(f"{name}: is a directory; expected a YAML file")
    known = ", ".join(sorted(path.stem for path in CONFIGS_DIR.glob("*.yaml")))
    raise UserError(f"{name}: no such file, and not one of the shipped configs: {known}")


def load_settings(
    path: Path, options: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()
) -> tuple[RunSettings, Document]:
    """Read a run's YAML file.

    Args:
        path: the file.
        options: dotted key -> value, from the command line's own flags; beat the file.
        overrides: texts `dotted.key=value`, from `--set`; beat both.

    Returns:
        The settings, with a drawn seed in the place of -1, and the document, for later messages.

    Raises:
        UserError: anything that does not fit, with file, line and key.
    """
    document = read_yaml(path)
    _include_files(document, path.parent)
    for key, value in (options or {}).items():
        _assign(document, tuple(key.split(".")), value)
    for text in overrides:
        _override(document, text)
        _include_files(document, Path(), path.parent)
    _merge_defaults(document)
    _name_run(document, path.stem)
    _include_files(document, path.parent)
    settings = validate(RunSettings, document.data, document)
    return _with_drawn_seed(settings), document


def dump_settings(settings: RunSettings) -> str:
    """Return the resolved settings as YAML for `load_settings`.

    All but `force`, `resume` and `inference` read back unchanged: they were meant for this one command.
    """
    data = settings.model_dump(mode="json")
    if settings.default_settings is None:
        del data["default_settings"]
    data["checkpoint_settings"] |= dict.fromkeys(("force", "resume", "load_model", "inference"), False)
    return dump_yaml(data)


def acting_deterministically(settings: RunSettings) -> RunSettings:
    """Return the settings with policies that act without randomness where they do not learn."""
    behaviors = {}
    for name, of in settings.behaviors.items():
        network = of.network_settings.model_copy(update={"deterministic": True})
        behaviors[name] = of.model_copy(update={"network_settings": network})
    return settings.model_copy(update={"behaviors": behaviors})


def _override(document: Document, text: str) -> None:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set {text}: expected key=value, for example env_settings.seed=1")
    try:
        _assign(document, tuple(key.strip().split(".")), parse_value(value))
    except ValueError as error:
        raise UserError(f"--set {text}: {error}") from None


def _assign(document: Document, path: tuple[str, ...], value: Any) -> None:
    parent: Any = document.data
    behaviors = document.data.get("behaviors")
    if path[0] == "behaviors" and len(path) > 1 and isinstance(behaviors, dict) and path[1] not in behaviors:
        raise UserError(
            f"--set {dotted(path)}: no behavior {path[1]} in {document.source}{nearest(path[1], behaviors)}"
        )
    for depth, key in enumerate(path[:-1], start=1):
        child = parent.get(key)
        if child is None:
            child = parent[key] = {}
        if not isinstance(child, dict):
            raise document.error(path[:depth], f"cannot set {dotted(path)}: this is no mapping")
        parent = child
    parent[path[-1]] = value
    document.overridden.add(path)
    document.included.pop(path, None)


def _merge_defaults(document: Document) -> None:
    """Lay each behavior over `default_settings`, key by key, and drop what ML-Agents calls deprecated.

    Behaviors that a described task is known to have, and that are not named, are taken from `default_settings` alone.
    """
    data = document.data
    for section in [section for section in SECTIONS if data.get(section, {}) is None]:
        del data[section]
    defaults = data.get("default_settings", {})
    if not isinstance(defaults, dict):
        raise document.error(("default_settings",), "expected a mapping of behavior settings")
    _drop_empty(defaults)
    if defaults and data.get("behaviors") is None:
        data["behaviors"] = {}
    behaviors = data.get("behaviors")
    if isinstance(behaviors, dict):
        for name in _unnamed(data, behaviors) if defaults else ():
            behaviors[name] = {}
        for name, behavior in behaviors.items():
            if behavior is None or isinstance(behavior, dict):
                behaviors[name] = _drop_empty(_over_defaults(defaults, behavior or {}))


def _over_defaults(defaults: dict[str, Any], behavior: dict[str, Any]) -> dict[str, Any]:
    """Lay a behavior over the defaults; another trainer's hyperparameters mean nothing to it."""
    kinds = [of.get("trainer_type") for of in (defaults, behavior)]
    if None not in kinds and kinds[0] != kinds[1]:
        defaults = {key: value for key, value in defaults.items() if key != "hyperparameters"}
    return _merged(defaults, behavior)


def _drop_empty(behavior: dict[str, Any]) -> dict[str, Any]:
    """Take out of a behavior what says nothing: sections without content, and what ML-Agents no longer reads."""
    for key in DEPRECATED:
        behavior.pop(key, None)
    for section in ("hyperparameters", "network_settings", "reward_signals"):
        if section in behavior and behavior[section] is None:
            del behavior[section]
    return behavior


def _unnamed(data: Mapping[str, Any], named: Mapping[str, Any]) -> list[str]:
    """Return the behaviors of the described task, if there is one, that are not named."""
    world = data.get("env_settings")
    paths = [world.get(key) for key in ("env_path", "task")] if isinstance(world, dict) else []
    tasks = [path.removeprefix("sim:") for path in paths if isinstance(path, str)]
    known = {str(name).partition("?")[0] for name in named}
    found = [role.behavior for task in tasks for role in all_roles().get(task, ())]
    return [name for name in found if name not in known]


def _name_run(document: Document, default: str) -> None:
    """Call the run after its file where nothing else names it."""
    chosen = document.data.setdefault("checkpoint_settings", {})
    if isinstance(chosen, dict):
        chosen.setdefault("run_id", re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]+", "_", default).lstrip("_") or "run")


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _include_files(document: Document, *folders: Path) -> None:
    """Replace `environment_parameters: file.yaml` and `reward_shaping: file.yaml` by what the files hold."""
    _include(document, ("environment_parameters",), document.data, folders, "mass_scale or another parameter")
    behaviors = document.data.get("behaviors")
    places: dict[tuple[str, ...], Any] = {("default_settings",): document.data.get("default_settings")}
    if isinstance(behaviors, dict):
        places |= {("behaviors", name): behavior for name, behavior in behaviors.items()}
    for path, behavior in places.items():
        inner = _include(document, (*path, "reward_shaping"), behavior, folders, "terms")
        if inner is not None:
            validate(RewardFile, inner.data, inner)
            inner.data.pop("cases", None)  # they are no part of a run


def _include(
    document: Document, path: tuple[str, ...], parent: Any, folders: tuple[Path, ...], holds: str
) -> Document | None:
    """Replace the file's name that stands in `parent` under the last key of `path`, and return what was read."""
    name = parent.get(path[-1]) if isinstance(parent, dict) else None
    if not isinstance(name, str):
        return None
    candidates = [folder / name for folder in (*folders, CONFIGS_DIR)]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise document.error(path, f"no such file: {candidates[0]}")
    inner = read_yaml(found, holds)
    parent[path[-1]] = inner.data
    document.included[path] = inner
    return inner


def _with_drawn_seed(settings: RunSettings) -> RunSettings:
    if settings.env_settings.seed != -1:
        return settings
    drawn = settings.env_settings.model_copy(update={"seed": random.randint(0, 9999)})
    return settings.model_copy(update={"env_settings": drawn})
