"""What stands around a mobile robot: a walled room, round obstacles, a goal on the floor, a person."""

import mujoco
import numpy as np

from unity_env.sim.model.scene import add_ground

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
_CAPSULE = mujoco.mjtGeom.mjGEOM_CAPSULE
_ELLIPSOID = mujoco.mjtGeom.mjGEOM_ELLIPSOID
_SPHERE = mujoco.mjtGeom.mjGEOM_SPHERE

SOLID_GROUPS = (1, 4)  # geoms that a lidar sees; group 4 is not drawn
_PARKED_M = 100.0
_WALL_HALF_M, _WALL_HEIGHT_M = 0.06, 0.34
_OBSTACLE_HALF_HEIGHT_M = 0.22
_PAINT = (
    (0.87, 0.45, 0.28, 1.0),
    (0.95, 0.74, 0.33, 1.0),
    (0.45, 0.66, 0.56, 1.0),
    (0.36, 0.55, 0.70, 1.0),
)


def add_room(spec: mujoco.MjSpec, half_width_m: float) -> None:
    """Add a floor and four walls whose inner faces are x, y = +-half_width_m, with light for a room."""
    add_ground(spec, "floor", half_width_m + 2 * _WALL_HALF_M)
    thick, height = _WALL_HALF_M, _WALL_HEIGHT_M / 2
    middle, length = half_width_m + thick, half_width_m + 2 * thick
    for sign in (-1.0, 1.0):
        for size, pos in (
            ((thick, length, height), (sign * middle, 0.0, height)),
            ((half_width_m, thick, height), (0.0, sign * middle, height)),
        ):
            spec.worldbody.add_geom(
                type=_BOX, size=size, pos=pos, rgba=(0.90, 0.89, 0.86, 1.0), group=1, castshadow=False
            )
    _daylight(spec)
    spec.stat.center, spec.stat.extent = [0.0, 0.0, 0.2], half_width_m  # of what is seen: things are parked far away
    spec.visual.map.zfar, spec.visual.map.shadowclip = 10.0, 3.0


def _daylight(spec: mujoco.MjSpec) -> None:
    """Let light fall evenly through a large window, instead of from lamps above a table."""
    for light, direction, diffuse in zip(
        spec.worldbody.lights, ([-0.45, 0.35, -1.0], [0.5, -0.6, -1.0]), (0.42, 0.2), strict=True
    ):
        light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        light.pos, light.dir, light.diffuse, light.specular = [0.0, 0.0, 6.0], direction, [diffuse] * 3, [0.15] * 3


def add_obstacles(spec: mujoco.MjSpec, count: int, largest_radius_m: float) -> None:
    """Add upright cylinders `obstacle_<k>`, parked; their mocap_pos and geom_size say where and how wide they are."""
    for index, place in enumerate(parking(count)):
        name = f"obstacle_{index}"
        body = spec.worldbody.add_body(name=name, mocap=True, pos=place)
        body.add_geom(
            name=name,
            type=_CYLINDER,
            size=[largest_radius_m, _OBSTACLE_HALF_HEIGHT_M, 0],
            pos=[0, 0, _OBSTACLE_HALF_HEIGHT_M],
            rgba=_PAINT[index % len(_PAINT)],
            group=1,
        )


def parking(count: int) -> np.ndarray:
    """Return where things stand that an episode does not use: far away and below the floor, (count, 3), m."""
    return np.array([(_PARKED_M + 2.0 * index, _PARKED_M, -_PARKED_M) for index in range(count)])


def add_goal(spec: mujoco.MjSpec, radius_m: float) -> None:
    """Add a disc `goal` on the floor; its mocap_pos says where."""
    body = spec.worldbody.add_body(name="goal", mocap=True)
    for radius, height, rgba in (
        (1.0, 0.002, (0.20, 0.66, 0.40, 1.0)),
        (0.82, 0.003, (0.93, 0.96, 0.93, 1.0)),
        (0.55, 0.004, (0.20, 0.66, 0.40, 1.0)),
    ):
        _decorate(body, _CYLINDER, (radius_m * radius, height, 0.0), (0.0, 0.0, height), rgba)


def add_pedestal_table(
    spec: mujoco.MjSpec, centre_m: tuple[float, float], half_width_m: float, height_m: float, pedestal_m: float
) -> None:
    """Add a square table on a round pedestal; a lidar sees the pedestal."""
    slab, wood = 0.015, (0.80, 0.66, 0.48, 1.0)
    spec.worldbody.add_geom(
        name="table",
        type=_BOX,
        size=(half_width_m, half_width_m, slab),
        pos=(*centre_m, height_m - slab),
        rgba=wood,
        castshadow=False,  # on itself, where the shadow map is coarse: the frame below casts it
    )
    frame = 0.004
    _decorate(
        spec.worldbody,
        _BOX,
        (half_width_m - frame, half_width_m - frame, frame),
        (*centre_m, height_m - 2.0 * slab - frame),
        (0.66, 0.53, 0.39, 1.0),
    )
    half = 0.5 * height_m - slab
    spec.worldbody.add_geom(
        name="pedestal",
        type=_CYLINDER,
        size=(pedestal_m, half, 0.0),
        pos=(*centre_m, half),
        rgba=(0.72, 0.71, 0.69, 1.0),
        group=1,
    )


def add_person(spec: mujoco.MjSpec, radius_m: float) -> None:
    """Add a figure `person` that looks along x and collides as a cylinder; mocap_pos and mocap_quat move it."""
    body = spec.worldbody.add_body(name="person", mocap=True)
    body.add_geom(name="person", type=_CYLINDER, size=[radius_m, 0.5, 0], pos=[0, 0, 0.5], rgba=(1, 1, 1, 0.2), group=4)
    skin, shirt = (0.86, 0.67, 0.54, 1.0), (0.25, 0.46, 0.62, 1.0)
    trousers, dark = (0.27, 0.29, 0.35, 1.0), (0.17, 0.14, 0.13, 1.0)
    for sign, stride in ((1.0, 0.10), (-1.0, -0.10)):
        hip, knee = (0.0, sign * 0.085, 0.88), (0.5 * stride + 0.03, sign * 0.085, 0.48)
        ankle, wrist = (stride, sign * 0.085, 0.09), (-0.9 * stride + 0.09, sign * 0.22, 0.86)
        elbow = (-0.5 * stride - 0.02, sign * 0.24, 1.10)
        _limb(body, hip, knee, 0.075, trousers)
        _limb(body, knee, ankle, 0.055, trousers)
        _decorate(body, _ELLIPSOID, (0.13, 0.05, 0.045), (ankle[0] + 0.05, ankle[1], 0.045), dark)
        _limb(body, (0.0, sign * 0.19, 1.38), elbow, 0.05, shirt)
        _limb(body, elbow, wrist, 0.04, skin)
    _decorate(body, _ELLIPSOID, (0.115, 0.165, 0.13), (0.0, 0.0, 0.95), trousers)
    _decorate(body, _ELLIPSOID, (0.125, 0.20, 0.30), (0.0, 0.0, 1.20), shirt)
    _limb(body, (0.0, 0.0, 1.42), (0.01, 0.0, 1.54), 0.05, skin)
    _decorate(body, _ELLIPSOID, (0.105, 0.09, 0.125), (0.02, 0.0, 1.64), skin)
    _decorate(body, _ELLIPSOID, (0.11, 0.097, 0.10), (-0.005, 0.0, 1.69), dark)


def geoms_named(model: mujoco.MjModel, prefix: str) -> slice:
    """Return where the geoms are whose names begin so; they follow one another."""
    return _run(np.array([model.geom(index).name.startswith(prefix) for index in range(model.ngeom)]))


def mocaps_named(model: mujoco.MjModel, prefix: str) -> slice:
    """Return where the mocap bodies are whose names begin so; they follow one another."""
    bodies = np.argsort(model.body_mocapid)[np.sort(model.body_mocapid) >= 0]
    return _run(np.array([model.body(body).name.startswith(prefix) for body in bodies]))


def _run(chosen: np.ndarray) -> slice:
    first, count = int(chosen.argmax()), int(chosen.sum())
    assert count > 0
    assert chosen[first : first + count].all()
    return slice(first, first + count)


def _limb(
    body: mujoco.MjsBody,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius_m: float,
    rgba: tuple[float, ...],
) -> None:
    body.add_geom(type=_CAPSULE, fromto=[*start, *end], size=[radius_m, 0, 0], rgba=rgba, contype=0, conaffinity=0)


def _decorate(
    body: mujoco.MjsBody,
    shape: mujoco.mjtGeom,
    size: tuple[float, float, float],
    pos: tuple[float, float, float],
    rgba: tuple[float, ...],
) -> None:
    body.add_geom(type=shape, size=size, pos=pos, rgba=rgba, contype=0, conaffinity=0, castshadow=min(size) > 0.0)
