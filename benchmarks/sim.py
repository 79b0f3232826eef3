"""Environment steps per second: UnityVectorEnv with its reward, beside bare `mujoco.batch.Batch.step`.

Both run the same model with the same substeps and the same random actions, in one process, and take turns of
ten steps, each from the states that the environment is in; the ratio is what counts, since absolute rates drift with
the machine.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trainers.config import find_config, load_settings
from trainers.world import make_env
from unity_env.sim.env import SimEnv
from unity_env.sim.role import shared_control
from unity_env.spaces import action_tuple
from unity_env.vector_env import UnityVectorEnv

SLICE = 10  # steps, some 50 ms: a machine's speed drifts within a second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="arm_reach_ppo", help="a config whose env_path is sim:<task>")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--steps", type=int, default=100, help="steps of a turn, a multiple of 10")
    parser.add_argument("--turns", type=int, default=31, help="how many; the first one is not counted")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    table = [measure(arguments.config, rows, arguments.steps, arguments.turns) for rows in arguments.rows]
    print(f"{'rows':>5} {'bare steps/s':>14} {'with env and reward':>20} {'ratio':>7} {'(lowest .. highest)':>20}")
    for row in table:
        print(
            f"{row['rows']:>5.0f} {row['bare']:>14,.0f} {row['env']:>20,.0f} {row['ratio']:>7.1%}"
            f"   ({row['lowest']:.1%} .. {row['highest']:.1%})"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def measure(config: str, rows: int, steps: int, turns: int) -> dict[str, float]:
    """Return median rates and their ratio, turn by turn, for one number of rows."""
    settings, document = load_settings(find_config(config))
    env = make_env(settings, next(iter(settings.behaviors)), document, rows=rows)
    bare_sim = SimEnv(str(settings.env_settings.sim_task), rows, threads=settings.env_settings.sim_threads)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(100)]
    controls = [controls_of(bare_sim, action) for action in actions]
    control = bare_sim.task.batch.bind("ctrl")
    clock, _ = shared_control(bare_sim.task.roles)
    env.reset(seed=0)
    assert isinstance(env.env, UnityVectorEnv)
    assert isinstance(env.env.env, SimEnv)
    sim = env.env.env

    def with_env(turn: int) -> None:
        env.step(actions[turn % 100])

    def bare(turn: int) -> None:
        control[:] = controls[turn % 100]
        bare_sim.task.batch.step(nstep=clock.substeps)

    def turn_of_both() -> tuple[float, float]:
        seconds = np.zeros(2)
        for start in range(0, steps, SLICE):
            bare_sim.load_state_dict(sim.state_dict())  # arms at their limits, say, are another load than arms at rest
            part = range(start, start + SLICE)
            seconds += time_steps(bare, part), time_steps(with_env, part)
        return rows * steps / seconds[0], rows * steps / seconds[1]

    gc.freeze()  # as the training loop does
    pairs = [turn_of_both() for _ in range(turns + 1)][1:]
    ratios = [env_rate / bare_rate for bare_rate, env_rate in pairs]
    return {
        "rows": rows,
        "bare": statistics.median(pair[0] for pair in pairs),
        "env": statistics.median(pair[1] for pair in pairs),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
    }


def controls_of(sim: SimEnv, action: np.ndarray) -> np.ndarray:
    """Return the actuator controls that an action of the first behavior comes to, (rows, actuators)."""
    first = sim.task.roles[0]
    zeros = {role.behavior: np.zeros((sim.num_areas, role.command_size)) for role in sim.task.roles}
    sim.task.act(zeros | {first.behavior: first.command(action_tuple(first.spec.action_spec, action))})
    return np.array(sim.task.batch.bind("ctrl"))


def time_steps(step: Callable[[int], None], steps: range) -> float:
    """Return how long some steps take, s."""
    started = time.perf_counter()
    for turn in steps:
        step(turn)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
