"""Robot description -> MuJoCo model."""

from itertools import pairwise

import mujoco

from unity_env.sim.description import Joint, RobotDescription, Shape

_RGBA = {
    "body": (0.93, 0.94, 0.95, 1.0),
    "accent": (0.10, 0.47, 0.78, 1.0),
    "dark": (0.16, 0.18, 0.21, 1.0),
}
_GEOM_TYPE = {
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
}


def build_arm(description: RobotDescription) -> mujoco.MjSpec:
    """Build the arm on its table, with one velocity drive per joint and a `goal` marker.

    Links are weightless to the drives (gravity compensation, as a cobot's controller does it), so that a
    velocity target of zero holds the pose.
    """
    spec = mujoco.MjSpec()
    spec.modelname = description.name
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    spec.option.timestep = description.control.timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations = 10
    spec.option.ls_iterations = 10
    _add_table(spec)
    _add_materials(spec)
    base = spec.worldbody.add_body(name="base")
    for shape in description.base.shapes:
        _add_shape(base, shape)
    body = base
    for joint in description.joints:
        body = _add_joint(spec, body, joint)
    body.add_site(name="tool_tip", pos=description.tool_tip_m, size=[0.008] * 3, rgba=(0.95, 0.55, 0.1, 1))
    for previous, following in _touching(description):
        spec.add_exclude(bodyname1=previous, bodyname2=following)
    goal = spec.worldbody.add_body(name="goal", mocap=True)
    goal.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.02, 0, 0], rgba=(0.95, 0.30, 0.20, 0.9), contype=0, conaffinity=0
    )
    return spec


def _add_table(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1.2, 1.2, 0.05], material="table", conaffinity=1
    )
    spec.worldbody.add_light(pos=[0.8, -0.8, 2.2], dir=[-0.35, 0.35, -1], castshadow=True, diffuse=[0.6] * 3)
    spec.worldbody.add_light(pos=[-1.0, 1.2, 1.8], dir=[0.5, -0.6, -1], castshadow=False, diffuse=[0.25] * 3)
    spec.visual.headlight.ambient = [0.38, 0.38, 0.38]
    spec.visual.headlight.diffuse = [0.25, 0.25, 0.25]
    spec.visual.quality.shadowsize = 4096
    spec.visual.global_.offwidth = 1920
    spec.visual.global_.offheight = 1080
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.82, 0.88, 0.94],
        rgb2=[0.97, 0.98, 0.99],
        width=256,
        height=256,
    )
    spec.add_texture(
        name="table",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.62, 0.66, 0.70],
        rgb2=[0.56, 0.60, 0.64],
        width=256,
        height=256,
    )
    table = spec.add_material(name="table", texrepeat=[8, 8], specular=0.0, texuniform=True)
    table.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "table"


def _add_materials(spec: mujoco.MjSpec) -> None:
    for name, rgba in _RGBA.items():
        spec.add_material(name=name, rgba=rgba, specular=0.4, shininess=0.6)


def _add_joint(spec: mujoco.MjSpec, parent: mujoco.MjsBody, joint: Joint) -> mujoco.MjsBody:
    link = joint.link
    body = parent.add_body(
        name=joint.name,
        pos=joint.origin_m,
        explicitinertial=True,
        mass=link.mass_kg,
        ipos=link.com_m,
        inertia=link.inertia_kg_m2,
        gravcomp=1.0,
    )
    body.add_joint(
        name=joint.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        range=joint.range_rad,
        armature=joint.armature_kg_m2,
    )
    for shape in link.shapes:
        _add_shape(body, shape)
    actuator = spec.add_actuator(
        name=joint.name,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        target=joint.name,
        ctrlrange=(-joint.max_velocity_rad_s, joint.max_velocity_rad_s),
        forcerange=(-joint.drive.torque_limit_nm, joint.drive.torque_limit_nm),
    )
    actuator.set_to_velocity(kv=joint.drive.damping_nm_s_per_rad)
    return body


def _add_shape(body: mujoco.MjsBody, shape: Shape) -> None:
    body.add_geom(
        type=_GEOM_TYPE[shape.type],
        fromto=[*shape.from_m, *shape.to_m],
        size=[shape.radius_m, 0, 0],
        material=shape.material,
        mass=0.0,
        contype=1 if shape.collides else 0,
        conaffinity=1 if shape.collides else 0,
    )


def _touching(description: RobotDescription) -> list[tuple[str, str]]:
    """Pairs of links that overlap by construction: neighbours, and neighbours but one at the wrist."""
    names = ["base", *(joint.name for joint in description.joints)]
    return [*pairwise(names), *zip(names, names[2:], strict=False)]
