"""The embedded simulation: the robots and their tasks in MuJoCo."""

import ctypes
import os
import sys


def _without_a_display() -> None:
    """Let MuJoCo draw off screen with EGL; where there is none its very import would fail, and physics needs none."""
    if os.environ.setdefault("MUJOCO_GL", "egl") != "egl":
        return
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        os.environ["MUJOCO_GL"] = "disable"


if sys.platform == "linux":
    _without_a_display()  # MuJoCo reads it when it is imported
