"""Does the exported network do what the trained one does?"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from trainers.actors import Actor

TOLERANCE = 1e-5
SAMPLES = 1000


def onnx_difference(actor: Actor, path: Path, seed: int = 0) -> float:
    """Return the largest difference of deterministic actions between torch and ONNX Runtime.

    Compared on 1,000 observations, drawn at 1, 3 and 10 times the spread that training has seen where the
    actor knows it, so that the normaliser's clamp is met, too.
    """
    rng = np.random.default_rng(seed)
    scale = rng.choice([1.0, 3.0, 10.0], size=(SAMPLES, 1))
    obs = rng.normal(size=(SAMPLES, actor.obs_size)) * scale
    normalizer = actor.encoder.normalizer()
    if normalizer is not None:
        obs = obs * normalizer.var.sqrt().cpu().numpy() + normalizer.mean.cpu().numpy()
    obs = obs.astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (exported,) = session.run(["deterministic_continuous_actions"], {"obs_0": obs})
    with torch.no_grad():
        trained = actor.action(torch.from_numpy(obs)).numpy()
    return float(np.abs(exported - trained).max())
