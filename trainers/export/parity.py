"""Does the exported network do what the trained one does?"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from trainers.actors import ActionShape, Actor
from trainers.export.unity_onnx import RECURRENT_IN, RECURRENT_OUT, input_names, output_names

TOLERANCE = 1e-5
SAMPLES = 1000
STEPS = 20  # of every sample, where something is remembered from one to the next


@torch.no_grad()
def onnx_difference(actor: Actor, path: Path, seed: int = 0) -> float:
    """Return the largest difference of deterministic actions between torch and ONNX Runtime.

    Compared on 1,000 observations, drawn at 1, 3 and 10 times the spread that training has seen where the
    actor knows it, so that the normaliser's clamp is met, too; with random masks, where there are any. Numbers are
    compared as they are; a choice by how much worse than the best one it is in the torch policy's own scores, so that
    two choices that are as good as each other do not differ, and one that is forbidden differs by far. With a memory
    each is a sequence of 20 observations, and what both remember is compared, too.
    """
    rng = np.random.default_rng(seed)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    memory = torch.zeros(SAMPLES, actor.memory_size)
    exported_memory, difference = memory.unsqueeze(1).numpy(), 0.0
    inputs_of, names = (of(actor.shape, actor.memory_size) for of in (input_names, output_names))
    for _ in range(STEPS if actor.memory_size else 1):
        obs, allowed = _observations(actor, rng), _masks(actor.shape, rng)
        given = {"obs_0": obs, "action_masks": allowed, RECURRENT_IN: exported_memory}
        outputs = dict(zip(names, session.run(names, {name: given[name] for name in inputs_of}), strict=True))
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


def _observations(actor: Actor, rng: np.random.Generator) -> np.ndarray:
    scale = rng.choice([1.0, 3.0, 10.0], size=(SAMPLES, 1))
    obs = rng.normal(size=(SAMPLES, actor.obs_size)) * scale
    normalizer = actor.encoder.normalizer()
    if normalizer is not None:
        obs = obs * normalizer.var.sqrt().cpu().numpy() + normalizer.mean.cpu().numpy()
    drawn: np.ndarray = obs.astype(np.float32)
    return drawn


def _masks(shape: ActionShape, rng: np.random.Generator) -> np.ndarray:
    """Return masks, (SAMPLES, M), 1 for what is allowed: at least one choice of every branch."""
    allowed = [rng.random((SAMPLES, size)) < 0.7 for size in shape.branches]
    for part in allowed:
        part[np.arange(SAMPLES), rng.integers(part.shape[1], size=SAMPLES)] = True
    return np.concatenate([np.empty((SAMPLES, 0)), *allowed], axis=1, dtype=np.float32)
