"""Do the exported networks do what the trained one does?"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from trainers.actors import ActionShape, Actor
from trainers.edge.networks import NumpyNetwork
from trainers.export.quantize import Quantization
from trainers.export.torch_export import RobotActor, robot_outputs
from trainers.export.unity_onnx import input_names

Array = np.ndarray
Samples = Mapping[str, Array]
Runtime = Callable[[Samples], Mapping[str, Array]]

SAMPLES = 1000
TOLERANCE = 1e-5
TOLERANCES: dict[Quantization | None, float] = {None: TOLERANCE, "fp16": 1e-2, "int8": 1e-1}


def onnx_runtime(path: Path) -> Runtime:
    """Run a file by ONNX Runtime, its deterministic outputs only."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    known = {value.name for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs() if value.name.startswith(("deterministic_", "recurrent_"))]

    def run(samples: Samples) -> Mapping[str, Array]:
        given = {name: part for name, part in samples.items() if name in known}
        return dict(zip(names, session.run(names, given), strict=True))

    return run


def torch_export_runtime(path: Path, actor: Actor) -> Runtime:
    """Run a file of torch.export."""
    module = torch.export.load(path).module()

    def run(samples: Samples) -> Mapping[str, Array]:
        with torch.no_grad():
            outputs = module(*(torch.from_numpy(samples[name]) for name in input_names(actor.shape)))
        return {name: out.numpy() for name, out in zip(robot_outputs(actor), outputs, strict=True)}

    return run


def numpy_runtime(path: Path) -> Runtime:
    """Run a file by the robot's runtime, sample by sample."""

    def run(samples: Samples) -> Mapping[str, Array]:
        inputs = {name: np.zeros((1, *part.shape[1:]), np.float32) for name, part in samples.items()}
        network = NumpyNetwork(path, inputs)
        rows: dict[str, list[Array]] = {name: [] for name in network.outputs}
        for index in range(len(samples["obs_0"])):
            for name, buffer in inputs.items():
                buffer[0] = samples[name][index]
            network()
            for name, out in network.outputs.items():
                rows[name].append(out[0].copy())
        return {name: np.stack(row) for name, row in rows.items()}

    return run


@torch.no_grad()
def largest_difference(actor: Actor, runtime: Runtime, samples: Samples) -> float:
    """Return the largest difference of deterministic actions between the trained policy and a runtime.

    Numbers are compared as they are; a choice by how much worse than the best one it is in the policy's own scores, in
    units of the best one's where that is above 1, so that two choices that are as good as each other do not differ,
    and one that is forbidden differs by far.
    """
    found = runtime(samples)
    seen = torch.from_numpy(np.concatenate([samples[name] for name in input_names(actor.shape)], axis=1))
    size = actor.shape.continuous
    differences = [torch.zeros(len(seen), 1)]
    if size:
        numbers = torch.from_numpy(found["deterministic_continuous_actions"])
        differences.append((numbers - actor.action(seen)[:, :size]).abs())
    if actor.shape.branches:
        chosen = torch.from_numpy(found["deterministic_discrete_actions"])
        for scores, choice in zip(actor.scores(seen), chosen.T, strict=True):
            differences.append(_regret(scores, choice))
    return float(torch.cat(differences, dim=1).max())


def _regret(scores: Tensor, choice: Tensor) -> Tensor:
    best = scores.amax(dim=1, keepdim=True)
    return (best - scores.gather(1, choice[:, None])) / best.abs().clamp_min(1.0)


def onnx_difference(actor: Actor, path: Path) -> float:
    """Return the largest difference on random observations between the trained policy and ONNX Runtime."""
    return largest_difference(actor, onnx_runtime(path), drawn_samples(actor))


def drawn_samples(actor: Actor, seed: int = 0) -> dict[str, Array]:
    """Return 1,000 random observations, and masks where there are any, by the names of the network's inputs.

    They are drawn at 1, 3 and 10 times the spread that training has seen where the actor knows it, so that the
    normaliser's clamp is met, too.
    """
    rng = np.random.default_rng(seed)
    return as_samples(actor, np.concatenate((_observations(actor, rng), _masks(actor.shape, rng)), axis=1))


def as_samples(actor: Actor, seen: Array) -> dict[str, Array]:
    """Return what policies see, (S, D + M), by the names of the network's inputs."""
    parts = np.split(seen.astype(np.float32), [actor.obs_size], axis=1)
    return dict(zip(input_names(actor.shape), parts, strict=False))


def outputs_of(actor: Actor, samples: Samples) -> dict[str, Array]:
    """Return what the trained policy gives, by the names of a robot's network."""
    module = RobotActor(actor).eval()
    with torch.no_grad():
        outputs = module(*(torch.from_numpy(samples[name]) for name in input_names(actor.shape)))
    return {name: out.numpy() for name, out in zip(module.names, outputs, strict=True)}


def largest(differences: Iterable[float]) -> float:
    """Return the largest, or what is not a number where one is."""
    values = list(differences)
    return float(np.max(values)) if values else 0.0


def _observations(actor: Actor, rng: np.random.Generator) -> Array:
    scale = rng.choice([1.0, 3.0, 10.0], size=(SAMPLES, 1))
    obs = rng.normal(size=(SAMPLES, actor.obs_size)) * scale
    normalizer = actor.encoder.normalizer()
    if normalizer is not None:
        obs = obs * normalizer.var.sqrt().cpu().numpy() + normalizer.mean.cpu().numpy()
    drawn: Array = obs.astype(np.float32)
    return drawn


def _masks(shape: ActionShape, rng: np.random.Generator) -> Array:
    """Return masks, (SAMPLES, M), 1 for what is allowed: at least one choice of every branch."""
    allowed = [rng.random((SAMPLES, size)) < 0.7 for size in shape.branches]
    for part in allowed:
        part[np.arange(SAMPLES), rng.integers(part.shape[1], size=SAMPLES)] = True
    return np.concatenate([np.empty((SAMPLES, 0)), *allowed], axis=1, dtype=np.float32)
