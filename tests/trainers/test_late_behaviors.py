"""Behaviors that appear late, vanish and come back, are named by nobody or by team; each with a trainer of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlagents_envs.base_env import ActionSpec, ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps

from tests.fakes import Message, Report, ScriptedUnity, spec_of
from tests.helpers import Outcome, assert_refused, cli, lines_of
from trainers import world
from trainers.checkpoint import load_checkpoint

WALKER, GRIPPER = "Walker", "Gripper"
EPISODE = 5
AGENTS = 2
SPECS = {
    "Walker?team=0": spec_of(("observation", 3)),
    "Gripper?team=1": spec_of(("camera", 2), action=ActionSpec.create_discrete((3,))),
    "Gripper?team=2": spec_of(("camera", 2), action=ActionSpec.create_discrete((3,))),
}
Times = Mapping[str, tuple[range, ...]]


class Scene(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """Behaviors whose agents are there in some steps: at their end the episode ends, as when Unity disables one."""

    def __init__(self, times: Times) -> None:
        self.times, self.at = times, 0
        self.known: dict[str, BehaviorSpec] = {}
        self.acted: dict[str, list[int]] = {name: [] for name in times}

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return self.known

    def reset(self) -> None:
        self.at = 0
        self._look()

    def step(self) -> None:
        self.at += 1
        self._look()

    def close(self) -> None:
        pass

    def _look(self) -> None:
        self.known |= {name: SPECS[name] for name, spans in self.times.items() if any(self.at in of for of in spans)}

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        here = any(self.at in of for of in self.times[behavior_name])
        left = any(self.at == of.stop for of in self.times[behavior_name])
        ends = left or (here and self.at % EPISODE == 0 and self.at > 0)
        reports = [Report(agent, np.sin(self.at + agent), 1.0) for agent in range(AGENTS)]
        message = Message(reports if here else (), reports if ends else ())
        steps: tuple[DecisionSteps, TerminalSteps] = ScriptedUnity(SPECS[behavior_name], [message]).get_steps("Robot")
        return steps

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        SPECS[behavior_name].action_spec._validate_action(action, len(self.get_steps(behavior_name)[0]), behavior_name)
        if len(action.continuous):
            self.acted[behavior_name].append(self.at)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        raise NotImplementedError


ALWAYS = (range(1_000_000),)
SMALL = {"network_settings": {"hidden_units": 8, "num_layers": 1}, "summary_freq": 40, "checkpoint_interval": 80}
PPO = {"trainer_type": "ppo", "hyperparameters": {"batch_size": 8, "buffer_size": 16}, **SMALL, "max_steps": 400}
DQN = {"trainer_type": "dqn", "hyperparameters": {"batch_size": 8, "buffer_size": 500}, **SMALL, "max_steps": 200}
SAC = {"trainer_type": "sac", "hyperparameters": {"batch_size": 8, "buffer_size": 500}, **SMALL, "max_steps": 200}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less than for Unity."""
    monkeypatch.setattr(world, "APPEAR_STEPS", 10)
    monkeypatch.setattr(world, "SILENT_STEPS", 400)
    monkeypatch.setattr("trainers.behavior.SILENT_STEPS", 400)
    monkeypatch.setattr("trainers.evaluate.SILENT_STEPS", 400)


def train(
    folder: Path, monkeypatch: pytest.MonkeyPatch, times: Times, settings: Mapping[str, Any], *more: object
) -> tuple[Outcome, list[Scene]]:
    """Train in a scene; returns what was said, and the scenes: of the training, and of the evaluation."""
    scenes: list[Scene] = []

    def make(*_: Any, **__: Any) -> Scene:
        scenes.append(Scene(times))
        return scenes[-1]

    monkeypatch.setattr(world, "make_base_env", make)
    short = {"interval": 10_000, "episodes": 2, "final_episodes": 2}
    whole = {"env_settings": {"env_path": "build", "seed": 1}, "evaluation": short, **settings}
    (folder / "late.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    return cli("train", folder / "late.yaml", "--results-dir", folder, "--run-id", "r", *more), scenes


def step_of(folder: Path, name: str) -> int:
    step: int = load_checkpoint(folder / "r" / name / "checkpoint.pt")["step"]
    return step


LATE: Times = {"Walker?team=0": ALWAYS, "Gripper?team=1": (range(53, 1_000_000),)}
BOTH = {WALKER: PPO, GRIPPER: DQN}


def test_a_behavior_that_appears_late_is_trained_from_then_on_by_its_own_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, scenes = train(tmp_path, monkeypatch, LATE, {"behaviors": BOTH})
    assert outcome.code == 0, outcome.err
    assert "Gripper has not appeared in the scene yet; it joins when it does" in outcome.out
    assert "Gripper has appeared in the scene and joins the training" in outcome.out
    assert (step_of(tmp_path, WALKER), step_of(tmp_path, GRIPPER)) == (400, 200)
    assert scenes[0].acted["Gripper?team=1"][0] == 53
    assert "policy/epsilon" in {key for line in lines_of(tmp_path / "r" / GRIPPER) for key in line}
    assert all("policy/epsilon" not in line for line in lines_of(tmp_path / "r" / WALKER))
    for name in BOTH:
        assert (tmp_path / "r" / f"{name}.onnx").is_file()
        assert any("evaluation/return" in line for line in lines_of(tmp_path / "r" / name))


def test_a_late_behavior_resumes_when_it_appears_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, monkeypatch, LATE, {"behaviors": BOTH})
    more = {name: {**of, "max_steps": 2 * of["max_steps"]} for name, of in BOTH.items()}  # type: ignore[operator]
    outcome, _ = train(tmp_path, monkeypatch, LATE, {"behaviors": more}, "--resume")
    assert outcome.code == 0, outcome.err
    assert "resumed at step 400: networks and optimiser" in outcome.out
    assert (step_of(tmp_path, WALKER), step_of(tmp_path, GRIPPER)) == (800, 400)
    steps = [line["step"] for line in lines_of(tmp_path / "r" / GRIPPER)]
    assert steps == sorted(steps)
    (tmp_path / "r" / GRIPPER / "checkpoint.pt").unlink()
    outcome, _ = train(tmp_path, monkeypatch, LATE, {"behaviors": more}, "--resume")
    assert_refused(outcome, r"Gripper/checkpoint\.pt, though Gripper has been trained")


def test_a_behavior_that_never_appears_is_waited_for_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, _ = train(tmp_path, monkeypatch, {"Walker?team=0": ALWAYS}, {"behaviors": BOTH})
    assert outcome.code == 0, outcome.err
    assert "Gripper has not appeared" in outcome.out
    assert step_of(tmp_path, WALKER) == 400
    assert not (tmp_path / "r" / GRIPPER).exists()
    assert cli("eval", tmp_path / "r", "--episodes", 2).code == 0


def test_agents_that_vanish_and_come_back_are_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: Times = {"Walker?team=0": ALWAYS, "Gripper?team=1": (range(0, 21), range(87, 1_000_000))}
    other = {**PPO, "max_steps": 200}
    outcome, scenes = train(tmp_path, monkeypatch, times, {"behaviors": {WALKER: PPO, GRIPPER: other}})
    assert outcome.code == 0, outcome.err
    assert (step_of(tmp_path, WALKER), step_of(tmp_path, GRIPPER)) == (400, 208)
    acted = scenes[0].acted["Gripper?team=1"]
    assert 20 in acted
    assert not set(acted) & set(range(21, 87))
    assert 87 in acted
    losses = [line.get("losses/policy_loss", 0.0) for line in lines_of(tmp_path / "r" / GRIPPER)]
    assert np.isfinite(losses).all()


def test_a_training_whose_agents_are_gone_for_good_ends_with_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: Times = {"Walker?team=0": ALWAYS, "Gripper?team=1": (range(0, 30),)}
    behaviors = {WALKER: {**PPO, "max_steps": 48}, GRIPPER: {**DQN, "max_steps": 10_000}}
    outcome, _ = train(tmp_path, monkeypatch, times, {"behaviors": behaviors})
    assert outcome.code == 0, outcome.err
    assert "Gripper: no agent has reported for 400 steps of the scene" in outcome.out
    assert step_of(tmp_path, GRIPPER) == 60
    assert (tmp_path / "r" / "Gripper.onnx").is_file()


def test_behaviors_that_nobody_names_are_trained_by_default_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"default_settings": PPO, "behaviors": {WALKER: {**SAC}}}
    outcome, _ = train(tmp_path, monkeypatch, LATE, settings)
    assert outcome.code == 0, outcome.err
    assert (step_of(tmp_path, WALKER), step_of(tmp_path, GRIPPER)) == (200, 400)
    kept = yaml.safe_load((tmp_path / "r" / "configuration.yaml").read_text())
    assert kept["behaviors"][GRIPPER]["trainer_type"] == "ppo"
    assert kept["behaviors"][GRIPPER]["hyperparameters"]["buffer_size"] == 16
    outcome = cli("eval", tmp_path / "r", "--episodes", 2, "--json")
    assert outcome.code == 0, outcome.err
    assert WALKER in outcome.out
    assert GRIPPER in outcome.out


def test_default_settings_alone_train_whatever_the_scene_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = train(tmp_path, monkeypatch, {"Walker?team=0": ALWAYS}, {"default_settings": PPO})
    assert outcome.code == 0, outcome.err
    assert step_of(tmp_path, WALKER) == 400


TEAMS: Times = {"Gripper?team=1": ALWAYS, "Gripper?team=2": ALWAYS}


def test_teams_are_trained_apart_under_their_full_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = train(tmp_path, monkeypatch, TEAMS, {"behaviors": {"Gripper?team=1": DQN, "Gripper?team=2": PPO}})
    assert outcome.code == 0, outcome.err
    assert (step_of(tmp_path, "Gripper?team=1"), step_of(tmp_path, "Gripper?team=2")) == (200, 400)
    assert (tmp_path / "r" / "Gripper?team=1.onnx").is_file()


def test_a_name_that_two_teams_answer_to_is_refused_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = train(tmp_path, monkeypatch, TEAMS, {"behaviors": {GRIPPER: DQN}})
    assert_refused(outcome, r"late\.yaml:\d+: behaviors\.Gripper: ", r"name one of Gripper\?team=1, Gripper\?team=2")


def test_a_team_that_comes_late_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times: Times = {"Gripper?team=1": ALWAYS, "Gripper?team=2": (range(20, 1_000_000),)}
    outcome, _ = train(tmp_path, monkeypatch, times, {"behaviors": {GRIPPER: DQN}})
    assert outcome.code == 0, outcome.err
    assert step_of(tmp_path, GRIPPER) == 200
    assert "Gripper?team=2; the one that came later stands still" in caplog.text


def test_a_late_behavior_that_does_not_fit_fails_in_one_line_and_keeps_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, _ = train(tmp_path, monkeypatch, LATE, {"behaviors": {WALKER: PPO, GRIPPER: {**DQN, **DDPG}}})
    assert_refused(outcome, r"late\.yaml:\d+: behaviors\.Gripper\.trainer_type: ddpg is for continuous actions")
    assert step_of(tmp_path, WALKER) > 0


DDPG = {"trainer_type": "ddpg", "hyperparameters": {"batch_size": 8, "buffer_size": 500}}


def test_a_late_behavior_whose_signals_are_not_there_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {**DQN, "signals": {"far": {"sensor": "radar"}}}
    outcome, _ = train(tmp_path, monkeypatch, LATE, {"behaviors": {WALKER: PPO, GRIPPER: wrong}})
    assert_refused(outcome, "signal far: no sensor radar, the environment has camera", code=3)
