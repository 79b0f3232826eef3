"""Checkpoint -> bundle: the networks, actor.json and the robot's runtime in a folder, checked before they appear."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from trainers.actors import ActionShape, Actor
from trainers.algorithms import ALGORITHMS
from trainers.checkpoint import load_checkpoint
from trainers.config import dump_settings
from trainers.edge.bundle import HASHES, sha256
from trainers.edge.check import SAMPLES as SAMPLES_FILE
from trainers.errors import RunError, UserError
from trainers.evaluate import Evaluation
from trainers.export import card as cards
from trainers.export.edge_app import NAME as APP
from trainers.export.edge_app import write_edge_app
from trainers.export.engine import NAME as ENGINE
from trainers.export.engine import unsupported, write_engine_script
from trainers.export.numpy_actor import write_numpy_actor
from trainers.export.parity import (
    SAMPLES,
    TOLERANCES,
    Array,
    Runtime,
    Samples,
    as_samples,
    drawn_samples,
    largest,
    largest_difference,
    numpy_runtime,
    onnx_runtime,
    outputs_of,
    rounding_of,
    torch_export_runtime,
)
from trainers.export.quantize import Quantization, quantized
from trainers.export.readme import bundle_readme
from trainers.export.robot_onnx import OPSET, write_robot_onnx
from trainers.export.torch_export import write_torch_export
from trainers.export.unity_onnx import inputs_of, write_unity_onnx
from trainers.files import write_atomically
from trainers.observation import Observation
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings

Format = Literal["unity", "onnx", "pt2", "numpy"]
FORMATS: tuple[Format, ...] = get_args(Format)
KEPT_BYTES = 200_000  # of recorded observations in a bundle


@dataclass(frozen=True)
class Options:
    """What is exported.

    Attributes:
        formats: which networks.
        quantization: how the robot's networks store their matrices; Unity's stays in float32.
    """

    formats: Sequence[Format] = FORMATS
    quantization: Quantization | None = None

    @property
    def for_robot(self) -> bool:
        """Whether there is more than Unity's network."""
        return set(self.formats) != {"unity"}


@dataclass(frozen=True)
class Export:
    """An exported actor.

    Attributes:
        folder: the bundle; left as it was where Unity's network alone was wanted.
        unity_onnx: Unity's network under ML-Agents' name; None where it was not wanted.
        differences: format -> largest difference to the torch policy.
        recorded: number of recorded observations among those that were compared.
    """

    folder: Path
    unity_onnx: Path | None
    differences: Mapping[str, float]
    recorded: int

    @property
    def parity(self) -> str:
        """What was compared, and how far apart it was, for people."""
        differences = ", ".join(f"{name} {value:.1e}" for name, value in self.differences.items())
        seen = f"{SAMPLES:,} random and {self.recorded:,} recorded observations"
        return f"largest difference to torch over {seen}: {differences}"


@dataclass(frozen=True)
class Trained:
    """A policy to be exported.

    Attributes:
        actor: its network.
        card: actor.json, but for what the export itself adds.
        source: the file it is from, for messages.
        configuration: the resolved settings of its run; empty where there are none.
        recorded: what it has seen, (S, D + G + M); None where nothing was recorded.
    """

    actor: Actor
    card: Mapping[str, Any]
    source: Path
    configuration: str = ""
    recorded: Array | None = None


def export_actor(
    folder: RunFolder,
    name: str,
    settings: RunSettings,
    measured: Evaluation | None = None,
    recorded: Array | None = None,
    options: Options | None = None,
) -> Export:
    """Export the best checkpoint of a behavior.

    The files are made and checked in a temporary folder and moved into place together; a failed export
    leaves what was there before.

    Args:
        folder: of the run.
        name: of the behavior.
        settings: of the run.
        measured: evaluation of this policy; without it, what an earlier export of it knew.
        recorded: what policies have seen in the environment, (S, D + G + M); None compares random observations only.
        options: what to export; everything by default.

    Raises:
        UserError: there is no readable checkpoint.
        RunError: an exported network differs from the trained one, has an operator that is not supported, or the disk
            refuses.
    """
    source = best_checkpoint(folder, name)
    state = load_checkpoint(source)
    target = folder.behavior(name) / "actor"
    actor = _rebuild_actor(state, settings, name)
    task = settings.env_settings.sim_task or settings.env_settings.task
    card = cards.base_card(name, actor, task)
    card["success_measured"] = _measured(measured, settings, target, state)
    reward_hash = state["reward"]["content_hash"]
    card["provenance"] = cards.provenance(settings, name, source.name, state["step"], reward_hash)
    trained = Trained(actor, card, source, dump_settings(settings), recorded)
    return write_bundle(trained, target, folder.root / f"{name}.onnx", options or Options())


def write_bundle(trained: Trained, target: Path, unity_onnx: Path, options: Options) -> Export:
    """Make a bundle, check it, and put it in the place of what was at `target`.

    Unity's network alone leaves the bundle that is there.

    Raises:
        UserError: what is at `target` is no bundle, and not empty.
        RunError: as `export_actor`.
    """
    try:
        if options.for_robot:
            _check_replaceable(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as scratch:
            made = Path(scratch) / "bundle"
            made.mkdir()
            rounded = quantized(trained.actor, options.quantization)
            samples = [drawn_samples(trained.actor)]
            if trained.recorded is not None:
                samples.append(as_samples(trained.actor, trained.recorded))
            differences = _make_networks(trained, rounded, samples, made, Path(scratch), options)
            if options.for_robot:
                _describe(trained, rounded, samples[-1], made, differences, options)
                _replace_folder(made, target)
            if "unity" in options.formats:
                write_atomically(unity_onnx, lambda path: shutil.copyfile(Path(scratch) / "unity.onnx", path))
    except OSError as error:
        raise RunError(f"export to {target}: {error.strerror}") from None
    recorded = 0 if trained.recorded is None else len(trained.recorded)
    return Export(target, unity_onnx if "unity" in options.formats else None, differences, recorded)


def best_checkpoint(folder: RunFolder, name: str) -> Path:
    """Return best.pt, or the newest checkpoint of a run that has not been evaluated yet."""
    return folder.best(name) if folder.best(name).is_file() else folder.checkpoint(name)


def _make_networks(
    trained: Trained, rounded: Actor, samples: Sequence[Samples], made: Path, scratch: Path, options: Options
) -> dict[str, float]:
    """Write the networks that are wanted; returns how far each is from the trained policy.

    Raises:
        RunError: one of them is too far.
    """
    kind, actor = options.quantization, trained.actor
    plain, unity = scratch / "plain.onnx", scratch / "unity.onnx"
    _attempt(trained.source, lambda: write_unity_onnx(rounded, unity))
    _attempt(trained.source, lambda: write_robot_onnx(unity, plain))
    runtimes: dict[str, Runtime] = {}
    if "onnx" in options.formats:
        _attempt(trained.source, lambda: write_robot_onnx(unity, made / "actor.onnx", kind))
        runtimes["onnx"] = onnx_runtime(made / "actor.onnx")
    if "numpy" in options.formats:
        _attempt(trained.source, lambda: write_numpy_actor(plain, made / "actor.npz", kind))
        runtimes["numpy"] = numpy_runtime(made / "actor.npz")
    if "pt2" in options.formats:
        _attempt(trained.source, lambda: write_torch_export(rounded, made / "actor.pt2"))
        runtimes["pt2"] = torch_export_runtime(made / "actor.pt2", actor)
    if "unity" in options.formats:
        if kind is not None:
            _attempt(trained.source, lambda: write_unity_onnx(actor, unity))
        runtimes["unity"] = onnx_runtime(unity)
    return {name: _checked(trained, samples, name, runtime, kind) for name, runtime in runtimes.items()}


def _checked(
    trained: Trained, samples: Sequence[Samples], name: str, runtime: Runtime, kind: Quantization | None
) -> float:
    tolerance = TOLERANCES[None if name == "unity" else kind]
    difference = largest(largest_difference(trained.actor, runtime, part) for part in samples)
    if difference <= tolerance:
        return difference
    # before a tanh that saturates, float32 itself may round by more: the policy in one direction, the export in another
    rounding = largest(rounding_of(trained.actor, part) for part in samples)
    if not difference <= tolerance + 2.0 * rounding:
        raise RunError(
            f"export of {trained.source}: {name}: actions differ by {difference:.2e} from the trained policy, "
            f"more than {tolerance:.0e} and twice its own rounding of {rounding:.0e}; nothing was exported"
        )
    return difference


def _attempt(source: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except (OSError, RunError):
        raise
    except Exception as error:  # the exporters and the checker raise many kinds
        reason = " ".join(str(error).strip().splitlines()[:1])
        raise RunError(f"export of {source} failed: {type(error).__name__}: {reason}") from error


def _describe(
    trained: Trained, rounded: Actor, samples: Samples, made: Path, differences: Mapping[str, float], options: Options
) -> None:
    """Write everything but the networks; the hashes last."""
    actor, kind = trained.actor, options.quantization
    recorded = trained.recorded if trained.recorded is not None else np.empty((0, 0))
    card = {
        **trained.card,
        "quantization": kind,
        "onnx_opset": OPSET,
        "parity": {
            "samples": SAMPLES,
            "recorded": len(recorded),
            "largest_difference": dict(differences),
            "tolerance": TOLERANCES[kind],
        },
    }
    (made / "actor.json").write_text(json.dumps(card, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if trained.configuration:
        (made / "configuration.yaml").write_text(trained.configuration, encoding="utf-8")
    if "onnx" in options.formats and kind != "int8" and not unsupported(made / "actor.onnx"):
        write_engine_script(made / ENGINE, inputs_of(actor))
    text = bundle_readme(card, numpy="numpy" in options.formats, engine=(made / ENGINE).is_file())
    (made / "README.md").write_text(text, encoding="utf-8")
    kept = max(1, min(64, KEPT_BYTES // (4 * (actor.obs_size + actor.shape.choices))))
    first: dict[str, Any] = {name: part[:kept] for name, part in samples.items()}
    np.savez(made / SAMPLES_FILE, **(first | outputs_of(rounded, first)))
    write_edge_app(made / APP)
    names = sorted(path.name for path in made.iterdir())
    (made / HASHES).write_text("".join(f"{sha256(made / name)}  {name}\n" for name in names), encoding="utf-8")


def _rebuild_actor(state: dict[str, Any], settings: RunSettings, name: str) -> Actor:
    behavior = settings.behaviors[name]
    make_actor = ALGORITHMS[behavior.trainer_type].make_actor
    shape = ActionShape(state["actions"]["continuous"], tuple(state["actions"]["branches"]))
    seen = state.get("observation")  # which checkpoints of earlier versions, of one vector each, lack
    observed = state["obs_size"] if seen is None else Observation.from_state(seen)
    actor = make_actor(observed, shape, behavior.network_settings)
    actor.load_state_dict(state["algorithm"]["actor"])
    return actor.eval()


def _check_replaceable(target: Path) -> None:
    """Refuse to replace what an export has not made."""
    if not target.exists() or (target / HASHES).is_file():
        return
    if not target.is_dir() or any(target.iterdir()):
        raise UserError(
            f"{target}: is there, and no bundle (no {HASHES} in it); move it away, or export to another folder"
        )


def _replace_folder(made: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    made.chmod(0o755)
    try:
        made.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _measured(
    evaluation: Evaluation | None, settings: RunSettings, target: Path, state: dict[str, Any]
) -> dict[str, Any] | None:
    """Return what is known of the policy's success: the given evaluation, else what an earlier export of it says."""
    if evaluation is not None:
        measures = evaluation.summary()
        return {"episodes": len(evaluation.returns), "seed": settings.evaluation.final_seed, **measures}
    try:
        earlier: dict[str, Any] = json.loads((target / "actor.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = earlier.get("provenance", {}).get("steps") == state["step"]
    known: dict[str, Any] | None = earlier.get("success_measured") if same else None
    return known
