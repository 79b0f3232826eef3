"""A reward that can be hacked, its repair, and the sparse reward, trained on the same seeds.

`robotrl rewards lint` flags the first one before a step is trained; here its return goes up while success goes down,
and the potential-based repair is to reach at least the sparse reward's success. Writes <out>/runs.json, curves.svg
and README.md: success and return over steps.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from learning import RESULTS, run_seed
from matplotlib.figure import Figure

CONFIG, BEHAVIOR = "mobile_goal_ppo", "MobileRobot"
REWARDS = {
    "hackable": "rewards/examples_of_bad/mobile_goal_speed.yaml",
    "repaired": "rewards/mobile_goal_potential.yaml",
    "sparse": "rewards/mobile_goal_sparse.yaml",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=300_000, help="of each training")
    parser.add_argument("--out", type=Path, default=RESULTS / "hackable_reward", help="folder of the results")
    arguments = parser.parse_args()
    result: dict[str, list[dict[str, Any]]] = {name: [] for name in REWARDS}
    for seed in arguments.seeds:
        for name, reward in REWARDS.items():
            overrides = [
                f"behaviors.{BEHAVIOR}.reward_shaping={reward}",
                f"behaviors.{BEHAVIOR}.max_steps={arguments.steps}",
                "evaluation.interval=50000",
            ]
            result[name].append(run_seed(CONFIG, seed, overrides))
            print(name, seed, summary_of(result[name][-1]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "runs.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(result, arguments.out / "curves.svg")
    (arguments.out / "README.md").write_text(table(result), encoding="utf-8")


def table(result: dict[str, list[dict[str, Any]]]) -> str:
    """Return the figures of all runs, as a page."""
    rows = [
        f"| {name} | `{REWARDS[name]}` | {run['seed']} | {summary_of(run)} |"
        for name, runs in result.items()
        for run in runs
    ]
    means = [f"{name} {np.mean([run['curve'][-1][1] for run in runs]):.1%}" for name, runs in result.items()]
    return "\n".join(
        [
            "# A reward that can be hacked",
            "",
            "`python benchmarks/hackable.py`: the first and the last evaluation of each training, 100 episodes each.",
            f"Mean success at the end: {', '.join(means)}.",
            "",
            "| reward | file | seed | success, return |",
            "|---|---|---|---|",
            *rows,
            "",
            "![success and return over steps](curves.svg)",
            "",
        ]
    )


def summary_of(run: dict[str, Any]) -> str:
    """Return how success and return went, from the first evaluation to the last one."""
    (_, success, reward), (_, last_success, last_reward) = run["curve"][0], run["curve"][-1]
    return f"success {success:.1%} -> {last_success:.1%}, return {reward:.1f} -> {last_reward:.1f}"


def draw(result: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw success and return over steps, one line per seed, one colour per reward."""
    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    for axes, column, scale, label in zip(
        figure.subplots(1, 2), (1, 2), (100.0, 1.0), ("success, %", "return"), strict=True
    ):
        for index, (name, runs) in enumerate(result.items()):
            for number, run in enumerate(runs):
                curve = np.array(run["curve"])
                label_once = name if number == 0 else None
                axes.plot(curve[:, 0] / 1e6, scale * curve[:, column], color=f"C{index}", alpha=0.7, label=label_once)
        axes.set(xlabel="million steps", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
