"""DDPG with hindsight on FetchReach-v4, the reach task of Plappert et al. 2018 (arXiv 1802.09464), sparse reward.

An outside reference: learner, hindsight and reward are this project's, the robot is not. FetchReach needs an older
MuJoCo than this project; the first run makes an environment for it, build/fetch_reach, from the package index.
Writes <out>/fetch_reach_ddpg_her.json and .svg, and renews the table of all results.
"""

import argparse
import pickle
import subprocess
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from learning import RESULTS, keep

from reward_shaping import Goal, Reward, RewardScorer, Transition
from trainers.actors import ActionShape
from trainers.algorithms import ALGORITHMS, Step
from trainers.algorithms.off_policy import OffPolicy
from trainers.hindsight import Hindsight
from trainers.hyperparameters import HindsightSettings
from trainers.settings import BehaviorSettings

Array = np.ndarray

NAME = "fetch_reach_ddpg_her"
PACKAGES = ("gymnasium-robotics==1.4.2", "mujoco==3.3.2")  # 1.4.2 fails an assertion with mujoco 3.17 and 4
PLAYER = Path(__file__).parent / "fetch_parts" / "player.py"
VENV = Path(__file__).parents[1] / "build" / "fetch_reach"
OBSERVED, ACHIEVED, DESIRED = slice(0, 10), slice(10, 13), slice(13, 16)
ENDED, SUCCESS = 16, 17
EVALUATION_SEED, FINAL_SEED = 1_000_000, 2_000_000
FINAL_EPISODES = 200
SOLVED = 0.98
SETTINGS: dict[str, Any] = {
    "trainer_type": "ddpg",
    "max_steps": 10_000,
    "hyperparameters": {
        "batch_size": 256,
        "buffer_size": 10_000,
        "buffer_init_steps": 500,
        "learning_rate": 1e-3,
        "tau": 0.05,
        "steps_per_update": 1,
        "noise": {"std": 0.1, "random_share": 0.3},
        "reward_range": [-1.0, 0.0],
        "action_penalty": 0.1,
        "hindsight": {"strategy": "future", "goals": 4},
    },
    "network_settings": {"normalize": True, "hidden_units": 64, "num_layers": 2, "activation": "relu"},
    "reward_signals": {"extrinsic": {"gamma": 0.95}},
    "reward_shaping": {"terms": {"away": {"term": "sparse_goal", "parameters": {"tolerance": 0.05}, "weight": 1.0}}},
}


class Fetch:
    """N rows of FetchReach-v4 in a process."""

    def __init__(self, python: Path, rows: int) -> None:
        self.rows = rows
        self._command = [str(python), "-W", "ignore", str(PLAYER)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    def reset(self, seed: int) -> Array:
        """Begin new episodes; returns the states, (N, 18)."""
        first: Array = self._ask(seed + np.arange(self.rows))[1]
        return first

    def step(self, actions: Array) -> tuple[Array, Array]:
        """Take a step; returns the true states after it, and those to go on from, (N, 18) each."""
        after, following = self._ask(actions)
        return after, following

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def _ask(self, array: Array) -> Array:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(array, self._process.stdin)
        self._process.stdin.flush()
        try:
            answer: Array = pickle.load(self._process.stdout)
        except EOFError:
            raise SystemExit(f"error: FetchReach-v4 has ended; to see why: {' '.join(self._command)}") from None
        return answer


@contextmanager
def opened(python: Path, rows: int) -> Iterator[Fetch]:
    """Open FetchReach-v4, and close it."""
    fetch = Fetch(python, rows)
    try:
        yield fetch
    finally:
        fetch.close()


class Learner:
    """The project's DDPG and hindsight on FetchReach's states."""

    def __init__(self, rows: int, seed: int) -> None:
        settings = BehaviorSettings.model_validate(SETTINGS)
        assert settings.reward_shaping is not None
        self.settings = settings
        sizes = {"achieved": 3, "goal_distance": 1}
        self.reward = Reward(settings.reward_shaping, sizes, gamma=settings.reward_signals.extrinsic.gamma)
        goal = Goal(achieved="achieved", recomputed={"desired": "goal", "goal_distance": "distance"})
        scorer = RewardScorer(self.reward, rows, 1.0, goal.signals)
        chosen = settings.hyperparameters.hindsight  # type: ignore[union-attr]
        assert isinstance(chosen, HindsightSettings)
        learner = ALGORITHMS["ddpg"](13, ActionShape(4), rows, settings, seed, torch.device("cpu"))
        assert isinstance(learner, OffPolicy)
        learner.use_hindsight(Hindsight(goal, scorer, {"desired": slice(10, 13)}, chosen, 4))
        self.algorithm = learner
        self._previous = np.zeros((rows, 4), dtype=np.float32)

    def step(self, fetch: Fetch, states: Array, progress: float) -> Array:
        """Act once in all rows and learn; returns the states to go on from."""
        everyone = np.ones(fetch.rows, dtype=bool)
        act = self.algorithm.act(observation(states), everyone)
        after, following = fetch.step(act)
        ended = after[:, ENDED] > 0
        transition = Transition(
            signals=signals(states),
            next_signals=signals(after),
            action=act,
            previous_action=self._previous,
            terminated=~everyone,
            truncated=ended,
            env_reward=np.zeros(fetch.rows),
        )
        rew = self.reward(transition)[0]
        step = Step(rew, ~everyone, ended, observation(following), observation(after), everyone, None, transition)
        self.algorithm.observe(step)
        self._previous = np.where(ended[:, None], 0.0, act).astype(np.float32)
        if self.algorithm.ready():
            self.algorithm.update(progress)
        return following

    def success(self, fetch: Fetch, episodes: int, seed: int) -> tuple[float, float]:
        """Return the share of episodes at whose end the gripper is at its goal, and their mean return."""
        states, solved, returns = fetch.reset(seed), np.zeros(0), np.zeros(fetch.rows)
        total: list[float] = []
        while len(solved) < episodes:
            after, states = fetch.step(self.algorithm.act_deterministic(observation(states)))
            returns -= signals(after)["goal_distance"][:, 0] > 0.05
            ended = after[:, ENDED] > 0
            solved = np.append(solved, after[ended, SUCCESS])
            total += returns[ended].tolist()
            returns[ended] = 0.0
        return float(solved.mean()), float(np.mean(total))


def observation(states: Array) -> Array:
    """Return what the policy sees: the observation, then the goal, (N, 13)."""
    seen: Array = np.concatenate([states[:, OBSERVED], states[:, DESIRED]], axis=1)
    return seen


def signals(states: Array) -> dict[str, Array]:
    """Return what the reward reads."""
    error = states[:, DESIRED] - states[:, ACHIEVED]
    return {"achieved": states[:, ACHIEVED], "goal_distance": np.linalg.norm(error, axis=1, keepdims=True)}


def learn(
    seeds: Sequence[int], out: Path, folder: Path = VENV, interval: int = 500, episodes: int = 40
) -> dict[str, Any]:
    """Train all seeds, and keep what came of them."""
    python = make_venv(folder)
    result: dict[str, Any] = {"config": NAME, "overrides": [], "seeds": [], "baselines": {}}
    for seed in seeds:
        result["seeds"].append(run_seed(python, seed, interval, episodes))
        keep(result, NAME, out)
    return result


def run_seed(python: Path, seed: int, interval: int, episodes: int) -> dict[str, Any]:
    """Train one seed on one row until an evaluation is SOLVED, or max_steps; then measure it on other episodes."""
    started = time.perf_counter()
    curve: list[tuple[int, float, float]] = []
    torch.set_num_threads(1)
    with opened(python, rows=1) as fetch, opened(python, rows=20) as apart:
        learner = Learner(1, seed)
        states, max_steps, step = fetch.reset(seed), learner.settings.max_steps, 0
        while step < max_steps and (not curve or curve[-1][1] < SOLVED):
            states, step = learner.step(fetch, states, step / max_steps), step + 1
            if step % interval == 0:
                curve.append((step, *learner.success(apart, episodes, EVALUATION_SEED)))
                print(
                    f"seed {seed}  step {step:>6,}  success {curve[-1][1]:.1%}  return {curve[-1][2]:.2f}", flush=True
                )
        success, _ = learner.success(apart, FINAL_EPISODES, FINAL_SEED)
    seconds = round(time.perf_counter() - started, 1)
    print(f"seed {seed}  held out     success {success:.1%} of {FINAL_EPISODES} episodes  {seconds} s", flush=True)
    result = {"seed": seed, "success": success, "episodes": FINAL_EPISODES, "steps": step, "seconds": seconds}
    return result | {"curve": curve}


def make_venv(folder: Path) -> Path:
    """Return the interpreter that has FetchReach; make its environment where there is none."""
    python = folder / "bin" / "python"
    if not (folder / "installed").is_file():
        print(f"installing {', '.join(PACKAGES)} into {folder} ...", flush=True)
        venv.create(folder, with_pip=True)
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=False)
        if done.returncode:
            raise SystemExit(f"error: {folder}: pip could not install {', '.join(PACKAGES)}")
        (folder / "installed").touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=40, help="of each evaluation")
    parser.add_argument("--interval", type=int, default=500, help="steps between evaluations")
    parser.add_argument("--venv", type=Path, default=VENV, help="where gymnasium-robotics is, or is to be, installed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    learn(arguments.seeds, arguments.out, arguments.venv, arguments.interval, arguments.episodes)


if __name__ == "__main__":
    main()
