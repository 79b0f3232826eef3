"""UnityScene: several behaviors of one scene, stepped together, each with rows of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mlagents_envs.base_env import ActionSpec, ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps

from tests.fakes import Message, Report, ScriptedUnity, spec_of
from unity_env.scene import UnityScene
from unity_env.spaces import Component, SensorLayout

WALKER, GRIPPER = "Walker?team=0", "Gripper?team=1"
SPECS = {
    WALKER: spec_of(("observation", 1), ("signals", 1)),
    GRIPPER: spec_of(("camera", 2), action=ActionSpec.create_discrete((3,))),
}
Scripts = Mapping[str, Message]


class ScriptedScene(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """Plays a message per behavior and step; a behavior is known from its first message on."""

    def __init__(self, steps: Sequence[Scripts]) -> None:
        self.steps, self._at = steps, -1
        self.calls: list[str] = []
        self.sent: list[dict[str, ActionTuple]] = [{}]
        self.seeds: list[int] = []
        self.closed = False
        self._known: dict[str, BehaviorSpec] = {}

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return self._known

    def reseed(self, seed: int) -> None:
        self.seeds.append(seed)

    def reset(self) -> None:
        self._play("reset", 0)

    def step(self) -> None:
        self.sent.append({})
        self._play("step", self._at + 1)

    def _play(self, call: str, at: int) -> None:
        self.calls.append(call)
        self._at = at
        self._known |= {name: SPECS[name] for name in self.steps[at]}

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        script = ScriptedUnity(SPECS[behavior_name], [self.steps[self._at].get(behavior_name, Message())])
        steps: tuple[DecisionSteps, TerminalSteps] = script.get_steps("Robot")
        return steps

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        count = len(self.get_steps(behavior_name)[0])
        SPECS[behavior_name].action_spec._validate_action(action, count, behavior_name)
        self.sent[-1][behavior_name] = action

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


def decisions(*reports: tuple[int, float, float]) -> Message:
    """Agents with (id, observation, reward)."""
    return Message([Report(*report) for report in reports])


BOTH = {WALKER: decisions((1, 10, 0), (2, 20, 0)), GRIPPER: decisions((7, 70, 0))}
WALK = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
GRIP = np.array([[2]], np.int32)


def test_a_reset_tells_every_behaviors_rows_by_its_full_name() -> None:
    env = ScriptedScene([BOTH])
    results = UnityScene(env).reset(seed=5)
    assert list(results) == [WALKER, GRIPPER]
    assert results[WALKER][0][:, 0].tolist() == [10, 20]
    assert results[GRIPPER][0].tolist() == [[70, 70]]
    assert [infos["requesting"].tolist() for _, infos in results.values()] == [[True, True], [True]]
    assert env.seeds == [5]


def test_all_behaviors_get_their_actions_and_the_scene_advances_once() -> None:
    env = ScriptedScene([BOTH, BOTH, BOTH])
    scene = UnityScene(env)
    scene.reset()
    for _ in range(2):
        scene.step({WALKER: WALK, GRIPPER: GRIP})
    assert env.calls == ["reset", "step", "step"]
    for sent in env.sent[:2]:
        np.testing.assert_array_equal(sent[WALKER].continuous, WALK)
        np.testing.assert_array_equal(sent[GRIPPER].discrete, GRIP)


def test_the_rows_of_one_behavior_do_not_depend_on_those_of_another() -> None:
    ended = Message([Report(2, 22, 0.5)], [Report(1, 11, 2.0)])
    same_ids = {WALKER: BOTH[WALKER], GRIPPER: decisions((1, 70, 0), (2, 80, 0))}
    env = ScriptedScene(
        [same_ids, {WALKER: ended, GRIPPER: decisions((2, 81, 0.25))}, {GRIPPER: decisions((1, 72, 4))}]
    )
    scene = UnityScene(env)
    scene.reset()
    grips = np.array([[1], [2]], np.int32)
    results = scene.step({WALKER: WALK, GRIPPER: grips})
    _, rew, terminated, _, infos = results[WALKER]
    assert (rew.tolist(), terminated.tolist()) == ([2.0, 0.5], [True, False])
    assert infos["requesting"].tolist() == [False, True]
    obs, rew, terminated, truncated, infos = results[GRIPPER]
    assert obs[:, 0].tolist() == [70, 81]
    assert rew.tolist() == [0, 0.25]
    assert infos["valid"].tolist() == [False, True]
    assert not (terminated | truncated).any()
    results = scene.step({WALKER: WALK, GRIPPER: grips})
    np.testing.assert_array_equal(env.sent[1][WALKER].continuous, WALK[[1]])
    assert env.sent[1][GRIPPER].discrete.tolist() == [[2]]
    assert not results[WALKER][4]["valid"].any()  # the walkers said nothing in this step
    assert (results[GRIPPER][1].tolist(), results[GRIPPER][4]["valid"].tolist()) == ([4, 0], [True, False])


def test_a_late_behavior_joins_without_a_transition_and_acts_from_the_next_step_on() -> None:
    walkers = {WALKER: BOTH[WALKER]}
    with_gripper = {**walkers, GRIPPER: decisions((7, 70, 9.0), (8, 80, 9.0))}
    env = ScriptedScene([walkers, with_gripper, {**walkers, GRIPPER: decisions((8, 81, 0.5), (7, 71, 0.25))}])
    scene = UnityScene(env)
    assert list(scene.reset()) == [WALKER]
    results = scene.step({WALKER: WALK})
    assert results[WALKER][4]["valid"].all()
    obs, rew, terminated, truncated, infos = results[GRIPPER]
    assert obs[:, 0].tolist() == [70, 80]
    assert not rew.any()
    assert not (terminated | truncated | infos["valid"]).any()
    assert infos["requesting"].all()
    obs, rew, *_, infos = scene.step({WALKER: WALK, GRIPPER: np.array([[1], [2]], np.int32)})[GRIPPER]
    assert env.sent[1][GRIPPER].discrete.tolist() == [[1], [2]]
    assert obs[:, 0].tolist() == [71, 81]
    assert rew.tolist() == [0.25, 0.5]
    assert infos["valid"].all()


def test_a_late_behavior_stays_known_after_a_reset() -> None:
    walkers = {WALKER: BOTH[WALKER]}
    env = ScriptedScene([walkers, BOTH])
    scene = UnityScene(env)
    scene.reset()
    scene.step({WALKER: WALK})
    results = scene.reset()
    assert list(results) == [WALKER, GRIPPER]
    assert results[GRIPPER][1]["requesting"].tolist() == [False]  # its agent is not back yet
    results_of_step = scene.step({WALKER: WALK, GRIPPER: GRIP})
    assert results_of_step[GRIPPER][0].tolist() == [[70, 70]]
    assert results_of_step[GRIPPER][4]["requesting"].tolist() == [True]


def test_a_behavior_whose_first_message_is_an_end_has_rows_when_its_agents_come() -> None:
    walkers = {WALKER: BOTH[WALKER]}
    env = ScriptedScene([walkers, {**walkers, GRIPPER: Message([], [Report(7, 70)])}, BOTH, BOTH])
    scene = UnityScene(env)
    scene.reset()
    scene.step({WALKER: WALK})
    obs, *_ = scene.step({WALKER: WALK, GRIPPER: np.zeros((0, 1), np.int32)})[GRIPPER]
    assert obs.tolist() == [[70, 70]]


def test_layouts_and_rows_are_named_without_the_team() -> None:
    layouts = {"Walker": {"signals": SensorLayout([Component("speed", 1, "m/s", "base", (0, 200), "")])}}
    results: Any = UnityScene(ScriptedScene([BOTH]), layouts, {"Gripper": 3}).reset()
    assert results[WALKER][1]["signals"]["speed"].tolist() == [[110], [120]]
    assert results[GRIPPER][0].shape == (3, 2)
    assert results[GRIPPER][1]["requesting"].tolist() == [True, False, False]


def test_close_closes_the_environment_below() -> None:
    env = ScriptedScene([BOTH])
    UnityScene(env).close()
    assert env.closed
