"""The mobile robot in a batch: its state, its wheels, what it measures of itself, its lidar."""

import numpy as np
from mujoco.batch import Batch

from unity_env.sim.description import MobileDescription
from unity_env.sim.lidar import clearance, scan
from unity_env.sim.model.mobile import SIDES
from unity_env.sim.plane import to_complex, to_xy
from unity_env.sim.tasks.task import Rows

Array = np.ndarray


class MobileBase:
    """A mobile robot in every row of a batch whose model has one (`unity_env.sim.model.mobile.add_mobile`).

    Args:
        batch: the simulations.
        robot: the robot's description.
    """

    def __init__(self, batch: Batch, robot: MobileDescription) -> None:
        model = batch.get_model(0)
        self.robot = robot
        root = model.joint(f"{robot.name}/base")
        wheels = [model.joint(f"{robot.name}/{side}_wheel") for side in SIDES]
        self._qpos, self._qvel, self._ctrl = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
        self._force, self._sensors = batch.bind("actuator_force"), batch.bind("sensordata")
        self._pose, self._twist = int(root.qposadr[0]), int(root.dofadr[0])
        first, second = (int(wheel.dofadr[0]) for wheel in wheels)
        assert second == first + 1
        self._wheels = slice(first, first + 2)
        drive = model.actuator(f"{robot.name}/{SIDES[0]}_wheel").id
        self._drives = slice(drive, drive + 2)
        self._bumper = int(model.sensor(f"{robot.name}/collision").adr[0])
        self._command_to_wheels = robot.action_scale("velocity_target")[:, None] * robot.wheel_map
        self._rays = np.stack([np.cos(robot.ray_angles_rad), np.sin(robot.ray_angles_rad)], axis=1)

    def place(self, rows: Array, starts: Array) -> None:
        """Let the base stand still on the floor.

        Args:
            rows: which, (n,).
            starts: x, y and yaw, (n, 3), m and rad.
        """
        pose, yaw = self._pose, starts[:, 2]
        self._qpos[rows, pose : pose + 2] = starts[:, :2]
        self._qpos[rows, pose + 3] = np.cos(yaw / 2.0)
        self._qpos[rows, pose + 6] = np.sin(yaw / 2.0)

    def act(self, command: Array) -> None:
        """Turn forward and yaw velocity, fractions of their maxima, (N, 2), into wheel velocities."""
        np.matmul(command, self._command_to_wheels, out=self._ctrl[:, self._drives])

    def position(self, rows: Rows) -> Array:
        """Return where the base stands, (n, 2), m."""
        position: Array = self._qpos[rows, self._pose : self._pose + 2]
        return position

    def heading(self, rows: Rows) -> Array:
        """Return cosine and sine of the base's yaw, (n, 2)."""
        turn = self._qpos[rows, self._pose + 3 : self._pose + 7]  # the quaternion w, x, y, z
        ahead = np.square(turn[:, 0] + 1j * turn[:, 3]) + np.square(to_complex(turn[:, 1:3]))
        return to_xy(ahead / np.abs(ahead))

    def velocity(self, rows: Rows, heading: Array) -> Array:
        """Return forward and sideways velocity, (n, 2), m/s."""
        return turned_back(self._qvel[rows, self._twist : self._twist + 2], heading)

    def speed_squared(self) -> Array:
        """Return the square of the velocity over the ground, (N,), m^2/s^2."""
        velocity = self._qvel[:, self._twist : self._twist + 2]
        squared: Array = np.einsum("ij,ij->i", velocity, velocity)
        return squared

    def collided(self) -> Array:
        """Tell where the chassis touches something, (N,) bool."""
        touched: Array = self._sensors[:, self._bumper] > 0.0
        return touched

    def own_components(self, rows: Rows, heading: Array) -> dict[str, Array]:
        """Measure the components that need nothing but the robot itself."""
        velocity = self.velocity(rows, heading)
        return {
            "position": self.position(rows),
            "heading": heading,
            "forward_velocity": velocity[:, :1],
            "sideways_velocity": velocity[:, 1:],
            "yaw_velocity": self._qvel[rows, self._twist + 5, None],
            "wheel_velocity": self._qvel[rows, self._wheels],
            "wheel_torque": self._force[rows, self._drives],
        }

    def room_components(self, position: Array, heading: Array, circles: Array, half_width_m: float) -> dict[str, Array]:
        """Measure lidar, nearness and clearance in a square room; arguments as in `unity_env.sim.lidar.scan`."""
        radius = self.robot.chassis.radius_m
        ranges = scan(position, heading, self._rays, circles, half_width_m)
        lidar = np.minimum(ranges, self.robot.lidar.max_range_m)
        free = clearance(position, circles, half_width_m) - radius
        return {"lidar": lidar, "nearness": radius / lidar, "clearance": free[:, None]}


def turned_back(vector: Array, heading: Array) -> Array:
    """Express vectors of the room, (n, 2), in frames of the given headings, cosine and sine, (n, 2)."""
    return to_xy(to_complex(vector) * to_complex(heading).conj())


def polar(offset: Array, heading: Array) -> tuple[Array, Array]:
    """Return distance, (n, 1), m, and direction in the base frame, cosine and sine, (n, 2), of points.

    Args:
        offset: from the base, in the room's frame, (n, 2), m.
        heading: of the base, (n, 2).
    """
    away = to_complex(offset)
    distance = np.abs(away)
    direction = away * to_complex(heading).conj() / np.maximum(distance, 1e-9)
    return distance[:, None], to_xy(direction)
