"""The project's own agents on the real C# ML-Agents runtime, over the link: the same tasks as the embedded ones.

Their scenes are built by the project's builder, copied as a scene file would keep them, and replicated by ML-Agents.
What is not Unity's: the engine below (see tests/unity_env/csharp/editor.py), so nothing collides and nothing falls.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple

from tests.helpers import cli
from tests.unity_env.csharp.build import write_build
from tests.unity_env.csharp.session import missing
from unity_env.link.channels import PlayerChannels, collect_stats
from unity_env.link.environment import UnityPlayer
from unity_env.settings import EngineSettings
from unity_env.sim.baselines.measure import as_action, read_components
from unity_env.sim.role import all_roles, find_role, roles_of
from unity_env.sim.transplant import DERIVED, sense_again

Array = np.ndarray
AREAS = 2
CLOSE = 1e-5


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled project as a build."""
    if lacking := missing():
        pytest.skip(lacking)
    return write_build(tmp_path_factory.mktemp("build"))


class Session:
    """A running player of one task."""

    def __init__(self, build: Path, task: str, log_folder: Path, **parameters: float) -> None:
        self.task, self.channels = task, PlayerChannels()
        self.channels.configure(EngineSettings())
        self.channels.send_parameters(parameters, 0, known={})
        self.env = UnityPlayer(
            str(build),
            seed=4,
            num_areas=AREAS,
            timeout_wait=60,
            additional_args=["--task", task],
            side_channels=self.channels.all(),
            log_folder=str(log_folder),
        )
        self.env.reset()

    @property
    def roles(self) -> dict[str, Any]:
        return {f"{role.behavior}?team=0": role for role in roles_of(self.task)}

    def known(self, name: str) -> dict[str, Array]:
        return read_components(self.roles[name], self.env.get_steps(name)[0])

    def act(self, rng: np.random.Generator | None = None) -> None:
        """Act at random, or not at all."""
        for name, role in self.roles.items():
            size = (len(self.env.get_steps(name)[0]), role.command_size)
            command = np.zeros(size) if rng is None else rng.uniform(-1, 1, size)
            self.env.set_actions(name, as_action(role, command))
        self.env.step()


@pytest.fixture
def play(build: Path, tmp_path: Path) -> Iterator[Any]:
    """Start a session; it ends with the test."""
    started: list[Session] = []

    def start(task: str, **parameters: float) -> Session:
        started.append(Session(build, task, tmp_path, **parameters))
        return started[-1]

    yield start
    for session in started:
        session.env.close()
    printed = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("Player-0.out"))
    assert "[error]" not in printed, printed
    assert "[log] quit" in printed


@pytest.mark.parametrize("task", sorted(all_roles()))
def test_observations_are_the_embedded_simulations_for_the_same_state(play: Any, task: str) -> None:
    session, rng = (
        play(task, **({"obstacle_count": 0.0} if task.startswith("mobile_goal") else {})),
        np.random.default_rng(1),
    )
    for _ in range(12):
        known = {role.behavior: session.known(name) for name, role in session.roles.items()}
        for behavior, components in sense_again(task, known).items():
            assert set(components) == set(DERIVED[task][behavior])
            role = find_role(task, behavior)
            sent = session.env.get_steps(f"{behavior}?team=0")[0].obs[0]
            again = np.concatenate(
                [(known[behavior] | components)[part.name] for part in role.sensors["observation"]], axis=1
            )
            np.testing.assert_allclose(sent, again, atol=CLOSE)
            for name, value in components.items():
                if not name.endswith("_bearing"):
                    np.testing.assert_allclose(known[behavior][name], value, atol=CLOSE, err_msg=name)
        session.act(rng)


def test_tasks_verify_finds_no_difference_in_the_projects_player(build: Path) -> None:
    outcome = cli("tasks", "verify", "arm_reach", "--env", build, "--steps", 40)
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[-1] == "no differences"
    assert "  ok    RobotArm control period" in outcome.out


def test_every_joint_moves_by_its_own_action_only(play: Any) -> None:
    session = play("arm_reach")
    for joint in range(6):
        before = session.known("RobotArm?team=0")["joint_pos"]
        action = np.zeros((AREAS, 6), np.float32)
        action[:, joint] = 0.4
        for _ in range(5):
            session.env.set_actions("RobotArm?team=0", ActionTuple(action))
            session.env.step()
        session.act()
        moved = session.known("RobotArm?team=0")["joint_pos"] - before
        assert (moved[:, joint] > 0.04).all()
        assert (np.abs(np.delete(moved, joint, axis=1)) < 0.03).all()


def test_a_time_limit_interrupts_and_the_next_episode_rides_in_the_same_message(play: Any) -> None:
    session, name = play("arm_reach"), "RobotArm?team=0"
    steps = 0
    while not len(session.env.get_steps(name)[1]):
        last = session.known(name)
        session.act()
        steps += 1
    decisions, terminals = session.env.get_steps(name)
    role = find_role("arm_reach", "RobotArm")
    assert steps == round(role.task.episode_s / role.control.period_s)
    assert terminals.interrupted.all()
    assert not terminals.reward.any()
    assert sorted(terminals.agent_id) == sorted(decisions.agent_id)
    np.testing.assert_allclose(terminals.obs[0][:, :6], last["joint_pos"], atol=1e-3)
    assert np.abs(session.known(name)["joint_pos"] - last["joint_pos"]).max() > 0.01
    assert collect_stats([session.channels])["RobotArm/Success"] == 0.0


def test_the_tip_that_is_held_at_its_goal_ends_the_episode_with_success(play: Any) -> None:
    from unity_env.sim.baselines import arm
    from unity_env.sim.env import SimEnv

    session, name = play("arm_reach", goal_distance=0.4), "RobotArm?team=0"
    reach = arm.reach(SimEnv("arm_reach", AREAS, threads=1))["RobotArm"]
    for _ in range(99):
        session.env.set_actions(name, ActionTuple(reach(session.known(name)).astype(np.float32)))
        session.env.step()
        terminals = session.env.get_steps(name)[1]
        if len(terminals):
            break
    assert not terminals.interrupted.any()
    assert terminals.reward.tolist() == [1.0] * len(terminals)
    signals = find_role("arm_reach", "RobotArm").layouts["signals"].slices
    assert terminals.obs[1][:, signals["success"]].all()
    np.testing.assert_allclose(terminals.obs[1][:, signals["hold_time"]], 0.52, atol=CLOSE)
    assert collect_stats([session.channels])["RobotArm/Success"] == 1.0


def test_a_reset_begins_anew_at_rest_without_any_command(play: Any) -> None:
    session, name = play("mobile_goal_discrete"), "MobileRobot?team=0"
    for _ in range(5):
        session.act(np.random.default_rng(0))
    session.env.reset()
    known = session.known(name)
    assert not known["last_action"].any()
    assert not known["forward_velocity"].any()
    assert not known["yaw_velocity"].any()


def test_areas_differ_and_a_seed_repeats_them(play: Any, build: Path, tmp_path: Path) -> None:
    first = play("arm_reach").known("RobotArm?team=0")
    again = Session(build, "arm_reach", tmp_path / "again")
    try:
        np.testing.assert_array_equal(again.known("RobotArm?team=0")["goal_pos"], first["goal_pos"])
    finally:
        again.env.close()
    assert np.abs(first["goal_pos"][0] - first["goal_pos"][1]).max() > 0.01


def test_parameters_reach_the_scene(play: Any) -> None:
    session, name = play("arm_reach", goal_distance=0.1, sensor_noise=3.0, action_latency=2.0), "RobotArm?team=0"
    role = find_role("arm_reach", "RobotArm")
    noisy, exact = session.env.get_steps(name)[0].obs
    where = [role.layouts[sensor].slices["tool_pos"] for sensor in ("observation", "signals")]
    assert 1e-4 < np.abs(noisy[:, where[0]] - exact[:, where[1]]).max() < 0.05
    action = np.full((AREAS, 6), 0.5, np.float32)
    speeds = []
    for _ in range(4):
        session.env.set_actions(name, ActionTuple(action))
        session.env.step()
        speeds.append(session.env.get_steps(name)[0].obs[1][:, role.layouts["signals"].slices["joint_vel"]].max())
    assert speeds[0] == speeds[1] == 0.0
    assert speeds[2] > 0.3
