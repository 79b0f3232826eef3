"""Does the exported network do what the trained one does?"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from trainers.actors import ActionShape, Actor
from trainers.export.unity_onnx import input_names, output_names

TOLERANCE = 1e-5
SAMPLES = 1000


def onnx_difference(actor: Actor, path: Path, seed: int = 0) -> float:
    """Return the largest difference of deterministic actions between torch and ONNX Runtime.

    Compared on 1,000 observations, drawn at 1, 3 and 10 times the spread that training has seen where the
    actor knows it, so that the normaliser's clamp is met, too; with random masks, where there are any. Numbers are
    compared as they are; a choice by how much worse than the best one it is in the torch policy's own scores, so that
    two choices that are as good as each other do not differ, and one that is forbidden differs by far.
    """
    rng = np.random.default_rng(seed)
    shape = actor.shape
    obs, allowed = _observations(actor, rng), _masks(shape, rng)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = [name for name in output_names(shape) if name.startswith("deterministic_")]
    feed = dict(zip(input_names(shape), (obs, allowed), strict=False))
    exported = torch.from_numpy(np.concatenate(session.run(wanted, feed), axis=1, dtype=np.float32))
    seen = torch.from_numpy(np.concatenate((obs, allowed), axis=1))
    with torch.no_grad():
        differences = [(exported - actor.action(seen))[:, : shape.continuous].abs()]
        for scores, chosen in zip(actor.scores(seen), exported[:, shape.continuous :].long().T, strict=True):
            differences.append(scores.amax(dim=1, keepdim=True) - scores.gather(1, chosen[:, None]))
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
