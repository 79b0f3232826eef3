"""RewardWrapper on other people's vector environments, without the rest of this project."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from reward_shaping import Reward, RewardSettings, RewardWrapper

TERMS = {"way": {"term": "progress", "weight": 10.0}}
ALONE = dedent(
    """
    import sys

    for name in ("torch", "mujoco", "mlagents_envs", "unity_env", "trainers"):
        sys.modules[name] = None  # importing it fails from now on

    import numpy as np
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from reward_shaping import Reward, RewardSettings, RewardWrapper

    class Corridor(VectorEnv):
        metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

        def __init__(self):
            self.num_envs = 2
            self.single_observation_space = spaces.Box(-9, 9, (1,), np.float64)
            self.single_action_space = spaces.Box(-1, 1, (1,), np.float64)
            self.observation_space = spaces.Box(-9, 9, (2, 1), np.float64)
            self.action_space = spaces.Box(-1, 1, (2, 1), np.float64)

        def reset(self, *, seed=None, options=None):
            self.x = np.array([[3.0], [1.0]])
            return self.x.copy(), {"signals": {"goal_distance": self.x.copy()}}

        def step(self, actions):
            self.x = self.x - actions
            there, infos = self.x[:, 0] <= 0.0, {}
            if there.any():
                infos["final_info"] = {"signals": {"goal_distance": self.x.copy()}}
                infos["_final_info"] = there
                self.x[there] = 2.0
            infos["signals"] = {"goal_distance": self.x.copy()}
            return self.x.copy(), np.zeros(2), there, np.zeros(2, bool), infos

    settings = RewardSettings.model_validate({"terms": {"way": {"term": "progress", "weight": 1.0}}})
    env = RewardWrapper(Corridor(), Reward(settings, {"goal_distance": 1}))
    env.reset()
    _, rew, terminated, _, _ = env.step(np.array([[0.5], [1.0]]))
    assert rew.tolist() == [0.5, 1.0] and terminated.tolist() == [False, True]
    print(env.step(np.array([[0.5], [0.5]]))[1].tolist())  # the second row walks on from its new start
    """
)


class Corridor(gym.Env[np.ndarray, np.ndarray]):
    """Walk from 2 m to 0."""

    observation_space = gym.spaces.Box(-9, 9, (1,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float64)

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]  # gymnasium's
        super().reset(seed=seed, options=options)
        self.x = 2.0
        return np.array([self.x]), {}

    def step(self, action):  # type: ignore[no-untyped-def]  # gymnasium's
        self.x -= float(action[0])
        return np.array([self.x]), 0.0, self.x <= 0.0, False, {}


class WithSignals(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """Adds what was observed as a signal."""

    def reset(self, **kwargs):  # type: ignore[no-untyped-def]  # gymnasium's
        obs, infos = self.env.reset(**kwargs)
        return obs, infos | {"signals": {"goal_distance": obs.copy()}}

    def step(self, action):  # type: ignore[no-untyped-def]  # gymnasium's
        obs, rew, terminated, truncated, infos = self.env.step(action)
        return obs, rew, terminated, truncated, infos | {"signals": {"goal_distance": obs.copy()}}


def make_reward() -> Reward:
    return Reward(RewardSettings.model_validate({"terms": TERMS}), {"goal_distance": 1})


def corridors(mode: AutoresetMode = AutoresetMode.SAME_STEP, rows: int = 3, *, silent: bool = False) -> SyncVectorEnv:
    make = Corridor if silent else lambda: WithSignals(Corridor())
    return SyncVectorEnv([make] * rows, autoreset_mode=mode)


def test_it_needs_nothing_but_numpy_gymnasium_and_pydantic() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[0.5, 0.5]"


def test_gymnasiums_own_vector_environment_is_scored_through_its_autoresets() -> None:
    env = RewardWrapper(corridors(), make_reward())
    env.reset(seed=0)
    stride = np.array([[0.5], [1.0], [0.25]])
    paid = [env.step(stride)[1] for _ in range(8)]
    np.testing.assert_allclose(paid, np.tile([5.0, 10.0, 2.5], (8, 1)))
    assert env.log.summary()["reward_per_episode/way"] == pytest.approx(20.0)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_another_autoreset_mode_is_refused(mode: AutoresetMode) -> None:
    with pytest.raises(ValueError, match=rf"{mode.name}.*needs AutoresetMode\.SAME_STEP"):
        RewardWrapper(corridors(mode), make_reward())


def test_infos_without_the_signals_are_refused_by_name() -> None:
    env = RewardWrapper(corridors(silent=True), make_reward())
    with pytest.raises(ValueError, match=r"infos\['signals'\] has no goal_distance"):
        env.reset()


def test_a_signal_of_the_wrong_shape_is_refused() -> None:
    settings = RewardSettings.model_validate({"terms": TERMS})
    env = RewardWrapper(corridors(), Reward(settings, {"goal_distance": 1}))
    env.reward.sizes["goal_distance"] = 2
    with pytest.raises(ValueError, match=r"\['goal_distance'\] has shape \(3, 1\); expected \(3, 2\)"):
        env.reset()


@pytest.mark.parametrize("broken", [np.zeros((1, 1)), np.zeros(3), None, "missing"], ids=str)
def test_signals_that_change_their_shape_on_the_way_are_refused(
    monkeypatch: pytest.MonkeyPatch, broken: np.ndarray | str | None
) -> None:
    inner = corridors()
    env = RewardWrapper(inner, make_reward())
    env.reset()
    step = inner.step

    def worse(actions: np.ndarray) -> tuple[object, ...]:
        *rest, infos = step(actions)
        infos["signals"] = {} if isinstance(broken, str) else {"goal_distance": broken}
        return *rest, infos

    monkeypatch.setattr(inner, "step", worse)
    with pytest.raises(ValueError, match=r"infos\['signals'\].*goal_distance.*(has shape|which the reward reads)"):
        env.step(np.zeros((3, 1)))
    assert env.scorer.step == 0


def test_ends_without_final_signals_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = corridors()
    env = RewardWrapper(inner, make_reward())
    env.reset()
    step = inner.step

    def forgetful(actions: np.ndarray) -> tuple[object, ...]:
        *rest, infos = step(actions)
        infos.pop("final_info", None)
        return *rest, infos

    monkeypatch.setattr(inner, "step", forgetful)
    env.step(np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"infos\['final_info'\]\['signals'\] has no goal_distance"):
        env.step(np.ones((3, 1)))
