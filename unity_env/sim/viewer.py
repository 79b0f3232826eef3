"""The 3D scene of one row in a browser: mjviser draws the model, viser the light, the floor and the handles to drag."""

from collections.abc import Callable

import mujoco
import numpy as np
import viser
from mjviser import ViserMujocoScene

from unity_env.sim.env import SimEnv
from unity_env.sim.model.scene import COLLISION_GROUP, HORIZON_RGB

DragHandler = Callable[[str, np.ndarray], None]

_SHAPE_FIELDS = ("geom_size", "geom_pos", "geom_quat", "geom_rgba", "body_pos", "body_quat")
_SKY_RGB = (0.76, 0.84, 0.92)
_KEY_LIGHT = (1.4, -1.2, 3.0)
_STEP_BACK = 1.2  # the page is narrower than a picture
_FOG_RGB255 = tuple(round(255 * value**2.2) for value in HORIZON_RGB)  # taken as linear, as vertex colours are
_FOV_RAD = np.radians(45.0)  # MuJoCo's own


class Viewer:
    """Shows one row.

    Args:
        server: whose scene it fills.
        sim: the simulation.
        row: which of its rows.
        on_drag: gets a draggable body's name and its wanted position, (3,), m, from a thread of the server.
    """

    def __init__(self, server: viser.ViserServer, sim: SimEnv, row: int, on_drag: DragHandler) -> None:
        self._server, self._task, self._row, self._on_drag = server, sim.task, row, on_drag
        self._model = sim.task.batch.get_model(row)
        _make_linear(self._model)
        self._data = sim.task.batch.get_data(row)
        self._scene = ViserMujocoScene(server, self._model, num_envs=1)
        _light(server)
        self._scene.camera_tracking_enabled = False
        self._replace_planes()
        self._place_camera()
        self._held: set[str] = set()
        self._handles = {name: self._add_handle(name) for name in self._draggable()}
        self.update()

    def begin_episode(self) -> None:
        """Take over what a new episode has bent: sizes, places and colours of shapes."""
        before = [getattr(self._model, field).copy() for field in _SHAPE_FIELDS]
        self._task.batch.get_model(self._row, self._model)
        _make_linear(self._model)
        if any((getattr(self._model, field) != old).any() for field, old in zip(_SHAPE_FIELDS, before, strict=True)):
            self._scene.rebuild_visual_handles()

    def update(self) -> None:
        """Show the row as it is now."""
        self._task.look(self._row, self._model, self._data)
        self._scene.update_from_mjdata(self._data)
        for name, handle in self._handles.items():
            if name not in self._held:
                handle.position = self._mocap_pos(name)

    def _draggable(self) -> list[str]:
        names = {self._model.body(body).name for body in np.flatnonzero(self._model.body_mocapid >= 0)}
        return [name for name in self._task.draggable if name in names]

    def _mocap_pos(self, name: str) -> np.ndarray:
        pos: np.ndarray = self._data.mocap_pos[self._model.body(name).mocapid[0]]
        return pos

    def _add_handle(self, name: str) -> viser.TransformControlsHandle:
        on_ground = bool(self._mocap_pos(name)[2] == 0.0)
        handle = self._server.scene.add_transform_controls(
            f"/drag/{name}",
            scale=0.11 * self._task.view.distance,
            line_width=2.0,
            active_axes=(True, True, not on_ground),
            disable_rotations=True,
            disable_sliders=True,
            depth_test=False,
            opacity=0.75,
            position=self._mocap_pos(name),
        )

        @handle.on_update
        def _(event: viser.TransformControlsEvent) -> None:
            (self._held.discard if event.phase == "end" else self._held.add)(name)
            self._on_drag(name, np.array(handle.position))

        return handle

    def _replace_planes(self) -> None:
        """Draw planes as finite floors: mjviser's own have no edge, and show those that are only felt."""
        for geom in np.flatnonzero(self._model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
            plane = self._model.geom(geom)
            path = f"/fixed_bodies/{self._model.body(plane.bodyid[0]).name}/{plane.name}"
            self._server.scene.remove_by_name(path)
            if plane.rgba[3] > 0.0 and plane.group[0] < COLLISION_GROUP:
                half_x, half_y = (size if size > 0.0 else 10.0 for size in plane.size[:2])
                self._server.scene.add_grid(
                    f"/floor/{plane.name or geom}",
                    2.0 * half_x,
                    2.0 * half_y,
                    position=plane.pos,
                    wxyz=plane.quat,
                    cell_size=0.5,
                    section_size=0.5,
                    cell_color=(196, 202, 208),
                    section_color=(196, 202, 208),
                    plane_color=(210, 215, 220),
                    plane_opacity=1.0,
                    shadow_opacity=0.25,
                )

    def _place_camera(self) -> None:
        view = self._task.view
        azimuth, elevation = np.radians([view.azimuth, view.elevation])
        forward = (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation))
        camera = self._server.initial_camera
        camera.look_at = np.array(view.lookat)
        camera.position = np.array(view.lookat) - _STEP_BACK * view.distance * np.array(forward)
        camera.up = np.array([0.0, 0.0, 1.0])
        camera.fov = _FOV_RAD
        distance = view.distance
        self._server.scene.configure_fog(2.0 * distance, 5.0 * distance, color=_FOG_RGB255)


def _make_linear(model: mujoco.MjModel) -> None:
    """Decode sRGB colours: mjviser hands them over as vertex colours, which glTF takes as linear."""
    for colors in (model.mat_rgba, model.geom_rgba, model.site_rgba):
        colors[:, :3] **= 2.2


def _light(server: viser.ViserServer) -> None:
    """Light the scene much as `unity_env.sim.model.scene` does, under the same sky."""
    scene = server.scene
    scene.set_up_direction("+z")
    scene.configure_default_lights(enabled=False)
    scene.configure_environment_map("studio", environment_intensity=0.3)
    scene.add_light_directional(
        "/light/key", color=(255, 246, 235), intensity=1.9, cast_shadow=True, position=_KEY_LIGHT
    )
    scene.add_light_hemisphere("/light/sky", sky_color=(235, 243, 255), ground_color=(205, 200, 195), intensity=0.9)
    share = np.clip(np.linspace(0.0, 5.0, 256), 0.0, 1.0)[:, None, None]
    sky = (1.0 - share) * np.array(_SKY_RGB) + share * np.array(HORIZON_RGB)
    scene.set_background_image((255.0 * np.broadcast_to(sky, (256, 256, 3))).astype(np.uint8), format="png")
