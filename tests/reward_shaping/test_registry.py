"""One's own terms: by python:module:function, and published by an installed package."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reward_shaping import Reward, RewardError, RewardSettings
from reward_shaping.registry import ENTRY_POINTS
from tests.reward_shaping.test_reward import transition

MODULE = """
from __future__ import annotations
import numpy as np
from reward_shaping import Term

def hover(goal_distance: np.ndarray, height: float = 2.0) -> np.ndarray:
    return height * goal_distance[:, 0]

def left_behind(goal_distance_before: np.ndarray, goal_distance: np.ndarray) -> np.ndarray:
    return (goal_distance - goal_distance_before)[:, 0]

def untyped(goal_distance, height=2.0):
    return goal_distance

def late(height: float, goal_distance: np.ndarray) -> np.ndarray:
    return goal_distance

def odd(goal_distance: np.ndarray, height: np.random.Generator) -> np.ndarray:
    return goal_distance

def wide(goal_distance: np.ndarray) -> np.ndarray:
    return goal_distance

declared = Term(hover, kind="potential", range=(0, 10), unit="m")
number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_terms.py").write_text(MODULE)
    (tmp_path / "broken_terms.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_terms", "broken_terms"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def make(term: str, **more: Any) -> Reward:
    settings = {"terms": {"x": {"term": term, "weight": 1.0, **more}}}
    return Reward(RewardSettings.model_validate(settings), {"goal_distance": 1, "tool_distance": 1}, gamma=0.9)


def test_a_function_of_ones_own_is_a_term() -> None:
    reward = make("python:my_terms:hover", parameters={"height": 10.0}, signal="tool_distance")
    assert reward(transition())[0].tolist() == [70, 50]
    assert make("python:my_terms:left_behind")(transition())[0].tolist() == pytest.approx([-0.2, -0.1])


def test_a_term_of_ones_own_may_declare_itself_and_be_a_potential() -> None:
    paid = make("python:my_terms:declared")(transition())[0]
    np.testing.assert_allclose(paid, [0.9 * 0.6 - 1.0, -0.2])
    shaped = make("python:my_terms:hover", use="potential")(transition())[0]
    np.testing.assert_allclose(paid, shaped)


def test_an_installed_package_may_publish_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint("hover", "my_terms:declared", ENTRY_POINTS),
            EntryPoint("gone", "my_terms:gone", ENTRY_POINTS),
        ]
    )
    monkeypatch.setattr("reward_shaping.registry.entry_points", lambda group: points.select(group=group))
    assert make("hover", use="state")(transition())[0].tolist() == [0.6, 0]
    with pytest.raises(RewardError, match="unknown term hovver, did you mean hover"):
        make("hovver")
    with pytest.raises(RewardError, match=r"gone, which my_terms:gone should be: .*no attribute"):
        make("gone")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("python:", "expected python:package.module:function"),
        ("python:my_terms", "expected python:package.module:function"),
        ("python:my_termz:hover", "No module named 'my_termz'"),
        ("python:broken_terms:hover", "No module named 'nothing_of_that_name'"),
        ("python:my_terms:hovver", "no hovver in my_terms, did you mean hover"),
        ("python:my_terms:number", "is int; expected a function or a Term"),
        ("python:my_terms:untyped", "goal_distance needs a name and a type: np.ndarray for a signal"),
        ("python:my_terms:late", "goal_distance is an array behind a parameter"),
        ("python:my_terms:odd", "Generator"),
    ],
)
def test_what_is_no_term_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(RewardError, match=message) as caught:
        make(name)
    assert caught.value.path == ("terms", "x", "term")
    assert "\n" not in str(caught.value)


def test_a_term_that_returns_another_shape_is_refused_before_training() -> None:
    with pytest.raises(RewardError, match=r"returns shape \(2, 1\) for 2 rows; expected \(2,\)"):
        make("python:my_terms:wide")
