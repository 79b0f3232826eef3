"""Pictures of the embedded simulation, rendered off screen."""

from pathlib import Path

import mujoco
import numpy as np
from PIL import Image

from unity_env.sim.env import SimEnv


class RenderError(RuntimeError):
    """No picture can be made here."""


def render(env: SimEnv, row: int, width: int, height: int) -> np.ndarray:
    """Render one row's scene.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        RenderError: this machine has no OpenGL for off-screen rendering.
    """
    batch = env.task.batch
    data = batch.get_data(row)
    camera = mujoco.MjvCamera()
    view = env.task.view
    camera.lookat[:] = view.lookat
    camera.distance, camera.azimuth, camera.elevation = view.distance, view.azimuth, view.elevation
    try:
        with mujoco.Renderer(batch.get_model(row), height, width) as renderer:
            renderer.update_scene(data, camera)
            picture: np.ndarray = renderer.render()
            return picture
    except Exception as error:  # each GL backend fails in its own way
        raise RenderError(
            f"no off-screen rendering here ({type(error).__name__}: {error}); on Linux it needs EGL, "
            f"Debian's package libegl1, and MUJOCO_GL=egl or osmesa"
        ) from None


def save_picture(task: str, path: Path, width: int = 960, height: int = 600) -> None:
    """Render the start of an episode of a task to a PNG file.

    Raises:
        RenderError: see `render`; or the file cannot be written.
    """
    env = SimEnv(task, num_areas=1, seed=3)
    env.reset()
    picture = render(env, 0, width, height)
    try:
        Image.fromarray(picture).save(path)
    except (OSError, ValueError) as error:
        raise RenderError(f"{path}: cannot be written as a picture: {error}") from None
