"""The reward in README.md is one that can be built."""

import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import yaml

from reward_shaping import Reward, RewardSettings
from unity_env.sim.role import find_role

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_reward_fits_the_arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_terms.py").write_text(
        "import numpy as np\n\ndef wobble(joint_vel: np.ndarray) -> np.ndarray:\n    return joint_vel[:, 0]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_terms", raising=False)  # another test's
    text = README.read_text(encoding="utf-8")
    block = text[text.index("    terms:\n      way:") :].split("\n\n")[0]
    costs = text[text.index("    costs:\n      speed:") :].split("\n\n")[0]
    settings = RewardSettings.model_validate(yaml.safe_load(dedent(block)) | yaml.safe_load(dedent(costs)))
    role = find_role("arm_pick_place", "RobotArm")
    sizes = {part.name: part.size for part in role.sensors["signals"]} | {"goal_distance": 1}
    reward = Reward(settings, sizes, gamma=0.9, observed={part.name for part in role.sensors["observation"]})
    assert reward.names == ("way", "place", "stage", "calm", "tilt", "idea")
    assert np.isfinite(reward.weights).all()
    assert [cost.name for cost in reward.costs] == ["speed", "squeeze"]
