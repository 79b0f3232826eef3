"""actor.json: what goes in, what comes out, where it is from, for a person and for the robot's runtime."""

import hashlib
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from trainers.actors import Actor
from trainers.config import dump_settings
from trainers.edge import SCHEMA_VERSION
from trainers.settings import RunSettings
from unity_env.sim.role import Role, find_role
from unity_env.spaces import Component

WATCHDOG_PERIODS = 5
VELOCITIES = ("rad/s", "m/s")


def base_card(behavior: str, actor: Actor, task_name: str | None) -> dict[str, Any]:
    """Return the part of a card that the runtime reads: tensors, components, limits.

    Args:
        behavior: its name.
        actor: the network.
        task_name: of ours that it was trained in; None where nobody described it, and only sizes are known.

    Raises:
        ValueError: there is no such task, or the behavior is not in it.
    """
    shape = actor.shape
    inputs = [{"name": f"obs_{index}", "shape": list(of.shape)} for index, of in enumerate(actor.observation.sensors)]
    network = {
        "inputs": inputs,
        "continuous": shape.continuous,
        "branches": list(shape.branches),
        "memory_size": actor.memory_size,
    }
    interface = _plain(actor) if task_name is None else _interface(find_role(task_name, behavior))
    safety = default_safety(interface["action"])
    return {"schema_version": SCHEMA_VERSION, "behavior": behavior, "network": network, **interface, "safety": safety}


def _plain(actor: Actor) -> dict[str, Any]:
    """Return what goes in and out of an actor that nobody described."""
    unknown = {"unit": "?", "frame": "?", "meaning": "as the Unity build sends it"}
    seen = [
        {"name": sensor.name, "size": sensor.size, "shape": list(sensor.shape), "input": f"obs_{index}"}
        for index, sensor in enumerate(actor.observation.sensors)
    ]
    count, branches = actor.shape.continuous, actor.shape.branches
    action: list[dict[str, Any]] = (
        [{"name": "continuous_actions", "size": count, "limit": [-1.0, 1.0]}] if count else []
    )
    action += [{"name": f"branch_{index}", "size": 1, "choices": size} for index, size in enumerate(branches)]
    return {
        "robot": None,
        "task": None,
        "control_period_s": None,
        "observation": [part | unknown for part in seen],
        "action": [part | unknown for part in action],
    }


def _interface(role: Role) -> dict[str, Any]:
    return {
        "robot": role.robot.name,
        "task": role.task_name,
        "control_period_s": role.control.period_s,
        "observation": [asdict(part) | {"input": "obs_0"} for part in role.sensors["observation"]],
        "action": [_command(role, part) for part in role.action],
    }


def _command(role: Role, part: Component) -> dict[str, Any]:
    """Return what an action means: its scale to SI units or, of a choice, the values in SI units to choose from."""
    robot = role.robot
    about: dict[str, Any] = asdict(part) | {"si_unit": robot.action[part.name].si_unit}
    choices, commands = robot.action[part.name].choices, robot.action[part.name].commands
    if choices is None or commands is None:
        return about | {"scale_to_si": robot.action_scale(part.name).tolist()}
    values = np.array(choices) * robot.action_scale(commands)
    return about | {"commands": commands, "choices_in_si": values.tolist()}


def default_safety(action: list[dict[str, Any]]) -> dict[str, Any]:
    """Return limits and a safe action: velocities stop, everything else stays where it is.

    A choice stops where one of its commands is all 0. Of actions that nobody described, numbers are 0 and choices stay.
    """
    low: list[float] = []
    high: list[float] = []
    safe: list[float | None] = []
    for part in action:
        if "limit" in part and "choices_in_si" not in part:
            low += [part["limit"][0]] * part["size"]
            high += [part["limit"][1]] * part["size"]
            stops = part.get("si_unit", "?") in (*VELOCITIES, "?")
            safe += [0.0 if stops else None] * part["size"]
        else:
            still = [index for index, values in enumerate(part.get("choices_in_si", ())) if not np.any(values)]
            safe.append(still[0] if still else None)
    return {
        "action_low": low,
        "action_high": high,
        "rate_limit_per_s": None,
        "watchdog_periods": WATCHDOG_PERIODS,
        "safe_action": safe,
    }


def provenance(settings: RunSettings, name: str, checkpoint: str, steps: int, reward_hash: str) -> dict[str, Any]:
    """Say where the actor is from; `reward_hash` is the content hash that logs and checkpoints have."""
    return {
        "run_id": settings.checkpoint_settings.run_id,
        "trainer_type": settings.behaviors[name].trainer_type,
        "checkpoint": checkpoint,
        "steps": steps,
        "seed": settings.env_settings.seed,
        "config_sha256": sha256_of(dump_settings(settings)),
        "reward_sha256": reward_hash,
        **made_now(),
    }


def made_now() -> dict[str, Any]:
    """Say when, and by which versions, an actor is exported."""
    packages = ("unity-robot-rl", "torch", "numpy", "mujoco", "onnx", "onnxruntime")
    return {
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
    }


def sha256_of(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
