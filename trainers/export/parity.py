"""Does the exported network do what the trained one does?"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from trainers.actors import ActionShape, Actor
from trainers.export.unity_onnx import MASKS, RECURRENT_IN, RECURRENT_OUT, inputs_of, output_names

TOLERANCE = 1e-5
SAMPLES = 1000
STEPS = 20  # of a sequence of samples, where something is remembered from one to the next


@torch.no_grad()
def onnx_difference(actor: Actor, path: Path, seed: int = 0) -> float:
    """Return the largest difference of deterministic actions between torch and ONNX Runtime.

    Compared on 1,000 observations, drawn at 1, 3 and 10 times the spread that training has seen where the
    actor knows it, so that the normaliser's clamp is met, too; with random masks, where there are any. Numbers are
    compared as they are; a choice by how much worse than the best one it is in the torch policy's own scores, so that
    two choices that are as good as each other do not differ, and one that is forbidden differs by far. With a memory
    they make 50 sequences, and what both remember is compared, too.
    """
    rng = np.random.default_rng(seed)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    steps = STEPS if actor.memory_size else 1
    rows = SAMPLES // steps
    memory = torch.zeros(rows, actor.memory_size)
    exported_memory, difference = memory.unsqueeze(1).numpy(), 0.0
    names = output_names(actor.shape, actor.memory_size)
    for _ in range(steps):
        obs, allowed = _observations(actor, rows, rng), _masks(actor.shape, rows, rng)
        given = {MASKS: allowed, RECURRENT_IN: exported_memory}
        for index, sensor in enumerate(actor.observation.split(torch.from_numpy(obs))):
            given[f"obs_{index}"] = sensor.numpy()
        outputs = dict(zip(names, session.run(names, {name: given[name] for name in inputs_of(actor)}), strict=True))
        inputs, memory = actor.step(torch.from_numpy(np.concatenate((obs, allowed), axis=1)), memory)
        difference = max(difference, _of_actions(actor, inputs, outputs))
        if actor.memory_size:
            exported_memory = outputs[RECURRENT_OUT]
            difference = max(difference, float((torch.from_numpy(exported_memory)[:, 0] - memory).abs().max()))
    return difference


def _of_actions(actor: Actor, inputs: Tensor, outputs: dict[str, np.ndarray]) -> float:
    """Return how far an exported network's deterministic actions are from the actor's."""
    size = actor.shape.continuous
    chosen = [value for name, value in outputs.items() if name.startswith("deterministic_")]
    exported = torch.from_numpy(np.concatenate(chosen, axis=1, dtype=np.float32))
    differences = [(exported - actor.action(inputs))[:, :size].abs()]
    for scores, choices in zip(actor.scores(inputs), exported[:, size:].long().T, strict=True):
        differences.append(scores.amax(dim=1, keepdim=True) - scores.gather(1, choices[:, None]))
    return float(torch.cat(differences, dim=1).max())


def _observations(actor: Actor, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return observations, (rows, D): vectors as said above, images from 0 to 1, buffers of any number of entities."""
    vectors = _vectors(actor, rows, rng)
    parts = []
    for sensor in actor.observation.sensors:
        if sensor.kind == "vector":
            part, vectors = np.split(vectors, [sensor.size], axis=1)
        elif sensor.kind == "image":
            part = rng.random((rows, sensor.size))
        else:
            there = rng.random((rows, sensor.shape[0], 1)) < rng.random((rows, 1, 1))
            part = (rng.normal(size=(rows, *sensor.shape)) * there).reshape(rows, -1)
        parts.append(part)
    drawn: np.ndarray = np.concatenate(parts, axis=1, dtype=np.float32)
    return drawn


def _vectors(actor: Actor, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of all vectors, (rows, k)."""
    size = sum(sensor.size for sensor in actor.observation.sensors if sensor.kind == "vector")
    scale = rng.choice([1.0, 3.0, 10.0], size=(rows, 1))
    obs = rng.normal(size=(rows, size)) * scale
    normalizer = actor.encoder.normalizer()
    if normalizer is not None:
        obs = obs * normalizer.var.sqrt().cpu().numpy() + normalizer.mean.cpu().numpy()
    return np.asarray(obs)


def _masks(shape: ActionShape, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return masks, (rows, M), 1 for what is allowed: at least one choice of every branch."""
    allowed = [rng.random((rows, size)) < 0.7 for size in shape.branches]
    for part in allowed:
        part[np.arange(rows), rng.integers(part.shape[1], size=rows)] = True
    return np.concatenate([np.empty((rows, 0)), *allowed], axis=1, dtype=np.float32)
