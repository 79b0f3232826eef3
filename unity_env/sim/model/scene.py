"""The stage that robots stand on: clock, light, ground, materials, markers."""

import mujoco

from unity_env.sim.description import Control
from unity_env.sim.description.common import Shape

_RGBA = {
    "body": (0.93, 0.94, 0.95, 1.0),
    "accent": (0.10, 0.47, 0.78, 1.0),
    "dark": (0.16, 0.18, 0.21, 1.0),
}
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
        spec.add_material(name=name, rgba=rgba, specular=0.4, shininess=0.6)
    _light(spec)
    return spec


def add_ground(spec: mujoco.MjSpec, name: str, half_size_m: float = 1.2) -> None:
    """Add a checkered horizontal plane through the origin."""
    spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.62, 0.66, 0.70],
        rgb2=[0.56, 0.60, 0.64],
        width=256,
        height=256,
    )
    material = spec.add_material(name=name, texrepeat=[8, 8], specular=0.0, texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    spec.worldbody.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[half_size_m, half_size_m, 0.05],
        material=name,
        conaffinity=1,
    )


def add_marker(spec: mujoco.MjSpec, name: str, radius_m: float) -> None:
    """Add a ball that touches nothing and stands where its mocap_pos says."""
    marker = spec.worldbody.add_body(name=name, mocap=True)
    marker.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[radius_m, 0, 0],
        rgba=(0.95, 0.30, 0.20, 0.9),
        contype=0,
        conaffinity=0,
    )


def add_disc(spec: mujoco.MjSpec, name: str, radius_m: float) -> None:
    """Add a flat mark that touches nothing and lies where its mocap_pos says."""
    marker = spec.worldbody.add_body(name=name, mocap=True)
    marker.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[radius_m, 0.0005, 0],
        rgba=(0.95, 0.30, 0.20, 0.9),
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
