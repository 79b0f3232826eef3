"""Plays FetchReach-v4 for whoever writes actions to its standard input; runs where gymnasium-robotics is installed.

Reads pickled arrays: seeds, (N,) integers, begin new episodes; actions, (N, 4), take a step. Answers each with one,
(2, N, 18): the true state after the step, and what the next action is to be chosen from, which differs where an
episode ended. A state is the observation (10), what is achieved (3) and desired (3), the end and the success, 0 or 1.
"""

import pickle
import sys

import gymnasium
import gymnasium_robotics
import numpy as np

TASK = "FetchReach-v4"


def main() -> None:
    gymnasium.register_envs(gymnasium_robotics)
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what libraries print must not get among the answers
    envs: list[gymnasium.Env] = []
    with open(0, "rb", closefd=False) as requests:
        while requests.peek(1):
            asked = pickle.load(requests)
            if asked.ndim == 1:
                envs = envs or [gymnasium.make(TASK) for _ in asked]
                states = [state(env.reset(seed=int(seed))[0]) for env, seed in zip(envs, asked, strict=True)]
                answer = np.stack([states, states])
            else:
                answer = np.stack([step(env, action) for env, action in zip(envs, asked, strict=True)], axis=1)
            pickle.dump(answer.astype(np.float32), answers)
            answers.flush()


def step(env: gymnasium.Env, action: np.ndarray) -> np.ndarray:
    """Return the state after the action and the one to go on from, (2, 18)."""
    obs, _, _, truncated, info = env.step(action)
    after = state(obs, ended=truncated, success=info["is_success"])
    return np.stack([after, state(env.reset()[0]) if truncated else after])


def state(obs: dict[str, np.ndarray], *, ended: bool = False, success: float = 0.0) -> np.ndarray:
    """Return a state, (18,)."""
    return np.concatenate([obs["observation"], obs["achieved_goal"], obs["desired_goal"], [ended, success]])


if __name__ == "__main__":
    main()
