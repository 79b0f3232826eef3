"""Train a config on several seeds, measure each policy on held-out episodes, and keep the learning curves.

Writes <out>/<config>.json (every figure and every evaluation on the way) and <out>/<config>.svg (the curves), and
renews the table of all results in <out>/README.md.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from trainers.config import find_config, load_settings
from trainers.curriculum import last_values
from trainers.display import Display
from trainers.evaluate import Evaluation
from trainers.settings import RunSettings
from trainers.train import Trained, train
from trainers.yaml_file import Document
from unity_env.sim.baselines import BASELINES
from unity_env.sim.baselines.measure import CONTROLLERS
from unity_env.sim.baselines.measure import measure as measure_baseline

RESULTS = Path(__file__).parents[1] / "docs" / "results"
Beside = Callable[[Trained, RunSettings, Document], dict[str, float]]
TABLE_HEAD = """# Results

Every row is one command: `python benchmarks/learning.py --config <config>`, those that end in `_randomized` with
`--name <config>_randomized` and the settings below the table; `fetch_reach_ddpg_her` is
`python benchmarks/fetch_reach.py`, whose robot is not this project's. Success is that of the deterministic policy on
200 held-out episodes; where several robots share a scene, their joint success. Minutes are
wall time of training, evaluations and export on 2 cores without a GPU; steps count all rows. Beside it stand the
hand-written controller and random actions on the same episodes.

| config | seeds | success, mean (each) | steps | minutes | scripted | random |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="arm_reach_ppo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--name", help="of the result; the config's by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    name = arguments.name or arguments.config
    learn(arguments.config, name, arguments.seeds, arguments.overrides, arguments.out)


def learn(
    config: str, name: str, seeds: Sequence[int], overrides: list[str], out: Path, beside: Beside | None = None
) -> dict[str, Any]:
    """Train all seeds, and keep what has come of them after each, with what `beside` tells of it."""
    settings, _ = load_settings(find_config(config), {}, overrides)
    result: dict[str, Any] = {"config": name, "overrides": overrides, "seeds": [], "baselines": baselines(settings)}
    for seed in seeds:
        result["seeds"].append(run_seed(config, seed, overrides, beside))
        print(json.dumps({key: value for key, value in result["seeds"][-1].items() if key != "curve"}), flush=True)
        keep(result, name, out)
    return result


def keep(result: dict[str, Any], name: str, out: Path) -> None:
    """Write a result's figures and curves, and renew the table."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(result, out / f"{name}.svg")
    write_table(out)


def run_seed(config: str, seed: int, overrides: list[str], beside: Beside | None = None) -> dict[str, Any]:
    """Train one seed in a temporary folder."""
    with tempfile.TemporaryDirectory() as results:
        options = {"env_settings.seed": seed, "checkpoint_settings.results_dir": results}
        settings, document = load_settings(find_config(config), options, overrides)
        started = time.perf_counter()
        with Display(Console(quiet=True)) as display:
            trained = train(settings, document, display)
        seconds = time.perf_counter() - started
        curve = learning_curve(trained.folder.behavior(next(iter(settings.behaviors))) / "metrics.jsonl")
    if not trained.evaluations:
        raise SystemExit("stopped")
    return {
        "seed": seed,
        "success": success_of(next(iter(trained.evaluations.values()))),
        "episodes": settings.evaluation.final_episodes,
        "behaviors": {name: of.summary() for name, of in trained.evaluations.items()},
        "steps": trained.step,
        "seconds": round(seconds, 1),
        "curve": curve,
        **(beside(trained, settings, document) if beside else {}),
    }


def success_of(evaluation: Evaluation) -> float | None:
    """Return joint success where the scene has it, else the behavior's own."""
    return evaluation.success if evaluation.joint_success is None else evaluation.joint_success


def learning_curve(path: Path) -> list[tuple[int, float, float]]:
    """Return (step, success, return) of every evaluation on the way."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    evaluations = [
        {key.removeprefix("evaluation/"): value for key, value in line.items()}
        for line in lines
        if "evaluation/return" in line
    ]
    return [(of["step"], of.get("joint_success", of["success"]), of["return"]) for of in evaluations]


def baselines(settings: RunSettings) -> dict[str, float]:
    """Measure scripted and random control on the held-out episodes; joint success where the scene has it."""
    task, last = str(settings.env_settings.sim_task), settings.evaluation
    if task not in BASELINES:
        return {}
    parameters = last_values(settings.environment_parameters)
    found = {}
    for controller in CONTROLLERS:
        of = measure_baseline(task, controller, last.final_episodes, last.final_seed, parameters=parameters)
        means = next(iter(of.values())).summary()
        found[controller] = means.get("joint_success", means["success"])
    return found


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw success over steps, one line per seed; the return where it is compared with that of random actions."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    runs, beside = result["seeds"], {of: 100 * success for of, success in result["baselines"].items()}
    longest = max(run["steps"] for run in runs)
    unit, of = (1e6, "million") if longest >= 500_000 else (1e3, "thousand")
    returns = "random_return" in runs[0]
    for run in runs:
        curve = np.array(run["curve"]).T
        axes.plot(curve[0] / unit, curve[2] if returns else 100 * curve[1], marker=".", label=f"seed {run['seed']}")
    if returns:
        beside = {"random": runs[0]["random_return"]}
        axes.set(ylabel="return")
    else:
        axes.set(ylabel="success, %", ylim=(-2, 102))
    for controller, level in beside.items():
        axes.axhline(level, linestyle=":", color="grey")
        at = (1.01, level)
        axes.annotate(controller, at, xycoords=("axes fraction", "data"), fontsize=8, color="grey", va="center")
    axes.set(xlabel=f"{of} steps", title=result["config"])
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def write_table(folder: Path) -> None:
    """Write README.md from all results in the folder."""
    rows, changed, curves = [], [], []
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        runs = result["seeds"]
        success, steps, seconds = (np.array([run[key] for run in runs]) for key in ("success", "steps", "seconds"))
        each = ", ".join(f"{value:.1%}" for value in success)
        beside = " | ".join(
            f"{result['baselines'][name]:.1%}" if name in result["baselines"] else "-" for name in CONTROLLERS
        )
        rows.append(
            f"| `{result['config']}` | {', '.join(str(run['seed']) for run in runs)} | {success.mean():.1%} ({each}) "
            f"| {steps.mean():,.0f} | {seconds.mean() / 60:.1f} | {beside} |\n"
        )
        if result["overrides"]:
            changed.append(f"- `{result['config']}`: `--set {' '.join(result['overrides'])}`\n")
        curves.append(f"\n![{result['config']}]({path.stem}.svg)\n")
    (folder / "README.md").write_text(TABLE_HEAD + "".join([*rows, "\n", *changed, *curves]), encoding="utf-8")


if __name__ == "__main__":
    main()
