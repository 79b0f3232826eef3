"""A person who walks about: to one random waypoint after another, with pauses, each leg at its own gait."""

import cmath
import math
from typing import NamedTuple

import numpy as np

from unity_env.sim.compiled import compiled
from unity_env.sim.plane import to_complex

Array = np.ndarray
LEGS = 48
ARRIVED_M = 0.3


class Gait(NamedTuple):
    """How a person moves.

    Attributes:
        room_half_width_m: waypoints lie within this distance of the room's middle, in x and y.
        slowest: the slowest leg's speed, as a fraction of the fastest's.
        turn_rate_rad_s: largest.
        acceleration_m_s2: largest, also of slowing down.
        pause_s: shortest and longest pause.
        yield_m: somebody in the way is not walked into: distances at which the person stops, and slows down.
    """

    room_half_width_m: float
    slowest: float
    turn_rate_rad_s: float
    acceleration_m_s2: float
    pause_s: tuple[float, float]
    yield_m: tuple[float, float]


class People(NamedTuple):
    """Where a person in every row stands, and what the next steps depend on.

    Attributes:
        position: (N,) complex, m.
        ahead: where they look, unit complex numbers, (N,).
        velocity: over the ground, (N,) complex, m/s.
        speed: its amount, (N,), m/s.
        pause_s: how long they will go on standing, (N,).
        leg: of their ways, (N,) int.
        legs: all of them: x, y, m; gait, m/s; pause at its end, s; (N, LEGS, 4).
    """

    position: Array
    ahead: Array
    velocity: Array
    speed: Array
    pause_s: Array
    leg: Array
    legs: Array


class Walkers:
    """A person in every row.

    Args:
        num_rows: how many.
        gait: how they move.
        dt_s: time between two steps.

    Attributes:
        memory: all that the next steps depend on, name -> (num_rows, ...).
        position: where they stand, (num_rows,) complex, m; a view of the memory, as the next two are.
        ahead: where they look, unit complex numbers, (num_rows,).
        velocity: over the ground, (num_rows,) complex, m/s.
    """

    def __init__(self, num_rows: int, gait: Gait, dt_s: float) -> None:
        self._gait, self._dt_s = gait, dt_s
        self.memory: dict[str, Array] = {
            "person_position": np.zeros((num_rows, 2)),
            "person_ahead": np.zeros((num_rows, 2)),
            "person_velocity": np.zeros((num_rows, 2)),
            "person_speed": np.zeros(num_rows),
            "person_leg": np.zeros(num_rows, dtype=np.int64),
            "person_pause_s": np.zeros(num_rows),
            "person_legs": np.zeros((num_rows, LEGS, 4)),  # x, y, m; gait, m/s; pause at its end, s
        }
        moving = (to_complex(self.memory[f"person_{name}"]) for name in ("position", "ahead", "velocity"))
        numbers = (self.memory[f"person_{name}"] for name in ("speed", "pause_s", "leg", "legs"))
        self._people = People(*moving, *numbers)
        self.position, self.ahead, self.velocity = self._people[:3]

    def start(self, row: int, rng: np.random.Generator, fastest_m_s: float, pause_chance: float) -> None:
        """Let a person stand somewhere, about to walk: all of the walk is drawn here."""
        gait, people = self._gait, self._people
        u = rng.random((LEGS, 5))
        legs = people.legs[row]
        legs[:, :2] = (2.0 * u[:, :2] - 1.0) * gait.room_half_width_m
        legs[:, 2] = fastest_m_s * (gait.slowest + (1.0 - gait.slowest) * u[:, 2])
        shortest, longest = gait.pause_s
        legs[:, 3] = (shortest + (longest - shortest) * u[:, 3]) * (u[:, 4] < pause_chance)
        people.position[row] = complex(*legs[-1, :2])
        people.ahead[row] = cmath.rect(1.0, rng.uniform(-math.pi, math.pi))
        people.velocity[row] = people.speed[row] = people.pause_s[row] = people.leg[row] = 0

    def step(self, others: Array) -> None:
        """Walk for one time step.

        Args:
            others: where somebody stands whom the person does not walk into, (num_rows,) complex, m.
        """
        _walk(self._people, np.ascontiguousarray(others), self._gait, self._dt_s)


@compiled
def _walk(people: People, others: Array, gait: Gait, dt_s: float) -> None:
    assert len(others) == len(people.position)
    for row in range(len(others)):
        leg = people.legs[row, people.leg[row]]
        offset = complex(leg[0], leg[1]) - people.position[row]
        wanted = 0.0
        if abs(offset) < ARRIVED_M:
            people.leg[row] = (people.leg[row] + 1) % LEGS
            people.pause_s[row] = leg[3]
        elif people.pause_s[row] > dt_s:
            people.pause_s[row] -= dt_s
        else:
            people.pause_s[row] = 0.0
            direction = offset / abs(offset) * people.ahead[row].conjugate()
            turn = _limited(cmath.phase(direction), gait.turn_rate_rad_s * dt_s)
            people.ahead[row] *= cmath.rect(1.0, turn)
            free_way = _free_way((others[row] - people.position[row]) * people.ahead[row].conjugate(), gait)
            wanted = leg[2] * max(direction.real, 0.0) * free_way
        people.speed[row] += _limited(wanted - people.speed[row], gait.acceleration_m_s2 * dt_s)
        people.velocity[row] = people.speed[row] * people.ahead[row]
        people.position[row] += people.velocity[row] * dt_s


@compiled
def _free_way(other: complex, gait: Gait) -> float:
    """Return what is left of the gait before somebody, m as the person sees them, in [0, 1]."""
    if other.real <= 0.0:
        return 1.0  # behind the person
    stop, slow = gait.yield_m
    return min(max((abs(other) - stop) / (slow - stop), 0.0), 1.0)


@compiled
def _limited(change: float, most: float) -> float:
    return min(max(change, -most), most)
