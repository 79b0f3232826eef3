"""Whole runs whose robots choose: masks hold in training and evaluation, runs repeat and resume, actors leave."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from mlagents_envs.base_env import ActionSpec, ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps

from tests.fakes import spec_of
from tests.helpers import Outcome, cli, difference
from trainers.checkpoint import load_checkpoint
from trainers.evaluate import Evaluation

Array = np.ndarray
NETWORK = {"normalize": True, "hidden_units": 16, "num_layers": 1}
PPO = {"batch_size": 64, "buffer_size": 256, "num_epoch": 2, "learning_rate_schedule": "constant"}
DQN = {"batch_size": 32, "buffer_size": 600, "buffer_init_steps": 100, "steps_per_update": 8, "n_step": 3,
       "target_update_interval": 20, "double": True, "exploration_initial_eps": 0.3, "exploration_final_eps": 0.3,
       "prioritized": {"beta": 1.0}}  # fmt: skip
SAC = {"batch_size": 32, "buffer_size": 600, "buffer_init_steps": 100, "steps_per_update": 8, "init_entcoef": 0.1}
HYPER: dict[str, dict[str, Any]] = {"ppo": PPO, "dqn": DQN, "sac": SAC}
LSTM = {"network_settings": NETWORK | {"memory": {"memory_size": 8, "sequence_length": 4}}}


class MaskedRoom(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """Agents that may do something else in every step, and that refuse what they must not do; episodes of 7 steps."""

    def __init__(self, action: ActionSpec, rows: int = 8) -> None:
        self.spec, self.rows = spec_of(("observation", 3), action=action), rows
        self.rng = np.random.default_rng(0)
        self.decided = 0

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return {"Robot": self.spec}

    def reset(self) -> None:
        self.age = 0
        self._look()

    def step(self) -> None:
        self.age = (self.age + 1) % 7
        self._look()

    def _look(self) -> None:
        self.masks = [self.rng.random((self.rows, size)) < 0.6 for size in self.spec.action_spec.discrete_branches]
        for mask in self.masks:
            mask[np.arange(self.rows), self.rng.integers(mask.shape[1], size=self.rows)] = False

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        self.spec.action_spec._validate_action(action, self.rows, behavior_name)
        for mask, chosen in zip(self.masks, action.discrete.T, strict=True):
            assert not mask[np.arange(self.rows), chosen].any(), "a masked choice was made"
        self.decided += self.rows

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        assert behavior_name == "Robot"
        ids, zeros = np.arange(self.rows, dtype=np.int32), np.zeros(self.rows, np.float32)
        obs = [self.rng.normal(size=(self.rows, 3)).astype(np.float32)]
        groups = (zeros.astype(np.int32), zeros)
        ended = TerminalSteps.empty(self.spec)
        if self.age == 6:
            ended = TerminalSteps(obs, zeros, np.ones(self.rows, dtype=bool), ids, *groups)
        return DecisionSteps(obs, zeros + 1, ids, self.masks, *groups), ended

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def write(folder: Path, trainer: str, behavior: str, env_path: str, **more: Any) -> Path:
    config = {
        "env_settings": {"env_path": env_path, "num_areas": 8, "seed": 5, "sim_threads": 1},
        "behaviors": {
            behavior: {
                "trainer_type": trainer,
                "max_steps": 512,
                "summary_freq": 256,
                "checkpoint_interval": 10**6,
                "hyperparameters": HYPER[trainer],
                "network_settings": NETWORK | {"dueling": trainer == "dqn"},
            }
            | more
        },
        "evaluation": {"interval": 10**6, "episodes": 8, "final_episodes": 8},
    }
    path = folder / f"{trainer}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def train(config: Path, run_id: str, *more: object) -> Outcome:
    return cli("train", config, "--results-dir", config.parent / "results", "--run-id", run_id, *more)


@pytest.mark.parametrize(
    ("trainer", "action", "more"),
    [
        ("ppo", ActionSpec(0, (3, 2)), {}),
        ("ppo", ActionSpec(2, (4,)), {}),
        ("dqn", ActionSpec(0, (4,)), {}),
        ("dqn", ActionSpec(0, (3, 2)), {}),
        ("sac", ActionSpec(0, (3, 2)), {}),
        ("sac", ActionSpec(2, (4, 2)), {}),
        ("sac", ActionSpec(2, (4, 2)), LSTM),
    ],
    ids=["ppo-branches", "ppo-hybrid", "dqn", "dqn-branches", "sac-branches", "sac-hybrid", "sac-hybrid-memory"],
)
def test_masked_choices_are_made_neither_in_training_nor_in_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, action: ActionSpec, more: dict[str, Any]
) -> None:
    rooms: list[MaskedRoom] = []

    def make(*_: Any, **__: Any) -> MaskedRoom:
        rooms.append(MaskedRoom(action))
        return rooms[-1]

    monkeypatch.setattr("trainers.world.make_base_env", make)
    curious = {"extrinsic": {}, "curiosity": {"network_settings": {"hidden_units": 8}}}
    signals = {"reward_signals": curious} if trainer == "ppo" else {}
    outcome = train(write(tmp_path, trainer, "Robot", "room", **signals, **more), "r")
    assert outcome.code == 0, outcome.err
    assert len(rooms) == 2  # one for training, one for evaluation
    assert all(room.decided > 50 for room in rooms)
    card = json.loads((tmp_path / "results" / "r" / "Robot" / "actor" / "actor.json").read_text())
    assert card["network"]["branches"] == list(action.discrete_branches)
    assert card["network"]["continuous"] == action.continuous_size


def test_an_algorithm_refuses_actions_that_it_cannot_decide_on(tmp_path: Path) -> None:
    config = write(tmp_path, "dqn", "MobileRobot", "sim:mobile_goal")
    outcome = train(config, "r")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "dqn.yaml:" in outcome.err
    assert "trainer_type: dqn is for discrete actions, this behavior's are continuous" in outcome.err
    assert "ppo" in outcome.err.partition("trainers for them")[2]


def test_an_algorithm_of_numbers_refuses_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HYPER, "ddpg", {})
    config = write(tmp_path, "ddpg", "MobileRobot", "sim:mobile_goal_discrete")
    outcome = train(config, "r")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "ddpg is for continuous actions, this behavior's are discrete (MultiDiscrete([9]))" in outcome.err
    assert "ppo, dqn, sac" in outcome.err


def no_episodes(*_: Any) -> dict[str, Evaluation]:
    return {"MobileRobot": Evaluation(np.zeros(1), np.ones(1), np.zeros(1, dtype=bool))}


@pytest.mark.parametrize(
    ("trainer", "more"),
    [("ppo", {}), ("dqn", {}), ("sac", {}), ("sac", LSTM)],
    ids=["ppo", "dqn", "sac", "sac-memory"],
)
def test_a_resumed_run_of_choices_is_the_undisturbed_run_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, more: dict[str, Any]
) -> None:
    monkeypatch.setattr("trainers.train.evaluate_world", no_episodes)
    config = write(tmp_path, trainer, "MobileRobot", "sim:mobile_goal_discrete", **more)
    assert train(config, "whole").code == 0
    assert train(config, "parts", "--set", "behaviors.MobileRobot.max_steps=256").code == 0
    outcome = train(config, "parts", "--resume")
    assert outcome.code == 0, outcome.err
    assert "resumed at step 256: bit-exactly" in outcome.out
    results = tmp_path / "results"
    whole, parts = (load_checkpoint(results / run / "MobileRobot" / "checkpoint.pt") for run in ("whole", "parts"))
    for part in ("step", "algorithm", "replay", "env", "reward", "episodes"):
        assert difference(whole.get(part), parts.get(part)) == "", part
    _assert_the_actor_knows_its_choices(results / "whole")


def _assert_the_actor_knows_its_choices(run: Path) -> None:
    card = json.loads((run / "MobileRobot" / "actor" / "actor.json").read_text())
    (action,) = card["action"]
    assert (action["name"], action["commands"]) == ("velocity_choice", "velocity_target")
    assert len(action["choices_in_si"]) == 9
    assert card["network"]["branches"] == [9]
    session = onnxruntime.InferenceSession(str(run / "MobileRobot.onnx"), providers=["CPUExecutionProvider"])
    size = sum(part["size"] for part in card["observation"])
    only = np.eye(9, dtype=np.float32)
    feed = {"obs_0": np.zeros((9, size), np.float32), "action_masks": only}
    if card["network"]["memory_size"]:
        feed["recurrent_in"] = np.zeros((9, 1, card["network"]["memory_size"]), np.float32)
    (chosen,) = session.run(["deterministic_discrete_actions"], feed)
    assert chosen[:, 0].tolist() == list(range(9))
