"""The mobile robot in a batch: its state, its wheels, what it measures of itself, its lidar."""

import numpy as np
from mujoco.batch import Batch

from unity_env.sim.description import MobileDescription
from unity_env.sim.lidar import clearance, scan
from unity_env.sim.model.mobile import SIDES
from unity_env.sim.plane import polar, to_complex, to_xy
from unity_env.sim.tasks.task import Rows

Array = np.ndarray


class MobileBase:
    """A mobile robot in every row of a batch whose model has one (`unity_env.sim.model.mobile.add_mobile`).

    Args:
        batch: the simulations.
        robot: the robot's description.

    Attributes:
        position: where it stands, (num_rows,) complex, m; lives with the batch.
        velocity: over the ground, in the room's frame, (num_rows,) complex, m/s; likewise.
    """

    def __init__(self, batch: Batch, robot: MobileDescription) -> None:
        model = batch.get_model(0)
        self.robot = robot
        self._rays = np.exp(1j * robot.ray_angles_rad)
        qpos, qvel, control = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
        root = model.joint(f"{robot.name}/base")
        pose, twist = int(root.qposadr[0]), int(root.dofadr[0])
        self._pose = qpos[:, pose : pose + 7]
        self._quat = self._pose[:, 3:].view(np.complex128)  # w + ix, y + iz
        self._xy, self._yaw_velocity = qpos[:, pose : pose + 2], qvel[:, twist + 5 : twist + 6]
        self.position, self.velocity = to_complex(self._xy), to_complex(qvel[:, twist : twist + 2])
        first, second = (int(model.joint(f"{robot.name}/{side}_wheel").dofadr[0]) for side in SIDES)
        assert second == first + 1
        self._wheel_velocity = qvel[:, first : first + 2]
        drive = model.actuator(f"{robot.name}/{SIDES[0]}_wheel").id
        self._control, self._torque = control[:, drive : drive + 2], batch.bind("actuator_force")[:, drive : drive + 2]
        self._bumper = batch.bind("sensordata")[:, int(model.sensor(f"{robot.name}/collision").adr[0])]
        self._command_to_wheels = robot.action_scale("velocity_target")[:, None] * robot.wheel_map

    def place(self, rows: Array, starts: Array) -> None:
        """Let the base stand still on the floor.

        Args:
            rows: which, (n,).
            starts: x, y and yaw, (n, 3), m and rad.
        """
        half_yaw = starts[:, 2] / 2.0
        self._xy[rows] = starts[:, :2]
        self._pose[rows, 3] = np.cos(half_yaw)
        self._pose[rows, 6] = np.sin(half_yaw)

    def act(self, command: Array) -> None:
        """Turn forward and yaw velocity, fractions of their maxima, (N, 2), into wheel velocities."""
        np.matmul(command, self._command_to_wheels, out=self._control)

    def heading(self, rows: Rows) -> Array:
        """Return the direction of the base's x axis on the floor, unit complex numbers, (n,)."""
        w_x, y_z = self._quat[rows, 0], self._quat[rows, 1].conj()
        ahead = (w_x - y_z) * (w_x + y_z).conj()  # w^2 + x^2 - y^2 - z^2 + 2i (w z + x y)
        heading: Array = ahead / np.abs(ahead)
        return heading

    def collided(self) -> Array:
        """Tell where the chassis touches something, (N,) bool."""
        touched: Array = self._bumper > 0.0
        return touched

    def own_components(self, rows: Rows, heading: Array) -> dict[str, Array]:
        """Measure the components that need nothing but the robot itself."""
        velocity = to_xy(self.velocity[rows] * heading.conj())
        return {
            "position": self._xy[rows],
            "heading": to_xy(heading),
            "forward_velocity": velocity[:, :1],
            "sideways_velocity": velocity[:, 1:],
            "yaw_velocity": self._yaw_velocity[rows],
            "wheel_velocity": self._wheel_velocity[rows],
            "wheel_torque": self._torque[rows],
        }

    def room_components(
        self, rows: Rows, heading: Array, centres: Array, radii: Array, half_width_m: float
    ) -> dict[str, Array]:
        """Measure lidar, nearness and clearance in a square room; arguments as in `unity_env.sim.lidar.scan`."""
        position, radius = np.ascontiguousarray(self.position[rows]), self.robot.chassis.radius_m
        centres = np.ascontiguousarray(centres)
        ranges = scan(position, heading, self._rays, centres, radii, half_width_m)
        lidar = np.minimum(ranges, self.robot.lidar.max_range_m)
        free = clearance(position, centres, radii, half_width_m) - radius
        return {"lidar": lidar, "nearness": radius / lidar, "clearance": free[:, None]}

    def components_of(self, name: str, place: Array | complex, rows: Rows, heading: Array) -> dict[str, Array]:
        """Measure distance, direction and bearing of somewhere: of `goal`, say, as goal_distance and so on.

        Args:
            name: of what is there.
            place: where, (n,) complex or the same for all, m.
            rows: the bases'.
            heading: theirs.
        """
        distance, direction = polar(place - self.position[rows], heading)
        return {
            f"{name}_distance": distance[:, None],
            f"{name}_direction": to_xy(direction),
            f"{name}_bearing": np.arctan2(direction.imag, direction.real)[:, None],
        }
