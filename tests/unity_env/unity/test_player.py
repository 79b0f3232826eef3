"""The project's own agents on the real C# ML-Agents runtime, over the link: the same tasks as the embedded ones.

Their scenes are built by the project's builder, copied as a scene file would keep them, and replicated by ML-Agents.
What is not Unity's: the engine below (see tests/unity_env/csharp/editor.py), so nothing collides and nothing falls.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple, DecisionSteps, TerminalSteps

from tests.helpers import cli
from tests.unity_env.csharp.build import play_alone, write_build
from tests.unity_env.csharp.session import missing
from unity_env.link.channels import PlayerChannels, collect_stats
from unity_env.link.environment import UnityPlayer
from unity_env.settings import EngineSettings
from unity_env.sim.baselines import arm
from unity_env.sim.baselines.measure import as_action, read_components
from unity_env.sim.env import SimEnv
from unity_env.sim.role import Role, all_roles, environment_parameters, find_role, roles_of
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

    def __init__(self, build: Path, task: str, log_folder: Path) -> None:
        self.task, self.channels, self._log = task, PlayerChannels(), log_folder / "Player-0.out"
        self.channels.configure(EngineSettings())
        self.env = UnityPlayer(
            str(build),
            seed=4,
            num_areas=AREAS,
            timeout_wait=60,
            additional_args=["--task", task],
            side_channels=self.channels.all(),
            log_folder=str(log_folder),
        )

    @property
    def roles(self) -> dict[str, Role]:
        return {f"{role.behavior}?team=0": role for role in roles_of(self.task)}

    def begin(self, **parameters: float) -> None:
        """Begin new episodes, with these environment parameters and the others' defaults."""
        defaults = {name: entry.default for name, entry in environment_parameters(roles_of(self.task)).items()}
        self.channels.send_parameters(defaults | parameters, 0, known={})
        self.env.reset()
        collect_stats([self.channels])

    def known(self, name: str) -> dict[str, Array]:
        return read_components(self.roles[name], self.env.get_steps(name)[0])

    def act(self, rng: np.random.Generator | None = None) -> None:
        """Act at random, or not at all."""
        for name, role in self.roles.items():
            size = (len(self.env.get_steps(name)[0]), role.command_size)
            command = np.zeros(size) if rng is None else rng.uniform(-1, 1, size)
            self.env.set_actions(name, as_action(role, command))
        self.env.step()

    def quit(self) -> str:
        """End the player; return what it printed."""
        self.env.close()
        return self._log.read_text(encoding="utf-8")


Play = Callable[[str], Session]


@pytest.fixture(scope="module")
def play(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Return a task's player, one for all tests."""
    started: dict[str, Session] = {}

    def of(task: str) -> Session:
        if task not in started:
            started[task] = Session(build, task, tmp_path_factory.mktemp(task))
        return started[task]

    yield of
    for session in started.values():
        printed = session.quit()
        assert "[error]" not in printed, printed
        assert "[log] quit" in printed


@pytest.fixture
def reaching(play: Play) -> Session:
    """The player of arm_reach, whose episodes have just begun."""
    session = play("arm_reach")
    session.begin()
    return session


@pytest.mark.parametrize("task", sorted(all_roles()))
def test_observations_are_the_embedded_simulations_for_the_same_state(play: Play, task: str) -> None:
    session, rng = play(task), np.random.default_rng(1)
    session.begin(**({"obstacle_count": 0.0} if task.startswith("mobile_goal") else {}))
    for _ in range(12):
        known = {role.behavior: session.known(name) for name, role in session.roles.items()}
        for behavior, components in sense_again(task, known).items():
            assert set(components) == set(DERIVED[task][behavior]) & set(known[behavior])
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


@pytest.mark.parametrize("task", ["arm_reach", "playroom"])
def test_tasks_verify_finds_no_difference_in_the_projects_player(build: Path, task: str) -> None:
    outcome = cli("tasks", "verify", task, "--env", build, "--steps", 40)
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[-1] == "no differences"
    assert "  ok    RobotArm control period" in outcome.out


def test_every_joint_moves_by_its_own_action_only(reaching: Session) -> None:
    session = reaching
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


def by_agent(records: DecisionSteps | TerminalSteps) -> Array:
    """Return what agents observe, in the order of their ids."""
    observed: Array = records.obs[0][np.argsort(records.agent_id)]
    return observed


def test_a_time_limit_interrupts_and_the_next_episode_rides_in_the_same_message(reaching: Session) -> None:
    session, name = reaching, "RobotArm?team=0"
    steps = 0
    while not len(session.env.get_steps(name)[1]):
        last = by_agent(session.env.get_steps(name)[0])
        session.act()
        steps += 1
    decisions, terminals = session.env.get_steps(name)
    role = find_role("arm_reach", "RobotArm")
    assert steps == round(role.task.episode_s / role.control.period_s)
    assert terminals.interrupted.all()
    assert not terminals.reward.any()
    assert sorted(terminals.agent_id) == sorted(decisions.agent_id)
    np.testing.assert_allclose(by_agent(terminals)[:, :6], last[:, :6], atol=1e-3)
    assert np.abs(by_agent(decisions) - last)[:, :6].max() > 0.01
    assert collect_stats([session.channels])["RobotArm/Success"] == 0.0


def test_the_tip_that_is_held_at_its_goal_ends_the_episode_with_success(reaching: Session) -> None:
    session, name = reaching, "RobotArm?team=0"
    session.begin(goal_distance=0.4)
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


def test_a_reset_begins_anew_at_rest_without_any_command(play: Play) -> None:
    session, name = play("mobile_goal_discrete"), "MobileRobot?team=0"
    session.begin()
    for _ in range(5):
        session.act(np.random.default_rng(0))
    session.env.reset()
    known = session.known(name)
    assert not known["last_action"].any()
    assert not known["forward_velocity"].any()
    assert not known["yaw_velocity"].any()


def test_areas_differ_and_a_seed_repeats_them(build: Path, tmp_path: Path) -> None:
    goals = []
    for number in range(2):
        session = Session(build, "arm_reach", tmp_path / str(number))
        try:
            session.env.reset()
            goals.append(session.known("RobotArm?team=0")["goal_pos"])
        finally:
            session.env.close()
    np.testing.assert_array_equal(goals[0], goals[1])
    assert np.abs(goals[0][0] - goals[0][1]).max() > 0.01


def test_parameters_reach_the_scene(reaching: Session) -> None:
    session, name = reaching, "RobotArm?team=0"
    session.begin(goal_distance=0.1, sensor_noise=3.0, action_latency=2.0)
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


UP_ARROW, Q_KEY = 273, 113


def test_without_a_trainer_the_keyboard_drives_and_there_are_no_signals(build: Path) -> None:
    told = play_alone(build.parent, "mobile_goal_discrete", 80, UP_ARROW)
    assert told["sensors"] == ["observation"]
    observed = np.array(told["observation"], float)
    where = find_role("mobile_goal_discrete", "MobileRobot").layouts["observation"].slices
    assert observed[where["forward_velocity"]] > 0.9
    np.testing.assert_allclose(observed[where["last_action"]], [1.0, 0.0])
    arm_told = play_alone(build.parent, "arm_reach", 80, Q_KEY)
    assert arm_told["sensors"] == ["observation"]
    np.testing.assert_allclose(np.array(arm_told["observation"], float)[-6:], [1.0, 0, 0, 0, 0, 0])
