"""What every trainer is to reach, measured: learning figures over several seeds, and the time of a PPO update.

`python benchmarks/trainer_figures.py` runs all of it, one after the other, for hours; `--only NAME` one part. Each
writes its figures and curves into <out>, and <out>/trainers.md says what was wanted, what came of it, what was missed.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fetch_reach
import ppo_update
from learning import RESULTS, learn
from rich.console import Console
from rich.table import Table

from trainers.evaluate import evaluate_world, permutation_p
from trainers.settings import RunSettings
from trainers.stage import random_policy
from trainers.train import Trained
from trainers.world import make_world
from trainers.yaml_file import Document

Result = Mapping[str, Any]

SEEDS = [0, 1, 2]

HEAD = """# What the trainers reach

`python benchmarks/trainer_figures.py`, or one row by `--only NAME`. Success is that of the deterministic policy on
held-out episodes at the end of training; a figure is met where each of 3 seeds meets it. Curves:
[README.md](README.md).

| name | wanted | measured | met |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Figure:
    """One row: what is wanted, how it is run, and how its result is read.

    Attributes:
        wanted: in words.
        run: (seeds, folder of the results) -> the result, which it has written there as <name>.json.
        read: result -> what was measured, in words, and whether that is what was wanted.
    """

    wanted: str
    run: Callable[[Sequence[int], Path], Result]
    read: Callable[[Result], tuple[str, bool]]


def success(config: str, wanted: float, within: int | None = None) -> Figure:
    """Return the figure of a config that is to reach a success, within so many steps where they count."""
    limit = f" within {within:,} steps" if within else ""

    def read(result: Result) -> tuple[str, bool]:
        runs = result["seeds"]
        met = all(run["success"] >= wanted and run["steps"] <= (within or run["steps"]) for run in runs)
        each = (f"seed {run['seed']}: {run['success']:.1%} after {run['steps']:,} steps" for run in runs)
        return "; ".join(each), met

    return Figure(f"{wanted:.0%} success{limit}", lambda seeds, out: learn(config, config, seeds, [], out), read)


def improvement(config: str, most: float) -> Figure:
    """Return the figure of a config whose policy is to do better than random actions do on the same episodes."""

    def read(result: Result) -> tuple[str, bool]:
        runs = result["seeds"]
        each = []
        for run in runs:
            reward = sum(of["return"] for of in run["behaviors"].values())
            each.append(f"seed {run['seed']}: {reward:.1f} for {run['random_return']:.1f}, p = {run['p_value']:.1g}")
        return "; ".join(each), all(run["p_value"] < most for run in runs)

    wanted = f"a higher return than random actions, permutation test at p < {most}"
    return Figure(wanted, lambda seeds, out: learn(config, config, seeds, [], out, beside_random), read)


def beside_random(trained: Trained, settings: RunSettings, document: Document) -> dict[str, float]:
    """Return what random actions come to on a run's held-out episodes, and the p-value of doing no better."""
    (name, evaluation), *_ = trained.evaluations.items()
    last, world = settings.evaluation, make_world(settings, document, evaluation=True)
    try:
        policies = {of: random_policy(rows, 0) for of, rows in world.rows.items()}
        returns = evaluate_world(world, policies, last.final_episodes, last.final_seed)[name].returns
    finally:
        world.close()
    return {"random_return": float(returns.mean()), "p_value": permutation_p(evaluation.returns, returns)}


def time_update(_: Sequence[int], out: Path) -> Result:
    """Time PPO's update, and keep it apart from results that have curves."""
    result: dict[str, Any] = ppo_update.measure(rounds=15)
    (out / "trainers").mkdir(parents=True, exist_ok=True)
    (out / "trainers" / "ppo_update.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    return result


def read_update(result: Result) -> tuple[str, bool]:
    return (
        f"{result['ours_ms']:.0f} ms, theirs {result['stable_baselines3_ms']:.0f} ms; {result['ratio']:.2f} times, "
        f"median of {result['rounds']} turns"
    ), result["ratio"] <= 1.0


FIGURES: dict[str, Figure] = {
    "arm_reach_td3_her": success("arm_reach_td3_her", 0.95, within=150_000),
    "arm_reach_ddpg_her": success("arm_reach_ddpg_her", 0.95, within=300_000),
    "arm_reach_a2c": success("arm_reach_a2c", 0.9),
    "arm_reach_a3c": success("arm_reach_a3c", 0.9),
    "arm_reach_reinforce": improvement("arm_reach_reinforce", 0.01),
    "mobile_goal_discrete_dqn": success("mobile_goal_discrete_dqn", 0.85),
    fetch_reach.NAME: Figure(
        "95% success within 10,000 steps", fetch_reach.learn, success(fetch_reach.NAME, 0.95, 10_000).read
    ),
    "ppo_update": Figure("no longer than Stable-Baselines3's", time_update, read_update),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    for name in arguments.only:
        FIGURES[name].run(arguments.seeds, arguments.out)
        Console().print(report(arguments.out))


def report(out: Path) -> Table:
    """Write trainers.md from the results in the folder, and return it for the terminal."""
    table, lines = Table("name", "wanted", "measured", "met", title="What the trainers reach"), []
    for name, figure in FIGURES.items():
        path = next((path for path in (out / f"{name}.json", out / "trainers" / f"{name}.json") if path.exists()), None)
        if path is None:
            measured, met = "not measured", "-"
        else:
            result = json.loads(path.read_text(encoding="utf-8"))
            measured, reached = figure.read(result)
            met = ("yes" if reached else "no") + few(result)
        table.add_row(name, figure.wanted, measured, met)
        lines.append(f"| `{name}` | {figure.wanted} | {measured} | {met} |\n")
    (out / "trainers.md").write_text(HEAD + "".join(lines), encoding="utf-8")
    return table


def few(result: Result) -> str:
    """Return a remark where fewer seeds were measured than a figure wants."""
    seeds = len(result.get("seeds", SEEDS))
    return f", {seeds} of {len(SEEDS)} seeds" if seeds < len(SEEDS) else ""


if __name__ == "__main__":
    main()
