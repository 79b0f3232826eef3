"""The robot descriptions as JSON, for the Unity project: the same files that Python reads, defaults written out."""

import json
from pathlib import Path

from unity_env.sim.description import ROBOTS_DIR, common_parameters, load_description
from unity_env.unity import STREAMING_ASSETS


def descriptions() -> dict[str, str]:
    """Return file name -> JSON text: every robot, and the environment parameters that all tasks have."""
    robots = {
        path.stem: load_description(path.stem).model_dump(mode="json") for path in sorted(ROBOTS_DIR.glob("*.yaml"))
    }
    parameters = {name: entry.model_dump(mode="json") for name, entry in common_parameters().items()}
    documents = robots | {"environment_parameters": parameters}
    return {f"{name}.json": json.dumps(document, indent=1) + "\n" for name, document in documents.items()}


def stale(project: Path) -> list[Path]:
    """Return the files of a Unity project that are missing or differ from the descriptions."""
    folder = project / STREAMING_ASSETS
    return [folder / name for name, text in descriptions().items() if _read(folder / name) != text]


def write_descriptions(project: Path) -> list[Path]:
    """Bring a Unity project's descriptions up to date; return the files that have changed.

    Raises:
        OSError: a file cannot be written.
    """
    changed, texts = stale(project), descriptions()
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path.name], encoding="utf-8")
    return changed


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
