"""How long an action takes, and how evenly the clock ticks, on this machine."""

from __future__ import annotations

import time
from typing import Dict, Sequence, Union

import numpy as np

from .runner import ActorRunner

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


def latency_us(runner: ActorRunner, calls: int, seed: int = 0) -> np.ndarray:
    """Return what each of so many calls of `act` took, microseconds, on observations that differ."""
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(100, runner.bundle.obs_size + runner.bundle.choices)).astype(np.float32)
    took = np.empty(calls)
    for call in range(-min(calls, 200), calls):
        obs = observations[call % 100]
        start = time.perf_counter_ns()
        runner.act(obs)
        took[call] = time.perf_counter_ns() - start
    return took / 1e3


def jitter_us(runner: ActorRunner, seconds: float) -> np.ndarray:
    """Return how late each tick of the control loop came, microseconds, with an action computed in each."""
    ticks = max(1, int(seconds / runner.period_s))
    obs = np.zeros(runner.bundle.obs_size + runner.bundle.choices, np.float32)
    late = np.empty(ticks)
    due = time.perf_counter()
    for tick in range(ticks):
        due += runner.period_s
        time.sleep(max(0.0, due - time.perf_counter()))
        late[tick] = time.perf_counter() - due
        runner.act(obs)
    return late * 1e6


def quantiles(values: Union[np.ndarray, Sequence[float]]) -> Dict[str, float]:
    """Return p50, p95, p99 and max."""
    return {name: float(np.quantile(np.asarray(values), share)) for name, share in QUANTILES}
