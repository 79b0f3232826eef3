"""What an action costs: the robot's runtime beside bare numpy, ONNX Runtime, torch and Stable-Baselines3.

All take turns in one process on one core, so that a machine whose speed varies is as unfair to each of them. The actor
has 27 observations, 2 layers of 128 tanh units and 6 actions, as Stable-Baselines3's policies have by default; the
runtime limits, rate-limits and watches them. The last row is an actor of this project's own defaults, with swish and
with observations that it normalises.

    python benchmarks/edge.py

Stable-Baselines3 is measured where it can be imported: pip install '.[benchmarks]'
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table

from trainers.actors import ActionShape, Actor, GaussianActor
from trainers.edge import ActorRunner
from trainers.export import card as cards
from trainers.export.bundle import Options, Trained, write_bundle
from trainers.export.edge_app import NAME as APP
from trainers.export.foreign import ForeignSettings, make_actor
from trainers.settings import NetworkSettings
from trainers.yaml_file import Document

OBS, ACT, UNITS = 27, 6, 128
CALLS = 200  # of each in its turn
SAFETY = {"rate_limit_per_s": 10.0}
Act = Callable[[np.ndarray], object]
Array = np.ndarray


def make_bundle(actor: Actor, folder: Path) -> Path:
    card = cards.base_card("RobotArm", actor, "arm_reach")
    card |= {"success_measured": None, "provenance": cards.made_now()}
    trained = Trained(actor, card, folder / "benchmark")
    return write_bundle(trained, folder / "actor", folder / "RobotArm.onnx", Options()).folder


def make_network(activation: Literal["tanh", "swish"], normalize: bool) -> GaussianActor:
    torch.manual_seed(0)
    settings = NetworkSettings(normalize=normalize, hidden_units=UNITS, num_layers=2, activation=activation)
    actor = GaussianActor(OBS, ActionShape(ACT), settings)
    actor.mean.weight.data.mul_(30)
    actor.encoder.update_normalizer(torch.randn(1000, OBS))
    return actor.eval()


def bare_numpy(actor: GaussianActor) -> Act:
    """The arithmetic alone, as one would write it."""
    state = {name: value.numpy() for name, value in actor.state_dict().items()}
    names = dict.fromkeys(name.rpartition(".")[0] for name in state if name.endswith(".weight"))
    *layers, (weight, bias) = [(state[f"{name}.weight"].T.copy(), state[f"{name}.bias"]) for name in names]

    def act(obs: Array) -> Array:
        x = obs
        for w, b in layers:
            x = np.tanh(x @ w + b)
        action: Array = np.minimum(np.maximum(x @ weight + bias, -3.0), 3.0) / 3.0
        return action

    return act


def bare_onnx(path: Path) -> Act:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = ["deterministic_continuous_actions"]
    return lambda obs: session.run(names, {"obs_0": obs[None]})[0]


def bare_torch(actor: Actor) -> Act:
    def act(obs: Array) -> Array:
        with torch.inference_mode():
            return actor.action(torch.from_numpy(obs)[None]).numpy()

    return act


def stable_baselines3(folder: Path) -> dict[str, Act]:
    """`predict` of a policy of that library, and the robot's runtime on the same network, imported."""
    try:
        from gymnasium import spaces
        from stable_baselines3.common.policies import ActorCriticPolicy
    except ImportError:
        return {}
    obs_space, act_space = (
        spaces.Box(-bound, bound, (size,), np.float32) for bound, size in ((100.0, OBS), (1.0, ACT))
    )
    policy: Any = ActorCriticPolicy(obs_space, act_space, lambda _: 1e-3, net_arch=[UNITS, UNITS])
    settings = ForeignSettings(library="stable_baselines3", weights="policy.pth", behavior="RobotArm")
    actor = make_actor(settings, policy.state_dict(), Path("policy.pth"), Document("benchmark", {}))
    runner = ActorRunner(make_bundle(actor.eval(), folder), safety=SAFETY)
    return {
        "stable_baselines3 predict": lambda obs: policy.predict(obs, deterministic=True),
        "numpy runtime, the same network": runner.act,
    }


def measure(contestants: dict[str, Act], rounds: int) -> dict[str, Array]:
    """Return microseconds of every call, (rounds, CALLS) each; the first round warms up and does not count."""
    observations = np.random.default_rng(0).normal(size=(CALLS, OBS)).astype(np.float32)
    took = {name: np.empty((rounds + 1, CALLS)) for name in contestants}
    for turn in range(rounds + 1):
        for name, act in contestants.items():
            for call, obs in enumerate(observations):
                start = time.perf_counter_ns()
                act(obs)
                took[name][turn, call] = time.perf_counter_ns() - start
    return {name: values[1:] / 1e3 for name, values in took.items()}


def cold_starts(bundle: Path, count: int) -> list[float]:
    """Return seconds from the start of the process to the first action, of so many processes."""
    line = f"{[0.0] * OBS}\n"
    command = [sys.executable, str(bundle / APP), "run", str(bundle)]
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as of:
            assert of.stdin is not None
            assert of.stdout is not None
            of.stdin.write(line)
            of.stdin.flush()
            of.stdout.readline()
            seconds.append(time.perf_counter() - start)
            of.stdin.close()
    return seconds


def show(console: Console, took: dict[str, Array]) -> None:
    table = Table("microseconds", *(f"{part}" for part in ("p50", "p99", "best round's p50", "best round's p99")))
    for name, values in took.items():
        quantiles = np.quantile(values, (0.5, 0.99))
        best = np.quantile(values, (0.5, 0.99), axis=1).min(axis=1)
        table.add_row(name, *(f"{value:.1f}" for value in (*quantiles, *best)))
    console.print(table)


def times_as_long(took: dict[str, Array], name: str, other: str) -> float:
    """Return how many times as long one takes as another, p50 by p50: the median round's, whatever its speed was."""
    p50, other_p50 = (np.quantile(took[each], 0.5, axis=1) for each in (name, other))
    return float(np.median(p50 / other_p50))


def figures(took: dict[str, Array], bundle: Path, starts: list[float]) -> list[tuple[str, str, bool]]:
    """Return what was asked for, what was found, and whether it holds."""
    p50, tail = (float(quantile) for quantile in np.quantile(took["numpy runtime"], (0.5, 0.99)))
    bare = times_as_long(took, "numpy runtime", "bare numpy arithmetic")
    size = sum(path.stat().st_size for path in bundle.iterdir())
    added = times_as_long(took, "ONNX Runtime through ActorRunner", "bare ONNX Runtime") - 1
    cold = float(np.median(starts))
    found = [
        ("numpy runtime p50 <= 15 us", f"{p50:.1f} us, {bare:.2f} of bare numpy's", p50 <= 15),
        ("numpy runtime p99 <= 60 us", f"{tail:.1f} us", tail <= 60),
        ("ActorRunner adds <= 15% to ONNX Runtime", f"{added:+.1%}", added <= 0.15),
        ("bundle <= 1 MB", f"{size / 1e6:.2f} MB", size <= 1_000_000),
        ("cold start <= 0.3 s", f"{cold:.2f} s, best {min(starts):.2f} s", cold <= 0.3),
    ]
    if "stable_baselines3 predict" in took:
        ratio = times_as_long(took, "stable_baselines3 predict", "numpy runtime, the same network")
        found.append((">= 25 times as fast as stable_baselines3", f"{ratio:.1f} times", ratio >= 25))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=50, help=f"of {CALLS} calls each; %(default)s")
    parser.add_argument("--starts", type=int, default=10, help="processes for the cold start; %(default)s")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        actor = make_network("tanh", normalize=False)
        bundle = make_bundle(actor, Path(folder) / "plain")
        own = make_bundle(make_network("swish", normalize=True), Path(folder) / "own")
        contestants = {
            "bare numpy arithmetic": bare_numpy(actor),
            "numpy runtime": ActorRunner(bundle, safety=SAFETY).act,
            "bare ONNX Runtime": bare_onnx(bundle / "actor.onnx"),
            "ONNX Runtime through ActorRunner": ActorRunner(bundle, "onnx", safety=SAFETY).act,
            "torch": bare_torch(actor),
            **stable_baselines3(Path(folder) / "foreign"),
            "numpy runtime, own defaults": ActorRunner(own, safety=SAFETY).act,
        }
        took = measure(contestants, options.rounds)
        found = figures(took, bundle, cold_starts(bundle, options.starts))
    show(console, took)
    if "stable_baselines3 predict" not in took:
        console.print("stable_baselines3 is not installed: pip install '.\\[benchmarks]'")
    for wanted, value, holds in found:
        console.print(f"{'holds ' if holds else 'MISSED'}  {wanted:<42} {value}")


if __name__ == "__main__":
    main()
