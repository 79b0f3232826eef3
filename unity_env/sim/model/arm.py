"""Robot description -> the arm in a MuJoCo scene."""

from itertools import pairwise

import mujoco

from unity_env.sim.description import ArmDescription
from unity_env.sim.description.arm import Joint
from unity_env.sim.model.gripper import add_gripper
from unity_env.sim.model.scene import add_shape


def add_arm(
    spec: mujoco.MjSpec,
    robot: ArmDescription,
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    grips: bool = False,
) -> None:
    """Add the arm with its base at `at`, m, and one velocity drive per joint.

    Links are weightless to the drives (gravity compensation, as a cobot's controller does it), so that a
    velocity target of zero holds the pose.

    Args:
        spec: the scene.
        robot: what to add.
        at: of the base's frame, m.
        grips: the fingers move; else they are closed and rigid.
    """
    base = spec.worldbody.add_body(name=f"{robot.name}/base", pos=at)
    for shape in robot.base.shapes:
        add_shape(base, shape)
    body = base
    for joint in robot.joints:
        body = _add_joint(spec, body, joint, f"{robot.name}/{joint.name}")
    for shape in robot.gripper.palm_shapes if grips else robot.gripper.closed_shapes:
        add_shape(body, shape)
    name = f"{robot.name}/tool_tip"
    body.add_site(name=name, pos=robot.tool_tip_m, size=[0.008] * 3, rgba=(0.95, 0.55, 0.1, 0 if grips else 1))
    for previous, following in _touching(robot):
        spec.add_exclude(bodyname1=f"{robot.name}/{previous}", bodyname2=f"{robot.name}/{following}")
    if grips:
        add_gripper(spec, body, robot)


def _add_joint(spec: mujoco.MjSpec, parent: mujoco.MjsBody, joint: Joint, name: str) -> mujoco.MjsBody:
    link = joint.link
    body = parent.add_body(
        name=name,
        pos=joint.origin_m,
        explicitinertial=True,
        mass=link.mass_kg,
        ipos=link.com_m,
        inertia=link.inertia_kg_m2,
        gravcomp=1.0,
    )
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        range=joint.range_rad,
        armature=joint.armature_kg_m2,
    )
    for shape in link.shapes:
        add_shape(body, shape)
    actuator = spec.add_actuator(
        name=name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        target=name,
        ctrlrange=(-joint.max_velocity_rad_s, joint.max_velocity_rad_s),
        forcerange=(-joint.drive.torque_limit_nm, joint.drive.torque_limit_nm),
    )
    actuator.set_to_velocity(kv=joint.drive.damping_nm_s_per_rad)
    return body


def _touching(robot: ArmDescription) -> list[tuple[str, str]]:
    """Pairs of links that overlap by construction: neighbours, and neighbours but one at the wrist."""
    names = ["base", *(joint.name for joint in robot.joints)]
    return [*pairwise(names), *zip(names, names[2:], strict=False)]
