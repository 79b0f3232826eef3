"""Does every task give the same observations and rewards to the bit, twice, and for any number of threads?"""

import argparse
import hashlib
import sys

import numpy as np

from unity_env.settings import Sampler, UniformParameters, UniformSampler
from unity_env.sim.description import common_parameters
from unity_env.sim.env import SimEnv
from unity_env.sim.tasks import TASKS
from unity_env.spaces import action_space, action_tuple


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=sorted(TASKS), choices=sorted(TASKS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 1, 2], help="one run for each of these")
    parser.add_argument("--steps", type=int, default=10_000, help="decisions of every row")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--plain", action="store_true", help="without randomisation")
    arguments = parser.parse_args()
    print(f"{'task':<24} {'threads':>7}  SHA-256 of {arguments.steps:,} steps of {arguments.rows} rows")
    equal = [compare(task, arguments) for task in arguments.tasks]
    return 0 if all(equal) else 1


def compare(task: str, arguments: argparse.Namespace) -> bool:
    """Print the table of one task; returns whether all its digests are the same."""
    parameters = {} if arguments.plain else everything_randomized()
    digests = []
    for threads in arguments.threads:
        digests.append(digest(task, arguments.steps, threads, arguments.rows, parameters))
        verdict = "" if len(digests) == 1 else "  equal" if digests[-1] == digests[0] else "  DIFFERENT"
        print(f"{task:<24} {threads:>7}  {digests[-1]}{verdict}", flush=True)
    return len(set(digests)) == 1


def everything_randomized() -> dict[str, Sampler]:
    """Return samplers over the whole range of every parameter that all tasks have."""
    return {
        name: UniformSampler(
            sampler_type="uniform",
            sampler_parameters=UniformParameters(min_value=entry.range[0], max_value=entry.range[1]),
        )
        for name, entry in common_parameters().items()
    }


def digest(task: str, steps: int, threads: int, rows: int, parameters: dict[str, Sampler]) -> str:
    """Return the SHA-256 of all that the agents of all behaviors report while they act at random."""
    env = SimEnv(task, rows, seed=7, threads=threads, parameters=parameters)
    seen = hashlib.sha256()
    spaces = {name: action_space(spec.action_spec) for name, spec in env.behavior_specs.items()}
    for index, space in enumerate(spaces.values()):
        space.seed(index)
    env.reset()
    for _ in range(steps):
        for name, space in spaces.items():
            action = np.array([space.sample() for _ in range(rows)])
            env.set_actions(name, action_tuple(env.behavior_specs[name].action_spec, action))
        env.step()
        for name in spaces:
            for records in env.get_steps(name):
                for array in (*records.obs, records.reward, records.agent_id):
                    seen.update(array.tobytes())
    return seen.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
