"""mobile_follow: the person, who walks as described; success, judged at the end."""

import numpy as np
import pytest

from tests.helpers import make_rows, sim_of
from unity_env import UnityVectorEnv
from unity_env.sim.env import SimEnv
from unity_env.sim.plane import to_xy
from unity_env.sim.tasks.mobile_follow import MobileFollow
from unity_env.sim.tasks.walker import Gait, Walkers

STEPS = 500
DT = 0.04
GAIT = Gait(2.4, 0.5, 2.0, 1.5, (0.5, 2.0), (0.6, 1.2))
NOBODY = np.full(30, 99.0 + 99.0j)


def task_of(env: UnityVectorEnv) -> MobileFollow:
    task = sim_of(env).task
    assert isinstance(task, MobileFollow)
    return task


@pytest.fixture(scope="module")
def walk() -> tuple[np.ndarray, np.ndarray]:
    """Thirty people alone for an episode: positions (STEPS, 30, 2) and yaws (STEPS, 30)."""
    people = Walkers(30, GAIT, DT)
    for row in range(30):
        people.start(row, np.random.default_rng(row), 0.8, 0.5)
    positions, yaws = [], []
    for _ in range(STEPS):
        people.step(NOBODY)
        positions.append(to_xy(people.position).copy())
        yaws.append(np.angle(people.ahead))
    return np.array(positions), np.array(yaws)


def test_a_person_stays_inside_the_room(walk: tuple[np.ndarray, np.ndarray]) -> None:
    positions, _ = walk
    assert np.abs(positions).max() < 2.4 + 0.4
    assert np.ptp(positions, axis=0).min() > 0.8  # each goes somewhere


def test_a_person_keeps_the_described_speeds(walk: tuple[np.ndarray, np.ndarray]) -> None:
    positions, yaws = walk
    step = np.diff(positions, axis=0)
    speed = np.hypot(step[..., 0], step[..., 1]) / DT
    assert speed.max() <= 0.8 + 1e-9
    assert np.abs(np.diff(speed, axis=0)).max() <= 1.5 * DT + 1e-9
    assert np.abs(np.diff(np.unwrap(yaws, axis=0), axis=0)).max() <= 2.0 * DT + 1e-9
    forward = step[..., 0] * np.cos(yaws[1:]) + step[..., 1] * np.sin(yaws[1:])
    np.testing.assert_allclose(forward, speed * DT, atol=1e-12)
    cruising = speed[(np.abs(np.diff(speed, axis=0, prepend=0)) < 1e-12) & (speed > 0)]
    assert cruising.min() >= 0.4 - 1e-9


def test_a_person_pauses_turns_and_walks_at_several_gaits(walk: tuple[np.ndarray, np.ndarray]) -> None:
    positions, yaws = walk
    speed = np.hypot(*np.moveaxis(np.diff(positions, axis=0), 2, 0)) / DT
    assert 0.05 < (speed == 0).mean() < 0.6
    assert (np.abs(np.diff(yaws, axis=0)) > 1e-6).any(axis=0).all()
    assert np.ptp(speed.max(axis=0)) > 0.02


def test_without_pauses_nobody_stands_for_long() -> None:
    people = Walkers(5, GAIT, DT)
    for row in range(5):
        people.start(row, np.random.default_rng(row), 0.8, 0.0)
    still = np.zeros(5)
    longest = np.zeros(5)
    for _ in range(STEPS):
        people.step(NOBODY[:5])
        still = np.where(people.velocity == 0, still + 1, 0)
        longest = np.maximum(longest, still)
    assert longest.max() * DT < 1.2  # half a turn on the spot


def test_a_person_does_not_walk_into_somebody() -> None:
    people = Walkers(1, GAIT, DT)
    people.start(0, np.random.default_rng(0), 1.0, 0.0)
    people.position[:] = 0.0
    people.ahead[:] = 1.0
    people.memory["person_legs"][0, :, :2] = [2.0, 0.0]
    people.memory["person_legs"][0, :, 2] = 1.0
    for _ in range(200):
        people.step(np.array([1.5 + 0.0j]))
    assert 0.5 < 1.5 - people.position[0].real < 0.8


def test_the_persons_walk_depends_on_seed_row_and_episode_alone() -> None:
    def walk_of(policy: float) -> np.ndarray:
        env = make_rows("mobile_follow", 3)
        env.reset(seed=4)
        legs = task_of(env).memory["person_legs"]
        found = [legs.copy()]
        for _ in range(STEPS):
            env.step(np.full((3, 2), policy, np.float32))
        return np.array([*found, legs.copy()])

    still, moving = walk_of(0.0), walk_of(0.02)
    np.testing.assert_array_equal(still, moving)
    assert (still[0] != still[1]).any()


def test_the_person_of_the_picture_stands_where_the_sensors_say() -> None:
    env = make_rows("mobile_follow", 5)
    env.reset(seed=0)
    for _ in range(40):
        *_, infos = env.step(np.zeros((5, 2), np.float32))
    task, signals = task_of(env), infos["signals"]
    figure = to_xy(task._figure)
    offset = figure - signals["position"]
    np.testing.assert_allclose(np.hypot(*offset.T), signals["person_distance"][:, 0], rtol=1e-5)
    bearing = np.arctan2(offset[:, 1], offset[:, 0]) - np.arctan2(signals["heading"][:, 1], signals["heading"][:, 0])
    np.testing.assert_allclose(np.cos(bearing), np.cos(signals["person_bearing"][:, 0]), atol=1e-5)


def test_starts_are_near_the_person_and_clear_of_the_walls() -> None:
    env = make_rows("mobile_follow", 200)
    _, infos = env.reset(seed=0)
    distance = infos["signals"]["person_distance"]
    assert distance.min() >= 0.9
    assert distance.max() <= 2.0
    assert infos["signals"]["clearance"].min() >= 0.15 - 1e-6
    assert (infos["signals"]["in_place_share"] == 0).all()


def frozen(env: UnityVectorEnv, distance: float, bearing: float) -> None:
    """Let nobody walk, and the base stand at a distance, looking past the person."""
    task = task_of(env)
    task.memory["person_legs"][:, :, 2] = 0.0
    task.memory["person_position"][:] = 0.0
    rows = len(task.memory["steps"])
    task.base.place(np.arange(rows), np.tile([-distance, 0.0, -bearing], (rows, 1)))


@pytest.mark.parametrize(
    ("distance", "bearing", "place"),
    [(1.25, 0.0, True), (1.01, 0.45, True), (1.49, -0.45, True), (0.97, 0.0, False), (1.53, 0.0, False),
     (1.25, 0.55, False), (1.25, 3.0, False)],
)  # fmt: skip
def test_in_place_is_a_matter_of_distance_and_bearing(distance: float, bearing: float, place: bool) -> None:
    env = make_rows("mobile_follow", 2)
    env.reset(seed=0)
    frozen(env, distance, bearing)
    *_, infos = env.step(np.zeros((2, 2), np.float32))
    assert (infos["signals"]["in_place"][:, 0] == place).all()
    assert (infos["signals"]["in_place_share"][:, 0] == place).all()


@pytest.mark.parametrize(("steps_in_place", "solved"), [(400, True), (399, False)])
def test_success_is_judged_in_the_last_step_by_the_share_in_place(steps_in_place: int, solved: bool) -> None:
    env = make_rows("mobile_follow", 2)
    env.reset(seed=0)
    frozen(env, 1.25, 0.0)
    for step in range(STEPS):
        if step == steps_in_place:
            frozen(env, 2.5, 0.0)
        _, rew, terminated, truncated, infos = env.step(np.zeros((2, 2), np.float32))
        assert not terminated.any()
        assert truncated.all() == (step == STEPS - 1)
        assert rew.any() == (solved and step == STEPS - 1)
    final = infos["final_info"]["signals"]
    assert (final["success"] == solved).all()
    np.testing.assert_allclose(final["in_place_share"][:, 0], steps_in_place / STEPS, rtol=1e-6)


def test_running_into_the_person_ends_the_episode_as_a_failure() -> None:
    env = make_rows("mobile_follow", 1)
    env.reset(seed=0)
    frozen(env, 1.2, 0.0)
    terminated = np.zeros(1, bool)
    steps = 0
    while not terminated[0]:
        _, _, terminated, truncated, infos = env.step(np.array([[0.8, 0.0]], np.float32))
        steps += 1
        assert not truncated[0]
    final = infos["final_info"]["signals"]
    assert (final["collision"][0, 0], final["success"][0, 0]) == (1, 0)
    assert final["person_distance"][0, 0] == pytest.approx(0.4, abs=0.03)
    assert 20 < steps < 60


def test_person_speed_is_a_parameter() -> None:
    sim = SimEnv("mobile_follow", 20, seed=0, threads=1, parameters={"person_speed": 0.3, "person_pause": 0.0})
    sim.reset()
    gaits = sim.task.memory["person_legs"][:, :, 2]
    assert 0.15 <= gaits.min() < 0.16
    assert 0.29 < gaits.max() <= 0.3
    assert (sim.task.memory["person_legs"][:, :, 3] == 0).all()
