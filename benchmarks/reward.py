"""Microseconds of one processor to compose a reward of 12 terms for 64 rows, and where they go."""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reward_shaping import Reward, RewardScorer, RewardSettings, Transition

TWELVE: dict[str, dict[str, Any]] = {
    "phi": {"term": "goal_progress", "parameters": {"start_distance": 4.0}, "use": "potential", "weight": 2.0},
    "near": {"term": "coarse_fine", "parameters": {"coarse": 0.5, "fine": 0.1}, "weight": 0.1},
    "time": {"term": "time", "weight": -0.02},
    "solved": {"term": "success", "weight": 5.0},
    "failed": {"term": "failure", "weight": -5.0},
    "collision": {"term": "collision", "weight": -10.0},
    "clearance": {"term": "clearance", "parameters": {"safe": 0.15}, "weight": 0.05},
    "ahead": {"term": "approach_speed", "parameters": {"max_velocity": 1.0}, "weight": 0.05},
    "looking": {"term": "heading", "when": {"signal": "goal_distance", "below": 1.0}, "weight": -0.01},
    "spin": {"term": "spin", "parameters": {"slow": 0.1}, "weight": -0.002},
    "action_rate": {
        "term": "action_rate",
        "weight": {"schedule": "linear", "initial": 0.0, "final": -0.005, "end": 1_000_000},
    },
    "saturation": {"term": "saturation", "weight": -0.01, "probe": True},
}
SIGNALS = ("goal_distance", "goal_bearing", "clearance", "collision", "forward_velocity", "yaw_velocity", "success")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=200, help="of 50 steps each")
    arguments = parser.parse_args()
    reward = Reward(RewardSettings.model_validate({"terms": TWELVE}), dict.fromkeys(SIGNALS, 1), gamma=0.99)
    moved = random_transition(arguments.rows)
    scorer = RewardScorer(reward, arguments.rows)
    scorer.begin({"signals": moved.signals})

    def scored() -> None:
        infos: dict[str, Any] = {"signals": moved.next_signals, "action": moved.action}
        scorer.score(moved.action, moved.env_reward, moved.terminated, moved.truncated, infos)

    print(f"{len(TWELVE)} terms, {arguments.rows} rows      lowest    median   us a step")
    report("composing (Reward)", lambda: reward(moved), arguments.rounds)
    report("with its log (RewardScorer)", scored, arguments.rounds)
    known = reward.known(moved)
    for entry in reward.entries:
        report(f"  {entry.name}", lambda score=entry.score: score(known), arguments.rounds // 10)  # type: ignore[misc]


def random_transition(rows: int) -> Transition:
    """One step of which the last row ends, as the simulation sends it: signals are columns of one float32 array."""
    rng = np.random.default_rng(0)
    before, after = (rng.random((rows, len(SIGNALS)), dtype=np.float32) for _ in range(2))
    terminated = np.arange(rows) == rows - 1
    return Transition(
        {name: before[:, index, None] for index, name in enumerate(SIGNALS)},
        {name: after[:, index, None] for index, name in enumerate(SIGNALS)},
        rng.random((rows, 2), dtype=np.float32),
        rng.random((rows, 2), dtype=np.float32),
        terminated,
        np.zeros(rows, dtype=bool),
        np.zeros(rows, dtype=np.float32),
    )


def report(what: str, call: Callable[[], Any], rounds: int) -> None:
    """Print the lowest and the median time of a call, over rounds of 50; what other processes take does not count."""
    times = []
    for _ in range(rounds):
        started = time.thread_time()
        for _ in range(50):
            call()
        times.append((time.thread_time() - started) / 50 * 1e6)
    print(f"{what:<28} {min(times):>8.1f}  {statistics.median(times):>8.1f}")


if __name__ == "__main__":
    main()
