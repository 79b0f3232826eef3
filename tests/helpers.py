"""What several test modules need: tiny runs, the command line in process, comparisons to the bit."""

import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import yaml
from pydantic import TypeAdapter

from trainers.actors import Actor
from trainers.checkpoint import load_checkpoint
from trainers.cli import main
from trainers.export.parity import drawn_samples, largest_difference, onnx_runtime
from unity_env import UnityVectorEnv
from unity_env.settings import Sampler
from unity_env.sim.env import SimEnv

ROBOTRL = Path(sys.executable).parent / "robotrl"
NAME = "RobotArm"

TINY: dict[str, Any] = {
    "env_settings": {"env_path": "sim:arm_reach", "num_areas": 8, "seed": 5, "sim_threads": 1},
    "behaviors": {
        NAME: {
            "trainer_type": "ppo",
            "max_steps": 1024,
            "summary_freq": 256,
            "checkpoint_interval": 512,
            "hyperparameters": {
                "batch_size": 64,
                "buffer_size": 256,
                "learning_rate": 0.01,
                "learning_rate_schedule": "constant",
                "num_epoch": 2,
            },
            "network_settings": {"normalize": True, "hidden_units": 16, "num_layers": 1},
            "reward_shaping": {
                "terms": {
                    "near": {"term": "reach", "signal": "goal_distance", "parameters": {"std": 0.3}, "weight": 1.0},
                    "haste": {"term": "time", "weight": -0.5},
                }
            },
        }
    },
    "evaluation": {"interval": 100_000, "episodes": 2, "final_episodes": 2},
}
BEHAVIOR = f"behaviors.{NAME}"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def sampler(kind: str, **parameters: Any) -> Sampler:
    """Read a sampler as a YAML file would give it."""
    described = {"sampler_type": kind, "sampler_parameters": parameters}
    read: Sampler = TypeAdapter(Sampler).validate_python(described)
    return read


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """TINY with dotted keys set."""
    config: dict[str, Any] = yaml.safe_load(yaml.safe_dump(TINY))
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        place = config
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return config


def write_config(folder: Path, changes: Mapping[str, Any] | None = None, name: str = "tiny") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(changed(changes or {}), sort_keys=False), encoding="utf-8")
    return path


def cli(*arguments: object) -> Outcome:
    """Call robotrl in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["robotrl", *(str(argument) for argument in arguments)]
    code: Any = 0
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Outcome(code or 0, out.getvalue(), err.getvalue())


def robotrl(*arguments: object, cwd: Path) -> Outcome:
    """Call robotrl as a user does."""
    done = subprocess.run(
        [ROBOTRL, *(str(argument) for argument in arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def train_tiny(folder: Path, run_id: str, changes: Mapping[str, Any] | None = None, *more: object) -> Path:
    """Train in process below folder/results; returns the run's folder."""
    config = write_config(folder, changes, run_id)
    outcome = cli("train", config, "--results-dir", folder / "results", "--run-id", run_id, *more)
    assert outcome.code == 0, outcome.err
    return folder / "results" / run_id


def assert_refused(outcome: Outcome, *parts: str, code: int = 2) -> None:
    """One or two lines that begin with error: and contain `parts` (regular expressions)."""
    lines = outcome.err.strip().splitlines()
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err + outcome.out
    assert 1 <= len(lines) <= 2, outcome.err
    assert lines[0].startswith("error: "), outcome.err
    for part in parts:
        assert re.search(part, outcome.err), outcome.err


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """What a behavior's folder logged, as strict JSON."""

    def reject(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=reject) for line in lines]


def checkpoint_of(run: Path) -> dict[str, Any]:
    return load_checkpoint(run / NAME / "checkpoint.pt")


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path -> content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_rows(
    task: str,
    rows: int,
    seed: int = 0,
    threads: int = 1,
    behavior: str | None = None,
    parameters: Mapping[str, float | Sampler] | None = None,
) -> UnityVectorEnv:
    """Rows of a task, of its first behavior where none is named."""
    env = SimEnv(task, rows, seed, threads, parameters)
    name = behavior or env.task.roles[0].behavior
    return UnityVectorEnv(env, name, layouts=env.layouts[name])


def sim_of(env: UnityVectorEnv) -> SimEnv:
    assert isinstance(env.env, SimEnv)
    return env.env


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every array, tensor and plain value inside nested containers, with its path."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def difference(a: Any, b: Any) -> str:
    """Where two nested containers differ first, to the bit; "" where they are the same."""
    left, right = dict(leaves(a)), dict(leaves(b))
    if left.keys() != right.keys():
        return f"keys {sorted(left.keys() ^ right.keys())}"
    return next((path for path, value in left.items() if not same(value, right[path])), "")


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return same(a.numpy(), b.numpy())
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    return bool(a == b)


def onnx_difference(actor: Actor, path: Path) -> float:
    """Return the largest difference on random observations between the trained policy and ONNX Runtime."""
    return largest_difference(actor, onnx_runtime(path), drawn_samples(actor))
