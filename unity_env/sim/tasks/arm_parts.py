"""What tasks of an arm with moving fingers have in common: its state in a batch of scenes, read and written."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mujoco.batch import Batch

from unity_env.sim.description import ArmDescription
from unity_env.sim.model.gripper import FINGERS
from unity_env.sim.tasks.task import Rows

Array = np.ndarray


class ArmInScene:
    """The arm in every row's scene, whatever else stands there.

    Args:
        robot: the arm; it commands its joints and its gripper.
        batch: whose models were built with `add_arm(..., grips=True)` and `add_finger_sensors`.

    Attributes:
        origin: of the frame of the arm's base in the room, which is not turned, (3,), m.
    """

    def __init__(self, robot: ArmDescription, batch: Batch) -> None:
        self.robot = robot
        model, name = batch.get_model(0), self.robot.name
        joints = [f"{name}/{joint.name}" for joint in self.robot.joints]
        fingers = [f"{name}/{finger}" for finger in FINGERS]
        self.qpos = _run([model.joint(joint).qposadr[0] for joint in joints])
        self.qvel = _run([model.joint(joint).dofadr[0] for joint in joints])
        self.finger_qpos = _run([model.joint(finger).qposadr[0] for finger in fingers])
        self._drives = _run([model.actuator(actuator).id for actuator in [*joints, f"{name}/gripper"]])
        self._sensed = _run([model.sensor(finger).adr[0] + i for finger in fingers for i in range(3)])
        self.origin = np.array(model.body(f"{name}/base").pos)
        self._pos, self._vel, self._control = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
        self._torque, self._sensors = batch.bind("qfrc_actuator"), batch.bind("sensordata")
        tip = model.site(f"{name}/tool_tip").id
        self._tip_pos, self._tip_mat = batch.bind("site_xpos")[:, tip], batch.bind("site_xmat")[:, tip]
        self._force_range = robot.components["finger_force"].limit
        gripper = self.robot.gripper
        self._scale = np.append(self.robot.joint_array("max_velocity_rad_s"), gripper.stroke_m / 2.0)
        self._offset = np.append(np.zeros(len(joints)), gripper.stroke_m / 2.0)
        self._axis, self._inwards = np.array(gripper.axis), np.array([-side for side in FINGERS.values()])

    def start(self, rows: Array, joint_pos: Array) -> None:
        """Let rows start at rest, (rows, joints) rad, with the gripper open."""
        self._pos[rows, self.qpos] = joint_pos
        self._pos[rows, self.finger_qpos] = self.robot.gripper.stroke_m
        self._control[rows, self._drives] = self._offset * 2.0

    def act(self, command: Array) -> None:
        """Turn commands in [-1, 1], (num_rows, joints + 1), into joint velocities and a finger position."""
        self._control[:, self._drives] = command * self._scale + self._offset

    def hand(self, rows: Rows) -> "Hand":
        """Measure the hand."""
        rotation = self._tip_mat[rows].reshape(-1, 3, 3)
        axis, contact = rotation @ self._axis, self._sensors[rows, self._sensed]
        pressing = (contact.reshape(-1, 2, 3) @ axis[:, :, None])[:, :, 0] * self._inwards
        least, most = self._force_range
        return Hand(
            pos=self._tip_pos[rows] - self.origin,
            rotation=rotation,
            axis=axis,
            touches=np.vecdot(contact, contact) > 0.0,
            pressing=np.minimum(np.maximum(pressing, least), most),
        )

    def components(self, rows: Rows, hand: "Hand") -> dict[str, Array]:
        """Measure the arm itself: component name -> (rows, size)."""
        fingers = self._pos[rows, self.finger_qpos]
        return {
            "joint_pos": self._pos[rows, self.qpos],
            "joint_vel": self._vel[rows, self.qvel],
            "joint_torque": self._torque[rows, self.qvel],
            "tool_pos": hand.pos,
            "tool_axis": hand.rotation[:, :, 2],
            "tool_down": -hand.rotation[:, 2, 2:],
            "finger_opening": fingers[:, :1] + fingers[:, 1:],
            "finger_force": hand.pressing,
        }


class Hand(NamedTuple):
    """A gripper's state in some rows.

    Attributes:
        pos: of the tool tip, in the frame of the arm's base, (rows, 3), m.
        rotation: the tool's axes as columns, (rows, 3, 3).
        axis: along which the fingers move, in the room, (rows, 3).
        touches: whether a finger touches the sensed body, (rows,) bool.
        pressing: how hard each finger presses inwards, within its range, (rows, 2), N.
    """

    pos: Array
    rotation: Array
    axis: Array
    touches: Array
    pressing: Array


def _run(indices: Sequence[int]) -> slice:
    """Return consecutive indices as a slice: reading one copies nothing."""
    first = int(indices[0])
    assert list(indices) == list(range(first, first + len(indices)))
    return slice(first, first + len(indices))
