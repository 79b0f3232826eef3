"""Unity's .meta files: every asset's GUID, which must never change, from the asset's path."""

import uuid
from collections.abc import Iterator
from pathlib import Path

_NAMESPACE = uuid.UUID("6a1f1d52-0f0c-5c0e-9b36-2f1d3c7f5a10")
_GENERATED = ("Scenes", "Materials")  # made by the Editor, with metas of its own
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
    """Return .meta file -> its text, for every asset of a project that is kept in git."""
    return {
        asset.with_name(f"{asset.name}.meta"): _meta(asset, asset.relative_to(project).as_posix())
        for asset in _assets(project / "Assets")
    }


def stale_metas(project: Path) -> list[Path]:
    """Return .meta files that are missing or differ, and those whose asset is gone."""
    wanted = metas(project)
    differing = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    orphans = [path for path in sorted((project / "Assets").rglob("*.meta")) if path not in wanted]
    return differing + [path for path in orphans if not _is_generated(path, project)]


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


def _assets(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix != ".meta" and not hidden and not _is_generated(path, folder.parent):
            yield path


def _is_generated(path: Path, project: Path) -> bool:
    first = path.relative_to(project / "Assets").parts[0]
    return first.removesuffix(".meta") in _GENERATED


def _meta(asset: Path, name: str) -> str:
    importer = _FOLDER if asset.is_dir() else _IMPORTERS.get(asset.suffix, _OTHER)
    return f"fileFormatVersion: 2\nguid: {guid(name)}\n{importer}{_TAIL}"
