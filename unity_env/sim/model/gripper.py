"""Robot description -> the arm's moving fingers, and what they feel."""

import mujoco
import numpy as np

from unity_env.sim.description import ArmDescription
from unity_env.sim.description.arm import Gripper
from unity_env.sim.description.common import Shape, Vec3
from unity_env.sim.model.scene import add_shape

FINGERS = {"finger_left": 1.0, "finger_right": -1.0}  # which way along the gripper's axis each opens


def add_gripper(spec: mujoco.MjSpec, hand: mujoco.MjsBody, robot: ArmDescription) -> None:
    """Add two fingers to the last link, with one position drive that moves both by the same way.

    The drive pulls at the mean of the two joints, an equality keeps them together as a gear does.
    """
    gripper, name = robot.gripper, robot.name
    fingers = [f"{name}/{finger}" for finger in FINGERS]
    for finger, side in zip(fingers, FINGERS.values(), strict=True):
        _add_finger(hand, gripper, finger, side)
        hand.mass -= gripper.finger.mass_kg
        for link in (robot.joints[-2].name, robot.joints[-1].name):
            spec.add_exclude(bodyname1=finger, bodyname2=f"{name}/{link}")
    spec.option.impratio = 10.0  # a tenth of the creep of held things
    left, right = fingers
    spec.add_exclude(bodyname1=left, bodyname2=right)  # the joints' ends stop them
    gear = spec.add_equality(name=f"{name}/gripper", type=mujoco.mjtEq.mjEQ_JOINT, name1=left, name2=right)
    gear.data[:5] = [0.0, 1.0, 0.0, 0.0, 0.0]
    tendon = spec.add_tendon(name=f"{name}/gripper")
    for finger in fingers:
        tendon.wrap_joint(finger, 0.5)
    drive = gripper.drive
    actuator = spec.add_actuator(
        name=f"{name}/gripper",
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target=f"{name}/gripper",
        ctrlrange=(0.0, gripper.stroke_m),
        forcerange=(-2.0 * drive.force_limit_n, 2.0 * drive.force_limit_n),
    )
    actuator.set_to_position(kp=2.0 * drive.stiffness_n_per_m, kv=2.0 * drive.damping_n_s_per_m)


def add_finger_sensors(spec: mujoco.MjSpec, robot: ArmDescription, body: str) -> None:
    """Measure the net force between each finger and a body, world frame, N: sensors <robot>/<finger>."""
    for finger in FINGERS:
        spec.add_sensor(
            name=f"{robot.name}/{finger}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=f"{robot.name}/{finger}",
            reftype=mujoco.mjtObj.mjOBJ_BODY,
            refname=body,
            intprm=[1 << mujoco.mjtConDataField.mjCONDATA_FORCE.value, 3, 1],  # the force; summed up; one slot
        )


def _add_finger(hand: mujoco.MjsBody, gripper: Gripper, name: str, side: float) -> None:
    link, axis = gripper.finger, np.array(gripper.axis)
    body = hand.add_body(
        name=name,
        explicitinertial=True,
        mass=link.mass_kg,
        ipos=_mirrored(link.com_m, axis, side),
        inertia=link.inertia_kg_m2,
        gravcomp=1.0,
    )
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=side * axis,
        range=(0.0, gripper.stroke_m),
        armature=gripper.armature_kg,
    )
    sliding, torsional = gripper.pad_friction
    for shape in link.shapes:
        ends = {"from_m": _mirrored(shape.from_m, axis, side), "to_m": _mirrored(shape.to_m, axis, side)}
        geom = add_shape(body, Shape(**{**shape.model_dump(), **ends}))
        geom.friction = [sliding, torsional, 0.0001]
        geom.condim, geom.priority = 4, 1


def _mirrored(point: Vec3, axis: np.ndarray, side: float) -> Vec3:
    """Return a point of the left finger, or its mirror image at the plane between the fingers."""
    if side > 0:
        return point
    x, y, z = np.array(point) - 2.0 * np.dot(point, axis) * axis
    return float(x), float(y), float(z)
