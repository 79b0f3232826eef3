"""Checkpoint -> actor: actor.onnx and actor.json in a folder, checked before they appear."""

import hashlib
import json
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from trainers.actors import ActionShape, Actor
from trainers.algorithms import ALGORITHMS
from trainers.checkpoint import load_checkpoint
from trainers.config import dump_settings
from trainers.errors import RunError
from trainers.evaluate import Evaluation
from trainers.export.parity import SAMPLES, TOLERANCE, onnx_difference
from trainers.export.unity_onnx import OPSET, RECURRENT_IN, RECURRENT_OUT, write_unity_onnx
from trainers.files import write_atomically
from trainers.observation import Observation
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from unity_env.sim.role import Role, find_role
from unity_env.spaces import Component

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Export:
    """An exported actor.

    Attributes:
        folder: holds actor.onnx and actor.json.
        unity_onnx: the copy under ML-Agents' name.
        difference: largest difference to the torch policy.
    """

    folder: Path
    unity_onnx: Path
    difference: float


def export_actor(folder: RunFolder, name: str, settings: RunSettings, measured: Evaluation | None = None) -> Export:
    """Export the best checkpoint of a behavior.

    The files are made and checked in a temporary folder and moved into place together; a failed export
    leaves what was there before.

    Raises:
        UserError: there is no readable checkpoint.
        RunError: the exported network differs from the trained one, or the disk refuses.
    """
    source = best_checkpoint(folder, name)
    state = load_checkpoint(source)
    actor = _rebuild_actor(state, settings, name)
    target = folder.behavior(name) / "actor"
    try:
        with tempfile.TemporaryDirectory(dir=folder.behavior(name), ignore_cleanup_errors=True) as made:
            onnx_path = Path(made) / "actor.onnx"
            _write(actor, onnx_path, source)
            difference = onnx_difference(actor, onnx_path)
            if not difference <= TOLERANCE:
                raise RunError(
                    f"export of {source}: actions differ by {difference:.2e} from the trained policy, "
                    f"more than {TOLERANCE:.0e}; nothing was exported"
                )
            known = _measured(measured, settings, target, state)
            card = _actor_card(settings, name, state, source, known, difference, actor)
            card["files"] = {"actor.onnx": _sha256(onnx_path)}
            (Path(made) / "actor.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
            _replace_folder(Path(made), target)
            write_atomically(folder.root / f"{name}.onnx", lambda path: shutil.copyfile(target / "actor.onnx", path))
    except OSError as error:
        raise RunError(f"export to {target}: {error.strerror}") from None
    return Export(target, folder.root / f"{name}.onnx", difference)


def _write(actor: Actor, path: Path, source: Path) -> None:
    try:
        write_unity_onnx(actor, path)
    except OSError:
        raise
    except Exception as error:  # the exporter and the checker raise many kinds
        reason = str(error).strip().splitlines()[:1]
        raise RunError(f"export of {source} failed: {type(error).__name__}: {' '.join(reason)}") from error


def best_checkpoint(folder: RunFolder, name: str) -> Path:
    """Return best.pt, or the newest checkpoint of a run that has not been evaluated yet."""
    return folder.best(name) if folder.best(name).is_file() else folder.checkpoint(name)


def _rebuild_actor(state: dict[str, Any], settings: RunSettings, name: str) -> Actor:
    behavior = settings.behaviors[name]
    make_actor = ALGORITHMS[behavior.trainer_type].make_actor
    seen = state.get("observation")  # which checkpoints of earlier versions, of one vector each, lack
    observed = state["obs_size"] if seen is None else Observation.from_state(seen)
    actor = make_actor(observed, _shape(state), behavior.network_settings)
    actor.load_state_dict(state["algorithm"]["actor"])
    return actor.eval()


def _shape(state: dict[str, Any]) -> ActionShape:
    return ActionShape(state["actions"]["continuous"], tuple(state["actions"]["branches"]))


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


def _actor_card(
    settings: RunSettings,
    name: str,
    state: dict[str, Any],
    source: Path,
    measured: dict[str, Any] | None,
    difference: float,
    actor: Actor,
) -> dict[str, Any]:
    """Describe the actor for whoever runs it: what goes in, what comes out, where it is from."""
    config = dump_settings(settings)
    reward = settings.behaviors[name].reward_shaping
    card: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "behavior": name,
        "onnx": {"opset": OPSET, **_tensors(actor)},
    }
    task_name = settings.env_settings.sim_task or settings.env_settings.task
    if task_name is not None:
        card |= _interface(find_role(task_name, name))
    card["parity"] = {"samples": SAMPLES, "largest_difference": difference, "tolerance": TOLERANCE}
    card["success_measured"] = measured
    card["provenance"] = {
        "run_id": settings.checkpoint_settings.run_id,
        "checkpoint": source.name,
        "steps": state["step"],
        "seed": settings.env_settings.seed,
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "reward_sha256": None if reward is None else hashlib.sha256(reward.model_dump_json().encode()).hexdigest(),
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("unity-robot-rl", "torch", "numpy", "mujoco", "onnx")},
        },
    }
    return card


def _tensors(actor: Actor) -> dict[str, Any]:
    """Name the network's inputs and its deterministic outputs; in `masks`, 1 allows a choice."""
    shape = actor.shape
    tensors: dict[str, Any] = {"input": "obs_0", "memory_size": actor.memory_size}
    if len(actor.observation.sensors) > 1 or not actor.observation.is_vector:
        tensors["inputs"] = {
            f"obs_{index}": {"sensor": sensor.name, "kind": sensor.kind, "shape": list(sensor.shape)}
            for index, sensor in enumerate(actor.observation.sensors)
        }
    if actor.memory_size:
        tensors |= {"memory": RECURRENT_IN, "memory_output": RECURRENT_OUT}
    if shape.continuous:
        tensors["output"] = "deterministic_continuous_actions"
    if shape.branches:
        tensors |= {"masks": "action_masks", "discrete_output": "deterministic_discrete_actions"}
        tensors["branches"] = list(shape.branches)
    return tensors


def _interface(role: Role) -> dict[str, Any]:
    """Return what a robot's program must feed in and what it gets back, in order."""
    robot = role.robot
    return {
        "robot": robot.name,
        "task": role.task_name,
        "control_period_s": robot.control.period_s,
        "observation": [asdict(part) for part in role.sensors["observation"]],
        "action": [_command(role, part) for part in role.action],
    }


def _command(role: Role, part: Component) -> dict[str, Any]:
    """Return what an action means: its scale to SI units or, of a choice, the values in SI units to choose from."""
    robot = role.robot
    described = robot.action[part.name]
    about: dict[str, Any] = asdict(part) | {"si_unit": described.si_unit}
    if described.choices is None or described.commands is None:
        return about | {"scale_to_si": robot.action_scale(part.name).tolist()}
    values = np.array(described.choices) * robot.action_scale(described.commands)
    return about | {"commands": described.commands, "choices_in_si": values.tolist()}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
