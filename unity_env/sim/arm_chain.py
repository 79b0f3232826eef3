"""Where the tool tip of an arm is, by its joints alone: what the physics knows after one more stage of a step."""

import math

import numpy as np

from unity_env.sim.compiled import compiled
from unity_env.sim.description import ArmDescription

Array = np.ndarray
Point = tuple[float, float, float]


class ArmChain:
    """The hinge joints of an arm, one upon the other.

    Args:
        robot: the arm.
    """

    def __init__(self, robot: ArmDescription) -> None:
        self._origins = np.array([joint.origin_m for joint in robot.joints])
        axes = np.array([joint.axis for joint in robot.joints])
        self._axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        self._tool_tip = np.array(robot.tool_tip_m)

    def tool_tips(self, joint_pos: Array) -> Array:
        """Return where the tool tips are, (N, 3), m, in the frame of the arm's base.

        Args:
            joint_pos: (N, joints), rad.
        """
        return _tool_tips(np.ascontiguousarray(joint_pos), self._origins, self._axes, self._tool_tip)


@compiled
def _tool_tips(joint_pos: Array, origins: Array, axes: Array, tool_tip: Array) -> Array:
    assert joint_pos.shape[1] == len(origins)
    tips = np.empty((len(joint_pos), 3))
    for row in range(len(joint_pos)):
        point = (tool_tip[0], tool_tip[1], tool_tip[2])
        for joint in range(len(origins) - 1, -1, -1):
            x, y, z = _turned(point, axes[joint], joint_pos[row, joint])
            point = (x + origins[joint, 0], y + origins[joint, 1], z + origins[joint, 2])
        tips[row, 0], tips[row, 1], tips[row, 2] = point
    return tips


@compiled
def _turned(point: Point, axis: Array, angle: float) -> Point:
    """Turn a point about a unit axis by Rodrigues' formula: p cos + (a x p) sin + a (a p) (1 - cos)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    (x, y, z), (a, b, c) = point, (axis[0], axis[1], axis[2])
    along = (a * x + b * y + c * z) * (1.0 - cosine)
    return (
        x * cosine + (b * z - c * y) * sine + a * along,
        y * cosine + (c * x - a * z) * sine + b * along,
        z * cosine + (a * y - b * x) * sine + c * along,
    )
