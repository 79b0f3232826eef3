"""Robot description -> the mobile base in a MuJoCo scene."""

import mujoco

from unity_env.sim.description import MobileDescription

_CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
_BOX = mujoco.mjtGeom.mjGEOM_BOX
_ELLIPSOID = mujoco.mjtGeom.mjGEOM_ELLIPSOID
_SPHERE = mujoco.mjtGeom.mjGEOM_SPHERE
SIDES = ("left", "right")


def add_mobile(spec: mujoco.MjSpec, robot: MobileDescription) -> None:
    """Add the base, standing at the origin, with a velocity drive per wheel.

    The chassis collides as one cylinder, which holds the wheels; each wheel touches the ground as an ellipsoid,
    in one point; `<robot>/collision` senses whether the chassis touches anything.
    """
    chassis = robot.chassis
    base = spec.worldbody.add_body(
        name=f"{robot.name}/base",
        explicitinertial=True,
        mass=chassis.mass_kg,
        ipos=chassis.com_m,
        inertia=chassis.inertia_kg_m2,
    )
    base.add_freejoint(name=f"{robot.name}/base")
    _add_hull(base, robot)
    _add_tray(base, robot)
    _add_caster(base, robot)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        _add_wheel(spec, base, robot, f"{robot.name}/{side}_wheel", sign)
    spec.add_sensor(
        name=f"{robot.name}/collision",
        type=mujoco.mjtSensor.mjSENS_CONTACT,
        objtype=mujoco.mjtObj.mjOBJ_GEOM,
        objname=f"{robot.name}/hull",
        intprm=[1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND), 0, 1],
    )


def _add_hull(base: mujoco.MjsBody, robot: MobileDescription) -> None:
    chassis = robot.chassis
    bottom, top, radius = chassis.bottom_m, chassis.top_m, chassis.radius_m
    middle = robot.lidar.height_m
    base.add_geom(
        name=f"{robot.name}/hull",
        type=_CYLINDER,
        size=[radius, (top - bottom) / 2, 0],
        pos=[0, 0, (bottom + top) / 2],
        mass=0.0,
        group=3,
    )
    deck = 2.0 * robot.wheels.radius_m + 0.008
    rings = (  # from_m, to_m, share of the radius, material
        (bottom, deck, 0.66, "body"),
        (deck, deck + 0.008, 0.97, "accent"),
        (deck + 0.008, middle - 0.02, 0.985, "body"),
        (middle - 0.02, middle + 0.02, 0.90, "dark"),
        (middle + 0.02, top, 0.985, "body"),
    )
    for low, high, share, material in rings:
        size, pos = (radius * share, (high - low) / 2, 0.0), (0.0, 0.0, (low + high) / 2)
        _decorate(base, _CYLINDER, size, pos, material, castshadow=share < 0.98)
    _decorate(base, _BOX, (0.012, 0.05, 0.02), (radius * 0.66, 0.0, bottom + 0.06), "dark")


def _add_tray(base: mujoco.MjsBody, robot: MobileDescription) -> None:
    tray = robot.tray
    half, low, up = tray.half_width_m, tray.thickness_m / 2, tray.rim_m / 2
    surface = tray.top_m
    edge = half - low
    plates = [((half, half, low), (0.0, 0.0, surface - low), "accent")]
    for sign in (-1.0, 1.0):
        plates.append(((low, half, up), (sign * edge, 0.0, surface + up), "body"))
        plates.append(((half, low, up), (0.0, sign * edge, surface + up), "body"))
    for size, pos, material in plates:
        base.add_geom(type=_BOX, size=size, pos=pos, mass=0.0, material=material, castshadow=material == "body")
    post = (surface - tray.thickness_m - robot.chassis.top_m) / 2
    _decorate(base, _CYLINDER, (0.06, post, 0.0), (0.0, 0.0, robot.chassis.top_m + post), "dark")


def _add_caster(base: mujoco.MjsBody, robot: MobileDescription) -> None:
    caster = robot.caster
    base.add_geom(
        type=_SPHERE,
        size=[caster.radius_m, 0, 0],
        pos=[*caster.at_m, caster.radius_m],
        mass=0.0,
        material="dark",
        condim=1,
        priority=1,
    )
    post = (2.0 * robot.wheels.radius_m - caster.radius_m) / 2
    _decorate(base, _CYLINDER, (caster.radius_m / 2, post, 0.0), (*caster.at_m, caster.radius_m + post), "dark")


def _add_wheel(spec: mujoco.MjSpec, base: mujoco.MjsBody, robot: MobileDescription, name: str, sign: float) -> None:
    wheels = robot.wheels
    drive = wheels.drive
    body = base.add_body(
        name=name,
        pos=[0, sign * wheels.track_m / 2, wheels.radius_m],
        explicitinertial=True,
        mass=wheels.mass_kg,
        ipos=[0, 0, 0],
        inertia=wheels.inertia_kg_m2,
    )
    body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 1, 0], armature=wheels.armature_kg_m2)
    half = wheels.width_m / 2
    body.add_geom(
        type=_ELLIPSOID,
        size=[wheels.radius_m, half, wheels.radius_m],
        mass=0.0,
        friction=[wheels.friction, 0.0, 0.0],
        condim=3,
        priority=1,
        group=3,
    )
    for radius, width, material in ((1.0, 1.0, "dark"), (0.6, 1.08, "body"), (0.18, 1.16, "accent")):
        tyre = body.add_geom(
            type=_CYLINDER,
            fromto=[0, -half * width, 0, 0, half * width, 0],
            size=[wheels.radius_m * radius, 0, 0],
            mass=0.0,
            material=material,
            contype=0,
            conaffinity=0,
        )
        tyre.group = 0
    limit = robot.max_wheel_velocity_rad_s
    actuator = spec.add_actuator(
        name=name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        target=name,
        ctrlrange=(-limit, limit),
        forcerange=(-drive.torque_limit_nm, drive.torque_limit_nm),
    )
    actuator.set_to_velocity(kv=drive.damping_nm_s_per_rad)


def _decorate(
    body: mujoco.MjsBody,
    shape: mujoco.mjtGeom,
    size: tuple[float, float, float],
    pos: tuple[float, float, float],
    material: str,
    *,
    castshadow: bool = True,
) -> None:
    """Add what is only seen; large flat tops cast no shadow, which would fall on themselves: its map is coarse."""
    body.add_geom(
        type=shape, size=size, pos=pos, mass=0.0, material=material, contype=0, conaffinity=0, castshadow=castshadow
    )
