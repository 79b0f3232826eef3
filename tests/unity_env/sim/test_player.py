"""The embedded simulation as a player: what a stock ML-Agents client launches, and what becomes of it."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import ActionTuple, BaseEnv
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel

from tests.helpers import sampler
from tests.pair import LEFT, PAIR, RIGHT
from tests.processes import is_running, processes_with, wait_until
from tests.unity_env.link.stand_in import free_port
from unity_env.link.communicator import ByteCommunicator
from unity_env.settings import Sampler
from unity_env.sim.env import SimEnv
from unity_env.sim.player import main, write_build

TASK, BEHAVIOR = "arm_reach", "RobotArm"
AREAS, SEED, STEPS, RESET_AT = 2, 11, 1000, 450
PARAMETERS: dict[str, float | Sampler] = {
    "sensor_noise": 0.7,
    "mass_scale": sampler("uniform", min_value=0.8, max_value=1.1),
    "push_scale": sampler("gaussian", mean=1.0, st_dev=0.3),
    "action_latency": sampler("multirangeuniform", intervals=[[0.0, 0.4], [1.6, 2.0]]),
}
Array = np.ndarray


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The player as an executable; returns its path as clients name it, without the extension."""
    path = tmp_path_factory.mktemp("build") / "arm.x86_64"
    write_build(TASK, path)
    return path.with_suffix("")


@dataclass
class Told:
    """What a client was told, step by step, and how the player ended."""

    arrays: list[list[Array]] = field(default_factory=list)
    ended: int = 0
    stats: dict[str, Any] = field(default_factory=dict)
    code: int | None = None
    pid: int = 0
    log: str = ""


def play(env: BaseEnv, behavior: str, told: Told, steps: int) -> None:
    """Reset, step with random actions, some of them out of range; reset once more on the way."""
    rng = np.random.default_rng(0)
    env.reset()
    for step in range(steps):
        decisions, terminals = env.get_steps(behavior)
        told.arrays.append(
            [*decisions.obs, decisions.reward, decisions.agent_id,
             *terminals.obs, terminals.reward, terminals.agent_id, terminals.interrupted]
        )  # fmt: skip
        told.ended += len(terminals)
        size = env.behavior_specs[behavior].action_spec.continuous_size
        env.set_actions(behavior, ActionTuple(rng.uniform(-1.3, 1.3, (len(decisions), size)).astype(np.float32)))
        if step == RESET_AT:
            env.reset()
        else:
            env.step()


@pytest.fixture(scope="module")
def launched(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The stock client launches the player and plays."""
    folder = tmp_path_factory.mktemp("logs")
    engine, parameters, stats = EngineConfigurationChannel(), EnvironmentParametersChannel(), StatsSideChannel()
    engine.set_configuration_parameters(time_scale=20.0)
    parameters.set_float_parameter("payload_mass_kg", 1.5)
    parameters.set_float_parameter("goal_distance", 9.0)
    parameters.set_float_parameter("sensor_noise", 0.7)
    parameters.set_uniform_sampler_parameters("mass_scale", 0.8, 1.1, 3)
    parameters.set_gaussian_sampler_parameters("push_scale", 1.0, 0.3, 4)
    parameters.set_multirangeuniform_sampler_parameters("action_latency", [(0.0, 0.4), (1.6, 2.0)], 5)
    env = UnityEnvironment(
        str(build),
        base_port=free_port(),
        seed=SEED,
        no_graphics=True,
        timeout_wait=20,
        side_channels=[engine, parameters, stats],
        log_folder=str(folder),
        num_areas=AREAS,
    )
    process: subprocess.Popen[bytes] = env._process
    told = Told(pid=process.pid)
    try:
        play(env, f"{BEHAVIOR}?team=0", told, STEPS)
        told.stats = stats.get_and_reset_stats()
    finally:
        env.close()
    told.code = process.poll()
    told.log = (folder / "Player-0.log").read_text(encoding="utf-8")
    return told


def test_the_stock_client_is_told_what_the_simulation_tells_in_process_to_the_bit(launched: Told) -> None:
    told = Told()
    play(SimEnv(TASK, AREAS, SEED, parameters=PARAMETERS), BEHAVIOR, told, STEPS)
    assert told.ended > 2 * AREAS
    assert len(launched.arrays) == STEPS
    for step, (theirs, ours) in enumerate(zip(launched.arrays, told.arrays, strict=True)):
        for their_array, our_array in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(their_array, our_array, strict=True, err_msg=f"step {step}")


def test_the_stock_clients_player_exits_with_0_and_leaves_nothing(launched: Told, build: Path) -> None:
    assert launched.code == 0
    assert not is_running(launched.pid)
    assert not processes_with(build)
    assert re.search(r"the client (said quit|has gone: UNAVAILABLE)$", launched.log.rstrip())  # whichever is first


def test_the_player_logs_what_the_client_asked_for(launched: Told) -> None:
    for line in (
        rf"connected to 0\.28\.0, seed {SEED}, {AREAS} areas",
        r"engine setting 2 has no meaning here",
        r"WARNING environment parameter payload_mass_kg is ignored: arm_reach has no such environment parameter; known",
        r"WARNING environment parameter goal_distance is ignored: 9 is outside its range 0\.1 \.\. 1\.5 m",
        r"environment parameter sensor_noise = 0\.7",
        r"environment parameter mass_scale = uniform \{'min_value': 0\.8, 'max_value': 1\.1\}",
        r"environment parameter push_scale = gaussian \{'mean': 1\.0, 'st_dev': 0\.3\}",
        r"environment parameter action_latency = multirangeuniform \{'intervals': \[\[0\.0, 0\.4\], \[1\.6, 2\.0\]\]\}",
        r"without a meaning here: -nographics -batchmode",
    ):
        assert re.search(line, launched.log), launched.log
    assert "Traceback" not in launched.log


def test_the_player_reports_the_success_of_every_episode(launched: Told) -> None:
    assert list(launched.stats) == [f"{BEHAVIOR}/Success"]
    assert len(launched.stats[f"{BEHAVIOR}/Success"]) == launched.ended


class Served(threading.Thread):
    """Runs a player's `main` beside the test."""

    def __init__(self, port: int, *more: str, task: str = TASK) -> None:
        super().__init__(daemon=True)
        self._arguments = [task, "--mlagents-port", str(port), *more]
        self.code: int | None = None
        self.start()

    def run(self) -> None:
        self.code = main(self._arguments)


def test_a_player_that_is_started_by_hand_serves_a_waiting_client_with_its_own_number_of_areas(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    with caplog.at_level(logging.INFO):
        switches = ("-batchmode", "-screen-width", "84", "-force-vulkan")
        served = Served(port, "--areas", "3", *switches, "-logFile", str(tmp_path / "player.log"))
        env = UnityEnvironment(None, base_port=port, seed=4, timeout_wait=20, side_channels=[StatsSideChannel()])
        env.reset()
        decisions, _ = env.get_steps(f"{BEHAVIOR}?team=0")
        env.close()
    served.join(timeout=10)
    assert served.code == 0
    ours = SimEnv(TASK, 3, 4)
    ours.reset()
    for theirs, mine in zip(decisions.obs, ours.get_steps(BEHAVIOR)[0].obs, strict=True):
        np.testing.assert_array_equal(theirs, mine, strict=True)
    assert f"without a meaning here: {' '.join(switches)}" in caplog.text


def test_another_seed_gives_other_episodes_and_num_areas_beats_the_players_own() -> None:
    first: list[Array] = []
    for seed in (1, 2):
        port = free_port()
        served = Served(port, "--areas", "3")
        channels = [StatsSideChannel()]
        env = UnityEnvironment(None, base_port=port, seed=seed, num_areas=5, timeout_wait=20, side_channels=channels)
        env.reset()
        first.append(env.get_steps(f"{BEHAVIOR}?team=0")[0].obs[0])
        env.close()
        served.join(timeout=10)
        assert served.code == 0
    assert first[0].shape[0] == 5
    assert not np.array_equal(first[0], first[1])


def step_both(env: BaseEnv, suffix: str, step: int) -> list[Array]:
    """Let both arms of the pair act, the right one only now and then; returns what all agents reported."""
    rng = np.random.default_rng(step)
    count = len(env.get_steps(f"{LEFT}{suffix}")[0])
    steered = ActionTuple(continuous=rng.uniform(-1.3, 1.3, (count, 6)).astype(np.float32))
    env.set_actions(f"{LEFT}{suffix}", steered)
    if step % 3:
        env.set_actions(f"{RIGHT}{suffix}", ActionTuple(discrete=rng.integers(0, 5, (count, 1), np.int32)))
    env.step()
    return records(env, suffix)


def records(env: BaseEnv, suffix: str) -> list[Array]:
    told = []
    for behavior in (LEFT, RIGHT):
        decisions, terminals = env.get_steps(f"{behavior}{suffix}")
        told += [*decisions.obs, decisions.reward, decisions.agent_id]
        told += [*terminals.obs, terminals.reward, terminals.agent_id, terminals.interrupted]
    return told


@pytest.mark.usefixtures("pair_task")
def test_a_scene_of_two_behaviors_reaches_the_stock_client_to_the_bit() -> None:
    port = free_port()
    served = Served(port, task=PAIR)
    stats = StatsSideChannel()
    env = UnityEnvironment(None, base_port=port, seed=SEED, num_areas=3, timeout_wait=20, side_channels=[stats])
    ours = SimEnv(PAIR, 3, SEED, threads=1)
    ended = {LEFT: 0, RIGHT: 0}
    try:
        env.reset()
        ours.reset()
        specs = {name.removesuffix("?team=0"): spec for name, spec in env.behavior_specs.items()}
        assert specs == dict(ours.behavior_specs)
        assert specs[RIGHT].action_spec.discrete_branches == (5,)
        for theirs, mine in zip(records(env, "?team=0"), records(ours, ""), strict=True):
            np.testing.assert_array_equal(theirs, mine, strict=True)
        for step in range(120):
            for theirs, mine in zip(step_both(env, "?team=0", step), step_both(ours, "", step), strict=True):
                np.testing.assert_array_equal(theirs, mine, strict=True, err_msg=f"step {step}")
            for behavior in ended:
                ended[behavior] += len(ours.get_steps(behavior)[1])
        reported = stats.get_and_reset_stats()
    finally:
        env.close()
    served.join(timeout=10)
    assert served.code == 0
    assert {name: len(values) for name, values in reported.items()} == {
        f"{behavior}/Success": count for behavior, count in ended.items()
    }
    assert ended[LEFT] >= 6


def test_parameters_that_are_sent_later_hold_for_the_episodes_that_begin_then() -> None:
    port = free_port()
    served = Served(port, "--areas", "2")
    parameters = EnvironmentParametersChannel()
    env = UnityEnvironment(None, base_port=port, seed=SEED, timeout_wait=20, side_channels=[parameters])
    ours = SimEnv(TASK, 2, SEED, threads=1)
    try:
        env.reset()
        ours.reset()
        for step in range(220):
            if step == 30:
                parameters.set_float_parameter("goal_distance", 0.3)
                ours.set_parameters({"goal_distance": 0.3})
            env.step()
            ours.step()
            theirs, mine = env.get_steps(f"{BEHAVIOR}?team=0")[0], ours.get_steps(BEHAVIOR)[0]
            np.testing.assert_array_equal(theirs.obs[0], mine.obs[0], strict=True, err_msg=f"step {step}")
    finally:
        env.close()
    served.join(timeout=10)
    assert set(ours._randomization.values["goal_distance"]) == {0.3}


@pytest.fixture(scope="module")
def refused(build: Path, tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """A client of API 2 answers the player's introduction."""
    client = ByteCommunicator()
    answer = UnityMessageProto()
    answer.header.status = 200
    answer.unity_input.rl_initialization_input.communication_version = "2.0.0"
    process = subprocess.Popen(
        [f"{build}.x86_64", "--mlagents-port", str(client.port), "-batchmode", "-logFile", "-"],
        cwd=tmp_path_factory.mktemp("cwd"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        client.receive(20, lambda: None)
        client.send(answer.SerializeToString())
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
        client.close(b"")
    return subprocess.CompletedProcess([], process.returncode, out, err)


def test_a_client_of_another_api_version_is_refused_with_exit_code_1(
    refused: "subprocess.CompletedProcess[str]",
) -> None:
    assert refused.returncode == 1
    assert "Traceback" not in refused.stdout + refused.stderr


def test_a_log_file_called_minus_is_standard_output_as_in_unity(refused: "subprocess.CompletedProcess[str]") -> None:
    assert "the client speaks API 2.0.0, this player 1.5.0" in refused.stdout


@pytest.fixture
def client_program(build: Path, tmp_path: Path) -> Iterator[Callable[[], tuple["subprocess.Popen[str]", int]]]:
    """Start a program whose stock client plays with a player; returns the program and the player's process."""
    script = f"""
import time
import unity_env
from mlagents_envs.environment import UnityEnvironment
env = UnityEnvironment({str(build)!r}, base_port={free_port()}, log_folder={str(tmp_path)!r}, timeout_wait=20)
env.reset()
env.step()
print(env._process.pid, flush=True)
time.sleep(20)
"""
    started: list[int] = []

    def start() -> tuple[subprocess.Popen[str], int]:
        program = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(program.pid)
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.stdout.close()
        started.append(pid)
        return program, pid

    yield start
    for pid in started:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_player_whose_client_vanishes_ends_by_itself(
    client_program: Callable[[], tuple["subprocess.Popen[str]", int]], tmp_path: Path
) -> None:
    program, player = client_program()
    assert is_running(player)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait(timeout=5)
    assert wait_until(lambda: not is_running(player), 5)
    log = (tmp_path / "Player-0.log").read_text(encoding="utf-8")
    assert "the client has gone" in log
    assert "Traceback" not in log
