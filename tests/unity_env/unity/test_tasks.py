"""Sensors, rules and starts of the C# tasks against recorded trajectories of the embedded simulation."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import mujoco
import numpy as np
import pytest

from tests.unity_env.csharp.logic import Logic
from unity_env.sim.agents import RoleAgents
from unity_env.sim.baselines import BASELINES
from unity_env.sim.baselines.measure import as_action, read_components
from unity_env.sim.description import load_description
from unity_env.sim.env import SimEnv
from unity_env.sim.role import Role, all_roles, environment_parameters, find_role, roles_of
from unity_env.sim.tasks.arm_reach import ArmReach
from unity_env.sim.tasks.cube import GraspNumbers
from unity_env.sim.tasks.mobile_layout import Room
from unity_env.sim.tasks.task import ALL_ROWS
from unity_env.unity.describe import descriptions

Array = np.ndarray
N = 10_000
CLOSE = 1e-6
TASKS = sorted(all_roles())


def robots(logic: Logic) -> dict[str, Any]:
    return {"arm": logic.arm, "mobile": logic.mobile}


def csharp_role(logic: Logic, role: Role) -> Any:
    return logic.role(robots(logic)[role.robot.name], role.task_name)


@pytest.mark.parametrize("task", TASKS)
def test_layouts_have_the_order_and_the_sizes_of_python(logic: Logic, task: str) -> None:
    for role in roles_of(task):
        twin = csharp_role(logic, role)
        for layout, parts in ((twin.Observation, role.sensors["observation"]), (twin.Signals, role.sensors["signals"])):
            found = [(part.Name, part.Size, part.Noise, part.Limit.Low, part.Limit.High) for part in layout.Parts]
            assert found == [(part.name, part.size, part.noise, *part.limit) for part in parts]
        assert (twin.Task.Behavior, twin.CommandSize) == (role.behavior, role.command_size)
        assert tuple(twin.Branches) == role.spec.action_spec.discrete_branches
        assert twin.Robot.PeriodS == role.control.period_s


@pytest.mark.parametrize("task", TASKS)
def test_environment_parameters_have_their_defaults_and_are_clipped_to_their_ranges(logic: Logic, task: str) -> None:
    import System

    described = environment_parameters(roles_of(task))
    roles = logic.array("Role", [csharp_role(logic, role) for role in roles_of(task)])
    parameters = logic.new("EpisodeParameters", logic.common, roles)
    assert list(parameters.Names) == list(described)
    assert {name: parameters[name] for name in described} == {name: entry.default for name, entry in described.items()}
    for sent in (-1e6, 1e6):
        parameters.Draw(
            System.Func[System.String, System.Double, System.Double](lambda _name, _default, sent=sent: sent)
        )
        for name, entry in described.items():
            assert parameters[name] == np.clip(sent, *entry.range)
    assert parameters.Latency == 2


@dataclass
class Recording:
    """What a task told of every step of all rows, in double precision.

    Attributes:
        state: behavior -> observation and signals without what the rules remember, (T, rows, size).
        expected: behavior -> both sensors as the rules complete them, (T, rows, size).
        judged: ended for good, over, and whether each robot has succeeded, (T, rows, 2 + robots).
        collided: (T, rows).
        begins: whether the step is an episode's first, (T, rows).
    """

    state: dict[str, Array]
    expected: dict[str, Array]
    judged: Array
    collided: Array
    begins: Array


def packed(role: Role, components: Mapping[str, Array], rows: int) -> Array:
    zeros = {part.name: np.zeros((rows, part.size)) for parts in role.sensors.values() for part in parts}
    known = zeros | {name: value for name, value in components.items() if name in zeros}
    names = [part.name for parts in role.sensors.values() for part in parts]
    return np.concatenate([known[name] for name in names], axis=1, dtype=np.float64)


def record(task_name: str, rows: int, steps: int) -> Recording:
    """Let the scripted controller act, with some random commands so that episodes also go wrong."""
    env, rng = SimEnv(task_name, rows, 11, 1), np.random.default_rng(1)
    task, controllers = env.task, BASELINES[task_name](env)
    told: list[tuple[Any, ...]] = []
    judge = task.judge

    def watched(measured: Any) -> Array:
        state = {role.behavior: packed(role, measured[role.behavior], rows) for role in task.roles}
        ended = judge(measured)
        over, begins = env._age >= env._episode_steps, env._age == 1
        success = [task.success()[role.behavior] for role in task.roles]
        remembered = task.remembered(ALL_ROWS)
        expected = {
            role.behavior: packed(role, measured[role.behavior] | remembered[role.behavior], rows)
            for role in task.roles
        }
        collided = task.memory.get("collided", np.zeros(rows)).copy()
        told.append((state, expected, np.stack([ended, over, *success], axis=1).astype(float), collided, begins))
        return ended

    task.judge = watched  # type: ignore[method-assign]
    env.reset()
    wild = rng.random(rows) < 0.4
    for _ in range(steps):
        for role in task.roles:
            command = controllers[role.behavior](read_components(role, env.get_steps(role.behavior)[0]))
            command[wild] = 0.3 * command[wild] + rng.uniform(-0.7, 0.7, (wild.sum(), command.shape[1]))
            env.set_actions(role.behavior, as_action(role, command))
        env.step()
    states, expected, judged, collided, begins = zip(*told, strict=True)
    behaviors = [role.behavior for role in task.roles]
    return Recording(
        {name: np.stack([state[name] for state in states]) for name in behaviors},
        {name: np.stack([state[name] for state in expected]) for name in behaviors},
        np.stack(judged), np.stack(collided), np.stack(begins),
    )  # fmt: skip


LEAST_ENDS = {"arm_reach": 20, "arm_pick_place": 6, "playroom": 2, "mobile_goal": 15, "mobile_follow": 3}


@pytest.mark.parametrize("task", sorted(LEAST_ENDS))
def test_rules_judge_recorded_episodes_as_python_does(logic: Logic, task: str) -> None:
    roles, rows, steps = roles_of(task), 8, 520
    recording = record(task, rows, steps)
    twins = logic.array("Role", [csharp_role(logic, role) for role in roles])
    width = sum(recording.expected[role.behavior].shape[2] for role in roles)
    for row in range(rows):
        starts = [*np.flatnonzero(recording.begins[:, row]).tolist(), steps]
        for first, last in pairwise(starts):
            part = slice(first, last)
            state = [recording.state[role.behavior][part, row] for role in roles]
            steps_of_episode = np.concatenate([*state, recording.collided[part, row, None]], axis=1)
            judged, told = np.split(
                logic.rows(2 + len(roles) + width, "Judged", task, twins, steps_of_episode), [2 + len(roles)], axis=1
            )
            np.testing.assert_array_equal(judged, recording.judged[part, row])
            expected = np.concatenate([recording.expected[role.behavior][part, row] for role in roles], axis=1)
            np.testing.assert_allclose(told, expected, rtol=1e-6, atol=CLOSE)
    ended, over, *success = (recording.judged[:, :, index] > 0 for index in range(2 + len(roles)))
    assert ended.sum() >= LEAST_ENDS[task] or over.sum() >= LEAST_ENDS[task]
    assert any(solved.any() for solved in success)


def arm_states(env: SimEnv, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random states of the arm and what stands beside it: rows for C#, both sensors by Python, (N, size)."""
    (role,), task, rows = env.task.roles, env.task, env.num_areas
    robot = load_description("arm")
    low, high = robot.joint_array("range_rad").T
    n, grips = len(low), task.name != "arm_reach"
    pos, vel = task.batch.bind("qpos"), task.batch.bind("qvel")
    pos[:, :n], vel[:, :n] = rng.uniform(low, high, (rows, n)), rng.uniform(-3, 3, (rows, n))
    goal = rng.uniform([-0.5, -0.5, 0.0], [0.5, 0.5, 0.6], (rows, 3))
    task.batch.bind("mocap_pos")[:, 0] = goal
    fingers, force, cube = np.zeros((rows, 2)), np.zeros((rows, 6)), np.zeros((rows, 11))
    if grips:
        pos[:, n : n + 2] = fingers = rng.uniform(0, 0.045, (rows, 2))
        quaternion = rng.normal(size=(rows, 4))
        cube[:, :3], cube[:, 3:6] = rng.uniform(-0.5, 0.6, (rows, 3)), rng.uniform(-1, 1, (rows, 3))
        cube[:, 6:10], cube[:, 10] = quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True), 0.04
        pos[:, n + 2 : n + 9], vel[:, n + 2 : n + 5] = cube[:, [0, 1, 2, 6, 7, 8, 9]], cube[:, 3:6]
    task.batch.bind("ctrl")[:, :n] = rng.uniform(-3, 3, (rows, n))
    task.batch.forward(stage=mujoco.mjtStage.mjSTAGE_ACC)
    if grips:
        force[::2] = rng.uniform(-15, 15, (len(force[::2]), 6))
        arm: Any = task.arm  # type: ignore[attr-defined]
        sensors = arm._sensors.copy()
        sensors[:, arm._sensed] = force
        arm._sensors = sensors
    measured = task.measure(ALL_ROWS)[role.behavior]
    torque = measured["joint_torque"]
    goal_centre = goal + np.array([0, 0, 0.02 if grips else 0.0])
    state = np.concatenate([pos[:, :n], vel[:, :n], torque, fingers, force, cube, goal_centre], axis=1)
    return state, packed(role, measured, rows)


@pytest.mark.parametrize("task", ["arm_reach", "arm_pick_place"])
def test_an_arms_sensors_are_pythons_in_random_states(logic: Logic, task: str) -> None:
    env, rng = SimEnv(task, 500, 0, 1), np.random.default_rng(2)
    env.reset()
    twin = csharp_role(logic, find_role(task, "RobotArm"))
    width = twin.Observation.Size + twin.Signals.Size
    for _ in range(N // 500):
        state, expected = arm_states(env, rng)
        np.testing.assert_allclose(logic.rows(width, "ArmSensors", twin, state), expected, rtol=1e-6, atol=CLOSE)


def mobile_states(env: SimEnv, place: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random states of the base: rows for C#, both sensors by Python, (N, size)."""
    (role,), rows = env.task.roles, env.num_areas
    base: Any = env.task.base  # type: ignore[attr-defined]
    base.place(np.arange(rows), rng.uniform([-2, -2, -np.pi], [2, 2, np.pi], (rows, 3)))
    env.task.batch.bind("qvel")[:] = rng.uniform(-2, 2, env.task.batch.bind("qvel").shape)
    env.task.batch.bind("ctrl")[:] = rng.uniform(-5, 5, (rows, 2))
    env.task.batch.forward(stage=mujoco.mjtStage.mjSTAGE_ACC)
    measured = env.task.measure(ALL_ROWS)[role.behavior]
    heading = measured["heading"]
    ahead = heading[:, 0] + 1j * heading[:, 1]
    direction = measured[f"{place}_direction"] @ [1, 1j] * ahead
    there = base.position + measured[f"{place}_distance"][:, 0] * direction
    velocity = np.stack([base.velocity.real, base.velocity.imag], axis=1)
    free = measured["clearance"] + load_description("mobile").chassis.radius_m
    wheels = [measured["wheel_velocity"], measured["wheel_torque"], free, np.stack([there.real, there.imag], axis=1)]
    state = [measured["position"], heading, velocity, measured["yaw_velocity"], *wheels, measured["lidar"]]
    known = {name: value for name, value in measured.items() if name != "person_velocity"}  # the person's own
    return np.concatenate(state, axis=1), packed(role, known, rows)


@pytest.mark.parametrize(("task", "place"), [("mobile_goal", "goal"), ("mobile_follow", "person")])
def test_a_bases_sensors_are_pythons_in_random_states(logic: Logic, task: str, place: str) -> None:
    env, rng = SimEnv(task, 500, 0, 1), np.random.default_rng(3)
    env.reset()
    twin = csharp_role(logic, find_role(task, "MobileRobot"))
    width = twin.Observation.Size + twin.Signals.Size
    for _ in range(N // 500):
        state, expected = mobile_states(env, place, rng)
        found = logic.rows(width, "MobileSensors", twin, place, state)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=CLOSE)


@pytest.mark.parametrize("task", TASKS)
def test_commands_are_pythons(logic: Logic, task: str) -> None:
    rng = np.random.default_rng(4)
    for role in roles_of(task):
        twin, spec = csharp_role(logic, role), role.spec.action_spec
        sizes = spec.discrete_branches or (spec.continuous_size,)
        if spec.discrete_branches:
            actions = rng.integers(0, sizes, (N, len(sizes)))
            found = logic.rows(role.command_size, "Chosen", twin, actions)
        else:
            actions = rng.normal(size=(N, sizes[0])).astype(np.float32)
            found = logic.rows(role.command_size, "Continuous", twin, actions)
        chosen = {"discrete": actions} if spec.discrete_branches else {"continuous": actions}
        np.testing.assert_allclose(found, role.command(type("Action", (), chosen)()), atol=CLOSE)


@pytest.mark.parametrize("latency", [0, 1, 2])
def test_commands_are_delayed_as_in_python(logic: Logic, latency: int) -> None:
    role = find_role("mobile_goal", "MobileRobot")
    commands = np.random.default_rng(5).uniform(-1, 1, (200, 2))
    found = logic.rows(4, "Delayed", 2, latency, commands)
    agents = RoleAgents(role, 1, 0)
    for row, command in zip(found, commands, strict=True):
        agents._command = command[None]
        np.testing.assert_array_equal(row[:2], agents.take_command(np.array([latency]))[0])
        np.testing.assert_array_equal(row[2:], agents._history[0, 0])


class Given:
    """A generator of numbers that are given."""

    def __init__(self, numbers: Array) -> None:
        self._numbers, self._at = numbers, 0

    def random(self, count: int) -> Array:
        self._at += count
        return self._numbers[self._at - count : self._at]


def test_goals_of_arm_reach_are_pythons_for_the_same_random_numbers(logic: Logic) -> None:
    task, numbers = ArmReach("arm_reach", 1, 1), np.random.default_rng(6).random(90_000)
    found = logic.rows(3, "Goals", csharp_role(logic, task.role), numbers, N)
    given: Any = Given(numbers)
    np.testing.assert_allclose(found, [task.sample_goal(given) for _ in range(N)], atol=CLOSE)


@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_places_on_the_table_are_pythons_for_the_same_random_numbers(logic: Logic, spread: float) -> None:
    role, numbers = find_role("arm_pick_place", "RobotArm"), np.random.default_rng(7).random(2 * N)
    known = {name: role.task.parameters[name] for name in GraspNumbers.model_fields}
    given: Any = Given(numbers)
    expected = [GraspNumbers.model_validate(known).sample_place(given, spread) for _ in range(N)]
    np.testing.assert_allclose(logic.rows(2, "Places", csharp_role(logic, role), spread, numbers), expected, atol=CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_scattered_things_starts_and_goals_keep_their_distances(logic: Logic, seed: int) -> None:
    radii, room = np.random.default_rng(seed).uniform(0.1, 0.3, 8), Room(3.0, 0.65)
    found = logic.call("Scattered", logic.new("Room", 3.0, 0.65), radii, 0.35, 0.5, 7.0, seed)
    things, ways = np.split(np.array(list(found)), [24])
    circles = things.reshape(8, 3)
    np.testing.assert_allclose(circles[:, 2], np.sort(radii)[::-1])
    assert room.free(ways.reshape(2, 2), circles, 0.35).all()
    assert 0.5 <= np.linalg.norm(ways[2:] - ways[:2]) <= 7.0
    for index, (x, y, radius) in enumerate(circles):
        others = np.delete(circles, index, axis=0)
        assert room.free(np.array([[x, y]]), others, radius + 0.65 - 1e-9).all()


def test_noise_is_normal_scaled_and_kept_within_the_limits(logic: Logic) -> None:
    normal = np.array(list(logic.call("Normal", 3, N)))
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    role = find_role("arm_reach", "RobotArm")
    twin, layout = csharp_role(logic, role), role.layouts["observation"]
    level, values = 2.0, np.zeros(layout.size)
    noisy = np.array([list(logic.call("Noisy", twin.Observation, values, level, seed)) for seed in range(400)])
    described = np.repeat([part.noise for part in layout.components], [part.size for part in layout.components])
    np.testing.assert_allclose(noisy.std(axis=0), level * described, rtol=0.2)
    _, high = layout.bounds()
    at_the_limit = np.array(list(logic.call("Noisy", twin.Observation, high.astype(float), 3.0, 0)))
    assert (at_the_limit <= high).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("home_rad", [0.0]), r"^arm.json: home_rad: 1 angles for 6 joints$"),
        (("schema_version", 2), r"^arm.json: schema_version: 2, expected 1$"),
        (("kind", "mobile"), r"^arm.json: kind: mobile, expected arm$"),
        (("tool_tip_m", [0, 1]), r"^arm.json: tool_tip_m: 2 numbers, expected 3$"),
        (("joints", 5), r"^arm.json: joints: expected a list$"),
        (("push", {"body": "elbow"}), r"^arm.json: push: no force_n, it has body$"),
    ],
)
def test_a_broken_description_is_one_line_with_its_place(logic: Logic, change: tuple[str, Any], message: str) -> None:
    from System.Reflection import TargetInvocationException

    broken = json.loads(descriptions()["arm.json"]) | {change[0]: change[1]}
    with pytest.raises(TargetInvocationException) as error:
        logic.call("Arm", json.dumps(broken))
    assert_message(error.value, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', r"^test.json:2: expected :$"),
        ('{"a": [1, 2}', r"^test.json:1: expected \]$"),
        ('{"a": nope}', r"^test.json:1: expected a value$"),
        ('{"a": "b', r'^test.json:1: expected "$'),
        ("[1]\n[2]", r"^test.json:2: something follows the end$"),
        ("", r"^test.json:1: expected a value$"),
    ],
)
def test_text_that_is_no_json_is_one_line_with_its_line(logic: Logic, text: str, message: str) -> None:
    from System.Reflection import TargetInvocationException

    with pytest.raises(TargetInvocationException) as error:
        logic.json(text)
    assert_message(error.value, message)


def assert_message(error: Any, pattern: str) -> None:
    assert re.search(pattern, str(error.InnerException.Message)), error.InnerException.Message


def test_json_reads_what_python_writes(logic: Logic) -> None:
    value = {"text": 'a "quoted" \\ line\n\u00e9', "numbers": [1, -2.5e-3, 1e9], "flags": [True, False, None]}
    read = logic.json(json.dumps(value))
    assert read.Members["text"].Text == value["text"]
    assert list(read.Members["numbers"].Numbers) == value["numbers"]
    assert [item.IsNull for item in read.Members["flags"].Items] == [False, False, True]
