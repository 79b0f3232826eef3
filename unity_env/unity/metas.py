"""Unity's .meta files: every asset's GUID, which must never change, from the asset's path."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

_NAMESPACE = uuid.UUID("6a1f1d52-0f0c-5c0e-9b36-2f1d3c7f5a10")
_OURS = ("RobotRL", "StreamingAssets")  # below Assets; all else is the user's and the Editor's, with metas of its own
_GUID = re.compile(r"^guid: (\w+)$", re.MULTILINE)
_IMPORTERS = {
    ".cs": "MonoImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  defaultReferences: []\n"
    "  executionOrder: 0\n  icon: {instanceID: 0}\n",
    ".asmdef": "AssemblyDefinitionImporter:\n  externalObjects: {}\n",
}
_FOLDER = "folderAsset: yes\nDefaultImporter:\n  externalObjects: {}\n"
_OTHER = "DefaultImporter:\n  externalObjects: {}\n"
_TAIL = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"


def guid(asset: str) -> str:
    """Return an asset's GUID, 32 hexadecimal digits, a function of its path below the project."""
    return uuid.uuid5(_NAMESPACE, asset).hex


def metas(project: Path) -> dict[Path, str]:
    """Return .meta file -> its text, for every asset of a project that comes from here."""
    return {
        asset.with_name(f"{asset.name}.meta"): _meta(asset, asset.relative_to(project).as_posix())
        for asset in _files(project)
        if asset.suffix != ".meta"
    }


def stale_metas(project: Path) -> list[Path]:
    """Return .meta files that are missing or have another GUID, and those whose asset is gone.

    The Editor may write the rest of a file anew.
    """
    wanted = metas(project)
    differing = [path for path, text in wanted.items() if _guid_in(path) != _guid_of(text)]
    return differing + [path for path in _files(project) if path.suffix == ".meta" and path not in wanted]


def write_metas(project: Path) -> list[Path]:
    """Write missing .meta files and remove those without an asset; return what has changed.

    Raises:
        OSError: a file cannot be written.
    """
    changed, wanted = stale_metas(project), metas(project)
    for path in changed:
        if path in wanted:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return changed


def _files(project: Path) -> Iterator[Path]:
    for name in _OURS:
        folder = project / "Assets" / name
        for path in [folder, folder.with_name(f"{name}.meta"), *sorted(folder.rglob("*"))]:
            if path.exists() and not any(part.startswith(".") for part in path.relative_to(project).parts):
                yield path


def _guid_in(path: Path) -> str | None:
    return _guid_of(path.read_text("utf-8", "replace")) if path.is_file() else None


def _guid_of(text: str) -> str | None:
    match = _GUID.search(text)
    return match[1] if match else None


def _meta(asset: Path, name: str) -> str:
    importer = _FOLDER if asset.is_dir() else _IMPORTERS.get(asset.suffix, _OTHER)
    return f"fileFormatVersion: 2\nguid: {guid(name)}\n{importer}{_TAIL}"
