"""Costs: made like terms, kept apart from the total."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from reward_shaping import Reward, RewardError, RewardSettings, RewardWrapper, Transition
from tests.fakes import Row, ScriptedRows

SIZES = {"distance": 1, "force": 1, "near": 1}
TERMS = {"way": {"term": "flag", "signal": "near", "weight": 2.0}}
FORCE: dict[str, Any] = {"term": "contact_force", "signal": "force", "parameters": {"free": 2.0}, "limit": 5.0}


def make(costs: dict[str, Any], **more: Any) -> Reward:
    return Reward(RewardSettings.model_validate({"terms": TERMS, "costs": costs} | more), SIZES)


def pressing(*force: float, near: float = 1.0) -> Transition:
    rows = len(force)
    signals = {
        "force": np.array(force)[:, None],
        "near": np.full((rows, 1), near),
        "distance": np.zeros((rows, 1)),
    }
    nothing = np.zeros((rows, 2))
    return Transition(signals, signals, nothing, nothing, np.zeros(rows, bool), np.zeros(rows, bool), np.zeros(rows))


def test_a_cost_is_never_in_the_total_nor_among_the_terms() -> None:
    plain, costly = make({}), make({"press": FORCE})
    one, other = plain(pressing(0, 9, 5)), costly(pressing(0, 9, 5))
    assert one[0].tobytes() == other[0].tobytes()
    assert one[1].tobytes() == other[1].tobytes()
    assert costly.names == ("way",)
    assert costly.cost_of(pressing(0, 9, 5)).tolist() == [[0, 7, 3]]


def test_a_cost_is_made_of_the_same_parts_as_a_term() -> None:
    flag = {"term": "flag", "signal": "near"}
    costs = {
        "both": {"product": {"a": flag, "b": {"term": "time"}}, "limit": 1.0},
        "most": {"max": {"a": flag, "b": {"term": "time"}}, "pays": [0.0, 3.0], "limit": 1.0},
        "held": {"term": "time", "when": {"signal": "near", "above": 0.5}, "limit": 1.0},
    }
    assert make(costs).cost_of(pressing(0.0, near=0.0)).tolist() == [[0], [3], [0]]
    assert make(costs).cost_of(pressing(0.0, near=1.0)).tolist() == [[1], [3], [1]]


def test_what_a_cost_reads_is_asked_of_the_environment() -> None:
    assert make({"press": FORCE}).signals == {"near", "force"}
    with pytest.raises(RewardError, match="unknown signal farce, did you mean force") as caught:
        make({"press": {**FORCE, "signal": "farce"}})
    assert caught.value.path == ("costs", "press", "signal")


def test_a_cost_that_is_no_number_is_named_with_its_row() -> None:
    with pytest.raises(RewardError, match=r"cost press is nan in row 1; it read .*force.*nan") as caught:
        make({"press": FORCE}).cost_of(pressing(0.0, float("nan")))
    assert caught.value.path == ("costs", "press")


def test_costs_are_in_the_content_hash_and_none_leaves_it() -> None:
    rewards = [
        make({}),
        make({"press": FORCE}),
        make({"press": {**FORCE, "limit": 6.0}}),
        make({"press": {**FORCE, "per": "step"}}),
        make({"press": {**FORCE, "multiplier": {"ki": 0.5}}}),
        make({"touch": FORCE}),
    ]
    assert len({reward.content_hash for reward in rewards}) == len(rewards)
    without = Reward(RewardSettings.model_validate({"terms": TERMS}), SIZES)
    assert rewards[0].content_hash == without.content_hash
    assert make({"press": {**FORCE, "per": "episode"}}).content_hash == rewards[1].content_hash


def test_the_table_tells_a_costs_limit() -> None:
    assert make({"press": FORCE}).describe()[1] == (
        "cost/press",
        "contact_force",
        "force",
        "free=2",
        "<= 5 per episode",
    )


def test_the_wrapper_tells_costs_apart_and_none_where_nothing_was_reported() -> None:
    steps = [
        [Row({"force": [0.0], "near": [1.0]}), Row({"force": [0.0], "near": [1.0]})],
        [Row({"force": [4.0], "near": [1.0]}), Row({"force": [4.0], "near": [1.0]}, valid=False)],
    ]
    env = RewardWrapper(ScriptedRows(steps), make({"press": FORCE}), scale=10.0)
    env.reset()
    _, rew, _, _, infos = env.step(np.zeros((2, 1), np.float32))
    assert rew.tolist() == [20, 0]
    assert {name: cost.tolist() for name, cost in infos["costs"].items()} == {"press": [2, 0]}
    assert list(infos["reward_terms"]) == ["way"]


def test_without_costs_the_wrapper_tells_of_none() -> None:
    env = RewardWrapper(ScriptedRows([[Row({"near": [1.0]})]] * 2), make({}))
    env.reset()
    assert env.step(np.zeros((1, 1), np.float32))[4]["costs"] == {}


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"limit": None}, "press", "a cost needs a limit"),
        ({"limit": float("inf")}, "limit", "finite"),
        ({"per": "second"}, "per", "'episode' or 'step'"),
        ({"weight": 1.0}, "weight", "Extra inputs"),
        ({"use": "potential"}, "use", "Extra inputs"),
        ({"multiplier": {"kp": -1.0}}, "kp", "greater than or equal to 0"),
        ({"multiplier": {"kp": 0.0, "ki": 0.0}}, "multiplier", "would not follow the cost"),
        ({"multiplier": {"initial": 2.0, "max": 1.0}}, "multiplier", "initial 2 is above max 1"),
        ({"multiplier": {"smoothing": 1.0}}, "smoothing", "less than 1"),
    ],
)
def test_a_cost_that_cannot_be_kept_is_refused(change: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        make({"press": FORCE | change})
    assert caught.value.errors()[0]["loc"][-1] == path


def test_a_cost_with_a_weight_instead_of_a_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="a cost needs a limit: what its mean per episode may be") as caught:
        make({"press": {**{key: value for key, value in FORCE.items() if key != "limit"}, "weight": -1.0}})
    assert caught.value.errors()[0]["loc"] == ("costs", "press")
