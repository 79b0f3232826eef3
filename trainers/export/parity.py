"""Do the exported networks do what the trained one does?"""

import copy
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
from trainers.export.unity_onnx import MASKS, RECURRENT_IN, RECURRENT_OUT, inputs_of

Array = np.ndarray
Samples = Mapping[str, Array]
Runtime = Callable[[Samples], Mapping[str, Array]]

SAMPLES = 1000
STEPS = 20  # of a sequence of samples, where something is remembered from one to the next
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
    """Run a file of torch.export, sample by sample."""
    module = torch.export.load(path).module()

    def run(samples: Samples) -> Mapping[str, Array]:
        inputs = zip(*(torch.split(torch.from_numpy(samples[name]), 1) for name in inputs_of(actor)), strict=True)
        with torch.no_grad():
            rows = [module(*row) for row in inputs]
        outputs = (torch.cat(of).numpy() for of in zip(*rows, strict=True))
        return dict(zip(robot_outputs(actor), outputs, strict=True))

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
            network.run()
            for name, out in network.outputs.items():
                rows[name].append(out[0].copy())
        return {name: np.stack(row) for name, row in rows.items()}

    return run


@torch.no_grad()
def largest_difference(actor: Actor, runtime: Runtime, samples: Samples) -> float:
    """Return the largest difference of deterministic actions, and of what is remembered, to the trained policy's.

    Numbers are compared as they are; a choice by how much worse than the best one it is in the policy's own scores, in
    units of the best one's where that is above 1, so that two choices that are as good as each other do not differ,
    and one that is forbidden differs by far.
    """
    found = runtime(samples)
    rows = [part.reshape(len(part), -1) for name, part in samples.items() if name != RECURRENT_IN]
    memory = torch.from_numpy(samples.get(RECURRENT_IN, np.zeros((len(rows[0]), 1, 0), np.float32)))[:, 0]
    seen, memory = actor.step(torch.from_numpy(np.concatenate(rows, axis=1)), memory)
    size = actor.shape.continuous
    differences = [torch.zeros(len(seen), 1)]
    if actor.memory_size:
        differences.append((torch.from_numpy(found[RECURRENT_OUT])[:, 0] - memory).abs())
    if size:
        numbers = torch.from_numpy(found["deterministic_continuous_actions"])
        differences.append((numbers - actor.action(seen)[:, :size]).abs())
    if actor.shape.branches:
        chosen = torch.from_numpy(found["deterministic_discrete_actions"])
        for scores, choice in zip(actor.scores(seen), chosen.T, strict=True):
            differences.append(_regret(scores, choice))
    return float(torch.cat(differences, dim=1).max())


@torch.no_grad()
def rounding_of(actor: Actor, samples: Samples) -> float:
    """Return how far the trained policy itself, in float32, is from what it would be in float64."""
    module = RobotActor(copy.deepcopy(actor)).double().eval()

    def run(samples: Samples) -> Mapping[str, Array]:
        outputs = module(*(torch.from_numpy(samples[name]).double() for name in inputs_of(actor)))
        return {name: out.numpy() for name, out in zip(module.names, outputs, strict=True)}

    return largest_difference(actor, run, samples)


def _regret(scores: Tensor, choice: Tensor) -> Tensor:
    best = scores.amax(dim=1, keepdim=True)
    return (best - scores.gather(1, choice[:, None])) / best.abs().clamp_min(1.0)


def drawn_samples(actor: Actor, seed: int = 0) -> dict[str, Array]:
    """Return 1,000 random observations, and masks where there are any, by the names of the network's inputs.

    Vectors are drawn at 1, 3 and 10 times the spread that training has seen where the actor knows it, so that the
    normaliser's clamp is met, too; images from 0 to 1; buffers with any number of entities.
    """
    rng = np.random.default_rng(seed)
    return as_samples(actor, np.concatenate((_observations(actor, rng), _masks(actor.shape, rng)), axis=1))


@torch.no_grad()
def as_samples(actor: Actor, rows: Array) -> dict[str, Array]:
    """Return what policies see, (S, D + G + M), by the names of the network's inputs.

    With a memory they make sequences of 20, in which the policy remembers what came before.
    """
    size, masks = actor.obs_size, rows.shape[1] - actor.shape.choices
    seen = torch.from_numpy(np.concatenate((rows[:, :size], rows[:, masks:]), axis=1, dtype=np.float32))
    samples = {f"obs_{index}": part.numpy() for index, part in enumerate(actor.observation.split(seen))}
    if actor.shape.branches:
        samples[MASKS] = seen[:, size:].numpy()
    if actor.memory_size:
        samples[RECURRENT_IN] = _memories(actor, seen)
    return samples


def _memories(actor: Actor, seen: Tensor) -> Array:
    """Return what is remembered before each sample, (S, 1, memory_size)."""
    rows = -(-len(seen) // STEPS)
    memory, memories = torch.zeros(rows, actor.memory_size), []
    for part in torch.split(seen, rows):
        memories.append(memory[: len(part)])
        _, memory = actor.step(part, memories[-1])
    return torch.cat(memories).unsqueeze(1).numpy()


def outputs_of(actor: Actor, samples: Samples) -> dict[str, Array]:
    """Return what the trained policy gives, by the names of a robot's network."""
    module = RobotActor(actor).eval()
    with torch.no_grad():
        outputs = module(*(torch.from_numpy(samples[name]) for name in inputs_of(actor)))
    return {name: out.numpy() for name, out in zip(module.names, outputs, strict=True)}


def largest(differences: Iterable[float]) -> float:
    """Return the largest, or what is not a number where one is."""
    values = list(differences)
    return float(np.max(values)) if values else 0.0


def _observations(actor: Actor, rng: np.random.Generator) -> Array:
    """Return (SAMPLES, D)."""
    vectors = _vectors(actor, rng)
    parts = []
    for sensor in actor.observation.sensors:
        if sensor.kind == "vector":
            part, vectors = np.split(vectors, [sensor.size], axis=1)
        elif sensor.kind == "image":
            part = rng.random((SAMPLES, sensor.size))
        else:
            there = rng.random((SAMPLES, sensor.shape[0], 1)) < rng.random((SAMPLES, 1, 1))
            part = (rng.normal(size=(SAMPLES, *sensor.shape)) * there).reshape(SAMPLES, -1)
        parts.append(part)
    drawn: Array = np.concatenate(parts, axis=1, dtype=np.float32)
    return drawn


def _vectors(actor: Actor, rng: np.random.Generator) -> Array:
    """Return the numbers of all vectors, (SAMPLES, k)."""
    size = sum(sensor.size for sensor in actor.observation.sensors if sensor.kind == "vector")
    scale = rng.choice([1.0, 3.0, 10.0], size=(SAMPLES, 1))
    obs = rng.normal(size=(SAMPLES, size)) * scale
    normalizer = actor.encoder.normalizer()
    if normalizer is not None:
        obs = obs * normalizer.var.sqrt().cpu().numpy() + normalizer.mean.cpu().numpy()
    return np.asarray(obs)


def _masks(shape: ActionShape, rng: np.random.Generator) -> Array:
    """Return masks, (SAMPLES, M), 1 for what is allowed: at least one choice of every branch."""
    allowed = [rng.random((SAMPLES, size)) < 0.7 for size in shape.branches]
    for part in allowed:
        part[np.arange(SAMPLES), rng.integers(part.shape[1], size=SAMPLES)] = True
    return np.concatenate([np.empty((SAMPLES, 0)), *allowed], axis=1, dtype=np.float32)
