"""A PPO update of this project beside Stable-Baselines3's, turn by turn in one process, on one thread.

4,096 samples of 64 rows with 24 observations and 6 actions, 5 epochs of minibatches of 512, actor and critic of
2 x 128 tanh each, Adam, clipped gradients. What is timed is all that happens between two rollouts: Stable-Baselines3's
`compute_returns_and_advantage` and `train`, and `update` here. Needs `pip install '.[benchmarks]'`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import torch

from trainers.actors import ActionShape
from trainers.algorithms import ALGORITHMS, Step
from trainers.settings import BehaviorSettings

ROWS, STEPS, OBS, ACTIONS = 64, 64, 24, 6
SETTINGS: dict[str, Any] = {
    "trainer_type": "ppo",
    "hyperparameters": {"batch_size": 512, "buffer_size": ROWS * STEPS, "num_epoch": 5, "learning_rate": 3e-4},
    "network_settings": {"hidden_units": 128, "num_layers": 2, "activation": "tanh"},
}
Turn = Callable[[], float]


def ours() -> Turn:
    """Return what collects a rollout and then updates; it returns the seconds of the update."""
    settings = BehaviorSettings.model_validate(SETTINGS)
    learner = ALGORITHMS["ppo"](OBS, ActionShape(ACTIONS), ROWS, settings, 0, torch.device("cpu"))
    rng, everyone, nobody = np.random.default_rng(0), np.ones(ROWS, dtype=bool), np.zeros(ROWS, dtype=bool)

    def turn() -> float:
        obs = rng.normal(size=(STEPS + 1, ROWS, OBS)).astype(np.float32)
        for before, after in pairwise(obs):
            learner.act(before, everyone)
            learner.observe(Step(before[:, 0], nobody, nobody, after, None, everyone))
        started = time.perf_counter()
        learner.update(0.0)
        return time.perf_counter() - started

    return turn


def stable_baselines() -> Turn:
    """Return the same of Stable-Baselines3."""
    try:
        from stable_baselines3 import PPO
        from stable_baselines3.common.logger import Logger
        from stable_baselines3.common.vec_env import DummyVecEnv
    except ImportError as error:
        raise SystemExit(f"error: {error}; pip install '.[benchmarks]'") from None
    policy = {"net_arch": [128, 128], "activation_fn": torch.nn.Tanh}
    rows = DummyVecEnv([Noise] * ROWS)
    model = PPO("MlpPolicy", rows, n_steps=STEPS, batch_size=512, n_epochs=5, policy_kwargs=policy, device="cpu")
    model.set_logger(Logger(folder=None, output_formats=[]))
    rng, buffer = np.random.default_rng(0), model.rollout_buffer

    def turn() -> float:
        buffer.reset()
        for obs in rng.normal(size=(STEPS, ROWS, OBS)).astype(np.float32):
            with torch.no_grad():
                act, value, logp = model.policy(torch.from_numpy(obs))
            buffer.add(obs, act.numpy(), obs[:, 0], np.zeros(ROWS), value, logp)
        started = time.perf_counter()
        buffer.compute_returns_and_advantage(value, np.zeros(ROWS))
        model.train()
        return time.perf_counter() - started

    return turn


class Noise(gymnasium.Env[np.ndarray, np.ndarray]):
    """Says what observations and actions look like."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)


def measure(rounds: int) -> dict[str, Any]:
    """Take turns; returns the medians in milliseconds, and the median of the turns' ratios."""
    torch.set_num_threads(1)
    turns = {"ours": ours(), "stable_baselines3": stable_baselines()}
    for turn in turns.values():
        turn()
    seconds = [{name: turn() for name, turn in turns.items()} for _ in range(rounds)]
    medians = {f"{name}_ms": round(1e3 * statistics.median(row[name] for row in seconds), 1) for name in turns}
    ratio = statistics.median(row["ours"] / row["stable_baselines3"] for row in seconds)
    return {"rounds": rounds, **medians, "ratio": round(ratio, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    print(json.dumps(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
