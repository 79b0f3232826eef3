import os
import subprocess
import sys

import pytest

from unity_env.sim.env import SimEnv
from unity_env.sim.model.scene import SCENERY_GROUP
from unity_env.sim.role import all_roles


@pytest.mark.parametrize("task", sorted(all_roles()))
def test_scenery_touches_nothing_and_weighs_nothing(task: str) -> None:
    model = SimEnv(task, 1, threads=1).task.model
    scenery = model.geom_group == SCENERY_GROUP
    assert not model.geom_contype[scenery].any()
    assert not model.geom_conaffinity[scenery].any()
    for body in range(1, model.nbody):
        if model.body(body).name.endswith("/scenery"):
            assert model.body_mass[body] == 0.0


WITHOUT_EGL = """
import ctypes, ctypes.util
def find(name, find=ctypes.util.find_library): return None if "EGL" in name else find(name)
def load(self, name, *more, load=ctypes.CDLL.__init__, **mode):
    if "EGL" in str(name): raise OSError(f"{name}: cannot open shared object file")
    load(self, name, *more, **mode)
ctypes.util.find_library, ctypes.CDLL.__init__ = find, load

from pathlib import Path
from unity_env.sim.env import SimEnv
from unity_env.sim.render import RenderError, save_picture
env = SimEnv("arm_reach", 1)
env.reset()
env.step()
try:
    save_picture("arm_reach", Path("x.png"))
except RenderError as error:
    print("stepped;", error)
"""


def test_a_machine_without_egl_simulates_and_says_that_it_draws_nothing() -> None:
    here = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    ran = subprocess.run([sys.executable, "-c", WITHOUT_EGL], capture_output=True, text=True, check=False, env=here)
    assert ran.stderr == ""
    assert ran.stdout.startswith("stepped; no off-screen rendering here (no OpenGL found")
