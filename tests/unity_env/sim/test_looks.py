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
