"""A person who walks about: to one random waypoint after another, with pauses, each leg at its own gait."""

import cmath
import math
from dataclasses import dataclass

import numpy as np

from unity_env.sim.plane import TINY, to_complex

Array = np.ndarray
LEGS = 48
_ARRIVED_M = 0.3


@dataclass(frozen=True)
class Gait:
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
        self._largest_turn = cmath.rect(1.0, min(gait.turn_rate_rad_s * dt_s, math.pi))
        self.memory: dict[str, Array] = {
            "person_position": np.zeros((num_rows, 2)),
            "person_ahead": np.zeros((num_rows, 2)),
            "person_velocity": np.zeros((num_rows, 2)),
            "person_speed": np.zeros(num_rows),
            "person_leg": np.zeros(num_rows, dtype=np.int64),
            "person_pause_s": np.zeros(num_rows),
            "person_legs": np.zeros((num_rows, LEGS, 4)),  # x, y, m; gait, m/s; pause at its end, s
        }
        self.position, self.ahead, self.velocity = (
            to_complex(self.memory[f"person_{name}"]) for name in ("position", "ahead", "velocity")
        )
        self._speed: Array = self.memory["person_speed"]
        self._leg: Array = self.memory["person_leg"]
        self._pause: Array = self.memory["person_pause_s"]
        self._legs: Array = self.memory["person_legs"]
        self._rows = np.arange(num_rows)

    def start(self, row: int, rng: np.random.Generator, fastest_m_s: float, pause_chance: float) -> None:
        """Let a person stand somewhere, about to walk: all of the walk is drawn here."""
        gait = self._gait
        u = rng.random((LEGS, 5))
        legs = self._legs[row]
        legs[:, :2] = (2.0 * u[:, :2] - 1.0) * gait.room_half_width_m
        legs[:, 2] = fastest_m_s * (gait.slowest + (1.0 - gait.slowest) * u[:, 2])
        shortest, longest = gait.pause_s
        legs[:, 3] = (shortest + (longest - shortest) * u[:, 3]) * (u[:, 4] < pause_chance)
        self.position[row] = complex(*legs[-1, :2])
        self.ahead[row] = cmath.rect(1.0, rng.uniform(-math.pi, math.pi))
        self.velocity[row] = self._speed[row] = self._pause[row] = self._leg[row] = 0

    def step(self, others: Array) -> None:
        """Walk for one time step.

        Args:
            others: where somebody stands whom the person does not walk into, (num_rows,) complex, m.
        """
        gait, dt = self._gait, self._dt_s
        leg = self._legs[self._rows, self._leg]
        offset = np.empty((2, len(leg)), np.complex128)
        np.subtract(to_complex(leg[:, :2]), self.position, out=offset[0])
        np.subtract(others, self.position, out=offset[1])
        distance = np.abs(offset)
        towards = offset / np.maximum(distance, TINY)
        direction = towards * self.ahead.conj()
        arrived = distance[0] < _ARRIVED_M
        self._pause[:] = np.where(arrived, leg[:, 3], np.maximum(self._pause - dt, 0.0))
        self._leg += arrived
        self._leg %= LEGS
        walking = (self._pause == 0.0) & ~arrived
        np.copyto(self.ahead, self._turned(towards[0], direction[0]), where=walking)
        wanted = leg[:, 2] * np.maximum(direction[0].real, 0.0) * walking * self._free_way(distance[1], direction[1])
        self._speed += _limited(wanted - self._speed, gait.acceleration_m_s2 * dt)
        np.multiply(self._speed, self.ahead, out=self.velocity)
        self.position += self.velocity * dt

    def _turned(self, towards: Array, direction: Array) -> Array:
        """Return where the people look after turning as far as they can towards their goals."""
        turn = np.where(direction.imag < 0.0, self._largest_turn.conjugate(), self._largest_turn)
        turned: Array = np.where(direction.real < self._largest_turn.real, self.ahead * turn, towards)
        return turned

    def _free_way(self, distance: Array, direction: Array) -> Array:
        """Return what is left of the gait before somebody in the way, (num_rows,) in [0, 1]."""
        stop, slow = self._gait.yield_m
        free: Array = np.minimum(np.maximum((distance - stop) / (slow - stop), 0.0), 1.0)
        free[direction.real <= 0.0] = 1.0  # behind the person
        return free


def _limited(change: Array, most: float) -> Array:
    limited: Array = np.minimum(np.maximum(change, -most), most)
    return limited
