"""Bundles that tests run: small actors, exported without a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.actors import ActionShape, Actor, GaussianActor
from trainers.choices import CategoricalActor, HybridActor
from trainers.edge.bundle import HASHES, sha256
from trainers.export import card as cards
from trainers.export.bundle import Export, Options, Trained, write_bundle
from trainers.settings import NetworkSettings

ACTORS: dict[str, type[Actor]] = {
    "continuous": GaussianActor,
    "discrete": CategoricalActor,
    "hybrid": HybridActor,
}
SHAPES = {
    "continuous": ActionShape(6),
    "discrete": ActionShape(0, (9,)),
    "hybrid": ActionShape(2, (3, 2)),
}
SIZES = {"continuous": 27, "discrete": 31, "hybrid": 7}
TASKS = {"continuous": ("arm_reach", "RobotArm"), "discrete": ("mobile_goal_discrete", "MobileRobot")}


def make_actor(kind: str, **settings: Any) -> Actor:
    torch.manual_seed(1)
    shaped = NetworkSettings.model_validate({"normalize": True, "hidden_units": 16, "num_layers": 2, **settings})
    actor = ACTORS[kind](SIZES[kind], SHAPES[kind], shaped)
    for weights in actor.parameters():
        if weights.ndim == 2:
            weights.data.mul_(3.0)
    actor.encoder.update_normalizer(torch.randn(500, SIZES[kind]) * torch.logspace(-1, 1, SIZES[kind]) + 1)
    return actor.eval()


def make_bundle(folder: Path, kind: str = "continuous", actor: Actor | None = None, **options: Any) -> Export:
    """Export an actor of a kind to folder/actor, as a trained one of its task."""
    actor = actor or make_actor(kind)
    task, behavior = TASKS.get(kind, (None, "Walker"))
    card = cards.base_card(behavior, actor, task)
    card |= {"success_measured": None, "provenance": cards.made_now()}
    trained = Trained(actor, card, folder / "best.pt")
    return write_bundle(trained, folder / "actor", folder / f"{behavior}.onnx", Options(**options))


def edit_card(bundle: Path, **changes: Any) -> None:
    """Change entries of actor.json, and its hash."""
    path = bundle / "actor.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    sign(bundle)


def sign(bundle: Path) -> None:
    names = sorted(path.name for path in bundle.iterdir() if path.name != HASHES)
    (bundle / HASHES).write_text("".join(f"{sha256(bundle / name)}  {name}\n" for name in names))


def observation(kind: str = "continuous", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SIZES[kind]).astype(np.float32)
