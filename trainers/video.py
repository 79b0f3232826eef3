"""Videos of a policy: some episodes one after the other, at the speed of the robot's own clock."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trainers.errors import RunError, UserError
from trainers.files import check_place
from trainers.stage import Stage
from unity_env.sim.render import Camera, RenderError

WIDTH, HEIGHT = 960, 540
HOLD_S = 0.6  # how long the end of an episode stays on screen
_INK, _SOFT, _GOOD, _BAD = (28, 33, 40, 255), (96, 106, 118, 255), (24, 135, 84, 255), (190, 70, 40, 255)
_PANEL, _BAR, _DONE = (255, 255, 255, 205), (200, 207, 214, 255), (23, 110, 191, 255)


@dataclass(frozen=True)
class Caption:
    """What is written into a frame.

    Attributes:
        task: its name.
        episode: from 1.
        episodes: in all.
        step: of the episode, from 1.
        solved: by every robot; None while the episode goes on.
    """

    task: str
    episode: int
    episodes: int
    step: int
    solved: bool | None = None


@dataclass(frozen=True)
class Recorded:
    """What a video shows.

    Attributes:
        path: of the file.
        solved: per episode, by every robot.
        seconds: of the video.
    """

    path: Path
    solved: list[bool]
    seconds: float


def check_video(path: Path) -> ModuleType:
    """Return the module that writes videos.

    Raises:
        UserError: it is not installed, or `path` cannot be a video file.
    """
    if path.suffix.lower() != ".mp4":
        raise UserError(f"--video {path}: expected a name that ends in .mp4")
    check_place(path, "--video")
    try:
        import imageio_ffmpeg  # noqa: PLC0415  # an optional extra

        imageio_ffmpeg.get_ffmpeg_exe()
        os.environ.setdefault("IMAGEIO_FFMPEG_NO_PREVENT_SIGINT", "1")  # else it forks, with threads
    except (ImportError, RuntimeError):
        raise UserError(
            "--video needs ffmpeg: pip install 'unity-robot-rl[video]', "
            "or install ffmpeg and name it in IMAGEIO_FFMPEG_EXE beside pip install imageio-ffmpeg"
        ) from None
    module: ModuleType = imageio_ffmpeg
    return module


def record(stage: Stage, cast: str, path: Path, episodes: int, seed: int) -> Recorded:
    """Write the episodes of `seed`, played by `cast`, to an MP4 file.

    Raises:
        UserError: no ffmpeg, or no off-screen rendering here.
        RunError: ffmpeg failed, or the file cannot be written.
    """
    ffmpeg = check_video(path)
    fps = 1.0 / stage.period_s
    stage.reset(seed)
    solved: list[bool] = []
    frames = 0
    try:
        with Camera(stage.sim, 0, WIDTH, HEIGHT) as camera, _writer(ffmpeg, path, fps) as write:
            picture = camera.picture()
            while len(solved) < episodes:
                caption = Caption(stage.sim.task.name, len(solved) + 1, episodes, stage.step_count + 1)
                moments, ended = stage.step(cast)
                if ended:
                    solved.append(all(moment.solved for moment in moments.values()))
                    caption = replace(caption, solved=solved[-1])
                else:
                    picture = camera.picture()
                drawn = with_caption(picture, caption, stage.period_s, stage.episode_s)
                repeat = 1 + round(HOLD_S * fps) if ended else 1
                for _ in range(repeat):
                    write(drawn)
                frames += repeat
    except RenderError as error:
        raise UserError(f"--video: {error}") from None
    return Recorded(path, solved, frames / fps)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@contextmanager
def _writer(ffmpeg: ModuleType, path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Open a video file that appears at `path` once it is whole; yields what takes a frame."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.mp4")
    frames = ffmpeg.write_frames(
        str(temporary),
        (WIDTH, HEIGHT),
        fps=fps,
        quality=8,
        macro_block_size=2,
        output_params=["-movflags", "faststart"],
    )
    try:
        frames.send(None)
        yield lambda picture: frames.send(np.ascontiguousarray(picture))
        frames.close()
        temporary.replace(path)
    except OSError as error:
        reason = str(error.strerror or error).strip().splitlines()
        raise RunError(f"{path}: ffmpeg could not write it: {reason[-1] if reason else 'no reason given'}") from None
    finally:
        frames.close()
        temporary.unlink(missing_ok=True)


def with_caption(picture: np.ndarray, caption: Caption, period_s: float, episode_s: float) -> np.ndarray:
    """Draw what is going on into the lower left corner, and the episode's clock along the lower edge."""
    image = Image.fromarray(picture).convert("RGBA")
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    height = image.height
    draw.rounded_rectangle((20, height - 96, 330, height - 24), 10, fill=_PANEL)
    draw.text((36, height - 88), caption.task, font=_font(21), fill=_INK)
    time_s = caption.step * period_s
    line = f"episode {caption.episode}/{caption.episodes}    step {caption.step}    {time_s:.2f} s"
    draw.text((36, height - 57), line, font=_font(15), fill=_SOFT)
    if caption.solved is not None:
        text, color = ("solved", _GOOD) if caption.solved else ("not solved", _BAD)
        draw.text((314, height - 88), text, font=_font(21), fill=color, anchor="ra")
    done = min(time_s / episode_s, 1.0)
    draw.rectangle((0, height - 4, image.width, height), fill=_BAR)
    draw.rectangle((0, height - 4, round(done * image.width), height), fill=_DONE)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"))
