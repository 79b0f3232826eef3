"""Pictures of the embedded simulation, rendered off screen."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import mujoco
import numpy as np
from PIL import Image

from unity_env.sim.env import SimEnv


class RenderError(RuntimeError):
    """No picture can be made here."""


class Camera:
    """Takes pictures of one row from the task's own point of view; a context manager.

    Args:
        env: the simulation.
        row: which of its rows.
        width: of the pictures, pixels.
        height: likewise.

    Raises:
        RenderError: this machine has no OpenGL for off-screen rendering.
    """

    def __init__(self, env: SimEnv, row: int = 0, width: int = 960, height: int = 600) -> None:
        self._task, self._row = env.task, row
        self._model = env.task.batch.get_model(row)
        self._data = env.task.batch.get_data(row)
        self._view = mujoco.MjvCamera()
        view = env.task.view
        self._view.lookat[:] = view.lookat
        self._view.distance, self._view.azimuth, self._view.elevation = view.distance, view.azimuth, view.elevation
        try:
            self._renderer = mujoco.Renderer(self._model, height, width)
        except Exception as error:  # each GL backend fails in its own way
            off = os.environ.get("MUJOCO_GL") == "disable"
            reason = "no OpenGL found, or MUJOCO_GL=disable" if off else f"{type(error).__name__}: {error}"
            raise RenderError(
                f"no off-screen rendering here ({reason}); on Linux it needs EGL, "
                f"Debian's packages libegl1 and libgl1-mesa-dri, and MUJOCO_GL=egl, or libosmesa6 and MUJOCO_GL=osmesa"
            ) from None
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_FOG] = True

    def picture(self) -> np.ndarray:
        """Render the row as it is now.

        Returns:
            (height, width, 3) uint8, RGB.
        """
        self._task.batch.get_model(self._row, self._model)  # an episode may bend sizes and places
        self._task.look(self._row, self._model, self._data)
        self._renderer.update_scene(self._data, self._view)
        picture: np.ndarray = self._renderer.render()
        return picture

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._renderer.close()


def save_picture(task: str, path: Path, width: int = 960, height: int = 600) -> None:
    """Render the start of an episode of a task to a PNG file.

    Raises:
        RenderError: see `Camera`; or the file cannot be written.
    """
    env = SimEnv(task, num_areas=1, seed=3)
    env.reset()
    with Camera(env, 0, width, height) as camera:
        picture = camera.picture()
    try:
        Image.fromarray(picture).save(path)
    except (OSError, ValueError) as error:
        raise RenderError(f"{path}: cannot be written as a picture: {error}") from None
