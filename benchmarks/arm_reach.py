"""Train a config on several seeds and measure each policy on held-out episodes."""

import argparse
import json
import tempfile
import time
from pathlib import Path

from rich.console import Console

from trainers.config import find_config, load_settings
from trainers.display import Display
from trainers.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="arm_reach_ppo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    table = [measure(arguments.config, seed, arguments.overrides) for seed in arguments.seeds]
    print(f"{'seed':>5} {'success':>8} {'episodes':>9} {'steps':>10} {'train + evaluate + export, s':>29}")
    for row in table:
        print(
            f"{row['seed']:>5.0f} {row['success']:>8.1%} {row['episodes']:>9.0f} {row['steps']:>10,.0f} "
            f"{row['seconds']:>29.1f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def measure(config: str, seed: int, overrides: list[str]) -> dict[str, float]:
    """Train one seed in a temporary folder."""
    with tempfile.TemporaryDirectory() as results:
        options = {"env_settings.seed": seed, "checkpoint_settings.results_dir": results}
        settings, document = load_settings(find_config(config), options, overrides)
        started = time.perf_counter()
        with Display(Console(quiet=True)) as display:
            trained = train(settings, document, display)
        seconds = time.perf_counter() - started
    if not trained.evaluations or trained.evaluations["RobotArm"].success is None:
        raise SystemExit("stopped")
    return {
        "seed": seed,
        "success": trained.evaluations["RobotArm"].success,
        "episodes": len(trained.evaluations["RobotArm"].returns),
        "steps": trained.step,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
