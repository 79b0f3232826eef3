"""A bundle on disk: actor.json, the networks beside it, and the hashes of all of them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .errors import EdgeError

SCHEMA_VERSION = 2
HASHES = "SHA256SUMS"


@dataclass(frozen=True)
class Component:
    """A named run of numbers in the observation or the action.

    Attributes:
        name: as the training called it.
        size: how many numbers.
        input: the network's input that an observed component belongs to.
    """

    name: str
    size: int
    input: str = ""


@dataclass(frozen=True)
class Safety:
    """What leaves the runtime, whatever the network says. Numbers are the action's own, in [-1, 1].

    Attributes:
        action_low: the least of each continuous action.
        action_high: the most.
        rate_limit_per_s: the most that each continuous action may change in a second; None does not limit.
        watchdog_periods: control periods without an observation after which the safe action is given.
        safe_action: continuous actions, then choices; None keeps what was last commanded.
    """

    action_low: Tuple[float, ...]
    action_high: Tuple[float, ...]
    rate_limit_per_s: Optional[Tuple[float, ...]]
    watchdog_periods: float
    safe_action: Tuple[Optional[float], ...]


@dataclass(frozen=True)
class Bundle:
    """What actor.json says.

    Attributes:
        folder: of the bundle.
        behavior: name of the trained behavior.
        period_s: time between two decisions in training; None where the training did not say.
        inputs: observed input of the network -> its shape, without the batch; masks and memory are not among them.
        observation: what goes in, in order.
        action: what comes out, in order: continuous actions, then a choice per branch.
        continuous: number of continuous actions.
        branches: number of choices of each branch.
        memory_size: numbers that a recurrent network remembers; 0 if it does not.
        safety: limits and the safe action.
        card: all of actor.json.
    """

    folder: Path
    behavior: str
    period_s: Optional[float]
    inputs: Mapping[str, Tuple[int, ...]]
    observation: Tuple[Component, ...]
    action: Tuple[Component, ...]
    continuous: int
    branches: Tuple[int, ...]
    memory_size: int
    safety: Safety
    card: Mapping[str, Any]

    @property
    def obs_size(self) -> int:
        """D: numbers of all observed components."""
        return sum(part.size for part in self.observation)

    @property
    def choices(self) -> int:
        """M: choices of all branches, each of which a mask allows or forbids."""
        return sum(self.branches)

    @property
    def action_size(self) -> int:
        """A: continuous actions, and an index per branch."""
        return self.continuous + len(self.branches)


def read_bundle(folder: Path, files: Iterable[str] = (), safety: Optional[Mapping[str, Any]] = None) -> Bundle:
    """Read actor.json, after checking its hash and those of `files`.

    Args:
        folder: of the bundle.
        files: of the bundle that will be used.
        safety: entries that replace those of actor.json's `safety`.

    Raises:
        EdgeError: a file is missing or was changed, or the schema is not this one.
    """
    folder = Path(folder)
    verify(folder, ("actor.json", *files))
    path = folder / "actor.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EdgeError(f"{path}: not JSON: {error}") from None
    _check_schema(path, card)
    try:
        return _parsed(folder, card, safety or {})
    except KeyError as error:
        raise EdgeError(f"{path}: without {error.args[0]}, not an actor of schema {SCHEMA_VERSION}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise EdgeError(f"{path}: not an actor of schema {SCHEMA_VERSION}: {error}") from None


def _check_schema(path: Path, card: Any) -> None:
    version = card.get("schema_version") if isinstance(card, dict) else None
    if not isinstance(version, int):
        raise EdgeError(f"{path}: no schema_version; not a bundle made by robotrl export")
    if version > SCHEMA_VERSION:
        raise EdgeError(f"{path}: schema {version} is newer than {SCHEMA_VERSION}, the newest that this runtime reads")
    if version < SCHEMA_VERSION:
        raise EdgeError(f"{path}: schema {version}, this runtime reads {SCHEMA_VERSION}; export the run again")


def _parsed(folder: Path, card: Mapping[str, Any], safety: Mapping[str, Any]) -> Bundle:
    network = card["network"]
    continuous, branches = int(network["continuous"]), tuple(int(size) for size in network["branches"])
    return Bundle(
        folder,
        str(card["behavior"]),
        card["control_period_s"],
        {part["name"]: tuple(part["shape"]) for part in network["inputs"]},
        tuple(Component(part["name"], part["size"], part["input"]) for part in card["observation"]),
        tuple(Component(part["name"], part["size"]) for part in card["action"]),
        continuous,
        branches,
        int(network["memory_size"]),
        read_safety(card["safety"], safety, continuous, branches),
        card,
    )


def read_safety(
    base: Mapping[str, Any], changes: Mapping[str, Any], continuous: int, branches: Sequence[int]
) -> Safety:
    """Lay changes over a bundle's `safety`.

    Raises:
        EdgeError: an unknown entry, or values that do not fit the actions.
    """
    unknown = [name for name in changes if name not in Safety.__dataclass_fields__]
    if unknown:
        raise EdgeError(f"safety: unknown {unknown[0]}; known are {', '.join(Safety.__dataclass_fields__)}")
    given = {**base, **changes}
    rate = given["rate_limit_per_s"]
    low, high = (_numbers(given[name], continuous, name) for name in ("action_low", "action_high"))
    for index, (least, most) in enumerate(zip(low, high)):
        if least > most:
            raise EdgeError(f"safety: action_low[{index}] {least:g} is above action_high[{index}] {most:g}")
    if rate is not None:
        rate = _numbers(rate, continuous, "rate_limit_per_s")
        if min(rate, default=1.0) <= 0.0:
            raise EdgeError(f"safety: rate_limit_per_s has to be above 0, got {min(rate):g}")
    periods = given["watchdog_periods"]
    if not isinstance(periods, (int, float)) or not 1 <= periods < float("inf"):
        raise EdgeError(f"safety: watchdog_periods has to be a number from 1 on, got {periods}")
    return Safety(low, high, rate, float(periods), _safe_action(given["safe_action"], low, high, branches))


def _safe_action(
    values: Any, low: Sequence[float], high: Sequence[float], branches: Sequence[int]
) -> Tuple[Optional[float], ...]:
    size = len(low) + len(branches)
    if not isinstance(values, (list, tuple)) or len(values) != size:
        raise EdgeError(f"safety: safe_action needs {size} entries, numbers or null to hold the last, got {values}")
    ends = [*zip(low, high), *((0, choices - 1) for choices in branches)]
    for index, (value, (least, most)) in enumerate(zip(values, ends)):
        if value is not None and not (isinstance(value, (int, float)) and least <= value <= most):
            raise EdgeError(f"safety: safe_action[{index}] {value} is not in {least:g} .. {most:g}")
        if value is not None and index >= len(low) and value != int(value):
            raise EdgeError(f"safety: safe_action[{index}] {value} is not the index of a choice")
    return tuple(values)


def _numbers(values: Any, size: int, name: str) -> Tuple[float, ...]:
    """Return one number per continuous action; a single one stands for all."""
    values = [values] * size if isinstance(values, (int, float)) else values
    fine = isinstance(values, (list, tuple)) and len(values) == size
    if not fine or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise EdgeError(f"safety: {name} needs {size} numbers, or one for all, got {values}")
    return tuple(float(value) for value in values)


def verify(folder: Path, files: Optional[Sequence[str]] = None) -> List[str]:
    """Compare a bundle's files with its SHA256SUMS; returns the names that were checked.

    Args:
        folder: of the bundle.
        files: which ones; None checks all that are listed.

    Raises:
        EdgeError: a file is missing, is not listed, or was changed.
    """
    hashes = _read_hashes(folder)
    names = list(hashes) if files is None else list(files)
    for name in names:
        if name not in hashes:
            raise EdgeError(f"{folder / name}: not in {HASHES}: this bundle was exported without it")
        if not (folder / name).is_file():
            raise EdgeError(f"{folder / name}: missing; copy the whole bundle again")
        found = sha256(folder / name)
        if found != hashes[name]:
            raise EdgeError(
                f"{folder / name}: was changed or damaged: its SHA-256 is {found[:12]}.., {HASHES} says "
                f"{hashes[name][:12]}..; copy the bundle again"
            )
    return names


def _read_hashes(folder: Path) -> Dict[str, str]:
    path = folder / HASHES
    if not path.is_file():
        raise EdgeError(f"{folder}: not a bundle (no {HASHES} in it); robotrl export makes one")
    hashes = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or "/" in name:
            raise EdgeError(f"{path}:{number}: not a line of sha256sum; copy the bundle again")
        hashes[name] = digest
    return hashes


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
