import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import cli, train_tiny
from trainers.stage import open_stage
from trainers.video import HEIGHT, HOLD_S, WIDTH, record
from unity_env.sim.env import SimEnv
from unity_env.sim.render import Camera, RenderError


def _has_gl() -> bool:
    env = SimEnv("arm_reach", 1)
    env.reset()
    try:
        with Camera(env, 0, 64, 48) as camera:
            return bool(camera.picture().any())
    except RenderError:
        return False


needs_gl = pytest.mark.skipif(not _has_gl(), reason="no OpenGL for off-screen rendering here")


def film_still(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Let every picture be the first one: rendering in software takes its time; returns one entry per picture."""
    taken: list[np.ndarray] = []
    real = Camera.picture

    def picture(camera: Camera) -> np.ndarray:
        taken.append(taken[0] if taken else real(camera))
        return taken[0]

    monkeypatch.setattr(Camera, "picture", picture)
    return taken


@needs_gl
def test_eval_films_whole_episodes_in_real_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra `video` is not installed")
    path = tmp_path / "out.mp4"
    run = train_tiny(tmp_path, "filmed")
    taken = film_still(monkeypatch)
    outcome = cli("eval", run, "--episodes", "1", "--video", path, "--video-episodes", "1")
    assert outcome.code == 0, outcome.err
    assert f"video     {path}" in outcome.out
    frames = ffmpeg.read_frames(str(path))
    about = next(frames)
    assert about["size"] == (WIDTH, HEIGHT)
    assert about["fps"] == pytest.approx(25.0)  # a control period of 0.04 s
    assert about["duration"] == pytest.approx(4.0 + HOLD_S, abs=0.1)
    first = np.frombuffer(next(frames), np.uint8).reshape(HEIGHT, WIDTH, 3)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 1000
    assert len(taken) == 100  # the start and 99 steps: after the last, the scene shows the next episode
    assert list(tmp_path.glob(".*")) == []


@needs_gl
def test_an_interrupted_video_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="the extra `video` is not installed")
    stage = open_stage("arm_reach")
    monkeypatch.setattr(stage, "step", lambda _cast: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        record(stage, "still", tmp_path / "out.mp4", episodes=1, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_what_video_needs_is_said_before_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configuration.yaml").touch()
    (tmp_path / "folder.mp4").mkdir()
    for path, what in (("out.avi", "ends in .mp4"), ("nowhere/out.mp4", "no folder"), ("folder.mp4", "is a folder")):
        outcome = cli("eval", tmp_path, "--video", tmp_path / path)
        assert (outcome.code, what in outcome.err, outcome.err.count("\n")) == (2, True, 1)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    outcome = cli("eval", tmp_path, "--video", tmp_path / "out.mp4")
    assert outcome.code == 2
    assert "pip install 'unity-robot-rl[video]'" in outcome.err
    assert outcome.err.count("\n") == 1


def test_without_gl_a_picture_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("invalid value for environment variable MUJOCO_GL: glx")

    monkeypatch.setattr("mujoco.Renderer", broken)
    outcome = cli("tasks", "show", "arm_reach", "--picture", tmp_path / "x.png")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "libegl1" in outcome.err
