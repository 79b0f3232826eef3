"""The stage that robots stand on: clock, light, ground, materials, markers."""

import mujoco

from unity_env.sim.description import Control
from unity_env.sim.description.common import Shape

_RGBA = {
    "body": (0.92, 0.93, 0.94, 1.0),
    "accent": (0.09, 0.43, 0.75, 1.0),
    "dark": (0.15, 0.17, 0.20, 1.0),
    "wood": (0.83, 0.75, 0.64, 1.0),
    "wood_edge": (0.66, 0.53, 0.39, 1.0),
    "steel": (0.33, 0.36, 0.40, 1.0),
    "room_floor": (0.70, 0.74, 0.78, 1.0),
}
_MATTE = {"wood", "wood_edge", "room_floor"}
GOAL_RGB = (0.96, 0.32, 0.22)
HORIZON_RGB = (0.88, 0.915, 0.945)
COLLISION_GROUP = 3  # geoms that are felt but not shown
SCENERY_GROUP = 2  # geoms that are shown but not felt; rays of sensors leave them out
_GEOM_TYPE = {
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
}

_INTEGRATOR = {
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
    "rk4": mujoco.mjtIntegrator.mjINT_RK4,
}


def new_scene(control: Control) -> mujoco.MjSpec:
    """Return an empty scene with the control's time step, light and materials."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    spec.option.timestep = control.timestep_s
    spec.option.integrator = _INTEGRATOR[control.integrator]
    spec.option.iterations = 10
    spec.option.ls_iterations = 10
    for name, rgba in _RGBA.items():
        matte = name in _MATTE
        spec.add_material(name=name, rgba=rgba, specular=0.05 if matte else 0.35, shininess=0.1 if matte else 0.5)
    _light(spec)
    return spec


def add_ground(spec: mujoco.MjSpec, name: str, half_size_m: float = 1.2) -> None:
    """Add a checkered horizontal plane through the origin."""
    spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.66, 0.69, 0.72],
        rgb2=[0.62, 0.65, 0.68],
        width=256,
        height=256,
    )
    material = spec.add_material(name=name, texrepeat=[2, 2], specular=0.05, shininess=0.1, texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    spec.worldbody.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[half_size_m, half_size_m, 0.05],
        material=name,
        conaffinity=1,
        castshadow=False,  # on itself, where the shadow map is coarse
    )


def add_table(
    spec: mujoco.MjSpec,
    name: str,
    half_size_m: tuple[float, float] = (0.7, 0.7),
    height_m: float = 0.72,
    center_m: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Add a table whose surface is the plane z = 0: a plane that is felt, and a wooden table that is seen.

    Args:
        spec: the scene.
        name: of the plane, which has no edge.
        half_size_m: of the visible table top, along x and y.
        height_m: of its surface above the visible floor.
        center_m: of the table top.
    """
    spec.worldbody.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[*half_size_m, 0.05],
        rgba=(0.0, 0.0, 0.0, 0.0),
        group=COLLISION_GROUP,
        conaffinity=1,
    )
    scenery = spec.worldbody.add_body(name=f"{name}/scenery", pos=(*center_m, 0.0))
    x, y = half_size_m
    _add_box(scenery, (0, 0, -0.0105), (x, y, 0.0095), "wood")
    _add_box(scenery, (0, 0, -0.03), (x - 0.004, y - 0.004, 0.010), "wood_edge")
    leg = 0.03
    for side_x, side_y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        at = (side_x * (x - 0.08), side_y * (y - 0.08), -0.5 * (height_m + 0.04))
        _add_box(scenery, at, (leg, leg, 0.5 * (height_m - 0.04)), "steel")
    _add_box(scenery, (0, 0, -height_m - 0.01), (12.0, 12.0, 0.01), "room_floor")
    spec.stat.extent = 1.6
    spec.stat.center = (*center_m, 0.2)


def add_marker(spec: mujoco.MjSpec, name: str, radius_m: float, rgb: tuple[float, float, float] = GOAL_RGB) -> None:
    """Add a translucent ball with a solid core; it touches nothing and stands where its mocap_pos says."""
    marker = spec.worldbody.add_body(name=name, mocap=True)
    for radius, alpha in ((0.4 * radius_m, 1.0), (radius_m, 0.4)):
        marker.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[radius, 0, 0],
            rgba=(*rgb, alpha),
            group=SCENERY_GROUP,
            contype=0,
            conaffinity=0,
        )


def _add_box(
    body: mujoco.MjsBody, at: tuple[float, float, float], half_size: tuple[float, float, float], material: str
) -> None:
    """Add a box that is seen and weighs nothing."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=at,
        size=half_size,
        material=material,
        group=SCENERY_GROUP,
        mass=0.0,
        contype=0,
        conaffinity=0,
    )


def add_disc(spec: mujoco.MjSpec, name: str, radius_m: float) -> None:
    """Add a flat mark that touches nothing and lies where its mocap_pos says."""
    marker = spec.worldbody.add_body(name=name, mocap=True)
    marker.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[radius_m, 0.0005, 0],
        rgba=(*GOAL_RGB, 0.9),
        group=SCENERY_GROUP,
        contype=0,
        conaffinity=0,
    )


def add_cube(spec: mujoco.MjSpec, name: str, edge_m: float, mass_kg: float) -> None:
    """Add a free cube that lies on the ground at the origin."""
    body = spec.worldbody.add_body(name=name, pos=[0, 0, 0.5 * edge_m])
    body.add_freejoint(name=name)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5 * edge_m] * 3,
        mass=mass_kg,
        friction=[0.7, 0.005, 0.0001],
        rgba=(0.95, 0.72, 0.12, 1.0),
    )


def add_shape(body: mujoco.MjsBody, shape: Shape) -> mujoco.MjsGeom:
    """Add a shape without mass, which the body states by itself."""
    return body.add_geom(
        type=_GEOM_TYPE[shape.type],
        fromto=[*shape.from_m, *shape.to_m],
        size=[shape.radius_m, 0, 0],
        material=shape.material,
        mass=0.0,
        contype=1 if shape.collides else 0,
        conaffinity=1 if shape.collides else 0,
    )


def _light(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_light(
        pos=[1.4, -1.2, 3.0],
        dir=[-0.42, 0.36, -1],
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=True,
        diffuse=[0.60, 0.58, 0.55],
        specular=[0.25] * 3,
    )
    spec.worldbody.add_light(
        pos=[-1.5, 1.8, 2.4], dir=[0.5, -0.6, -1], castshadow=False, diffuse=[0.16, 0.18, 0.21], specular=[0.1] * 3
    )
    visual = spec.visual
    visual.headlight.ambient = [0.44, 0.45, 0.47]
    visual.headlight.diffuse = [0.16, 0.16, 0.16]
    visual.headlight.specular = [0.05, 0.05, 0.05]
    visual.quality.shadowsize = 2048
    visual.quality.offsamples = 4
    visual.quality.numslices, visual.quality.numstacks = 40, 16
    visual.map.shadowclip = 1.0
    visual.map.fogstart, visual.map.fogend = 1.6, 5.0
    visual.rgba.fog = (*HORIZON_RGB, 1.0)
    visual.global_.offwidth = 1920
    visual.global_.offheight = 1080
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.74, 0.82, 0.90],
        rgb2=[1.0, 1.0, 1.0],
        width=256,
        height=256,
    )
