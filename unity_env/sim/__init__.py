"""The embedded simulation: the robots and their tasks in MuJoCo."""

import os
import sys

if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")  # off screen, without a display; MuJoCo reads it when it is imported
