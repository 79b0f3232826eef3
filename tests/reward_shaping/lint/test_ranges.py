"""What the linter takes for a term's range holds every value that the term can have."""

from typing import Any

import numpy as np
import pytest

from reward_shaping import Reward, RewardSettings, Transition
from reward_shaping.lint import Facts, SignalFacts
from reward_shaping.lint.ranges import NOTHING, ONE, Interval, range_of
from reward_shaping.terms import TERMS

ROWS = 4000
PARAMETERS: dict[str, dict[str, Any]] = {
    "goal_progress": {"start_distance": 2.0},
    "limits": {"low": [-1.0, -2.0], "high": [1.0, 2.0], "margin": 0.3},
    "approach_speed": {"max_velocity": 1.0},
    "spin": {"slow": 0.2},
}
SIGNALS = {
    "goal_distance": SignalFacts(1, (0.0, 12.0), "m"),
    "forward_velocity": SignalFacts(1, (-1.5, 1.0), "m/s"),
    "yaw_velocity": SignalFacts(1, (-2.0, 3.0), "rad/s"),
    "goal_bearing": SignalFacts(1, (-3.15, 3.15), "rad"),
    "joint_vel": SignalFacts(6, (-12.0, 10.0), "rad/s"),
    "joint_torque": SignalFacts(6, (-60.0, 60.0), "N m"),
    "joint_pos": SignalFacts(2, (-3.2, 3.2), "rad"),
    "contact_force": SignalFacts(3, (-20.0, 30.0), "N"),
}
UNBOUNDED = [name for name, term in TERMS.items() if not Interval(*term.range).is_finite and name != "env_reward"]
FACTS = Facts(signals=SIGNALS, action_size=3)


def bound(term: dict[str, Any]) -> tuple[Reward, Any]:
    settings = RewardSettings.model_validate({"terms": {"x": {**term, "weight": 1.0, "use": "state"}}})
    reward = Reward(settings, {name: of.size for name, of in SIGNALS.items()})
    return reward, reward.entries[0]


def random_states(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.uniform(*of.limit, (ROWS, of.size)) for name, of in SIGNALS.items()}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_limits_of_signals_and_actions_bound_every_unbounded_term(name: str) -> None:
    reward, entry = bound({"term": name, "parameters": PARAMETERS.get(name, {})})
    low, high = range_of(entry.settings, ("terms", "x"), entry.part.bound, FACTS, "going on")
    rng, never = np.random.default_rng(0), np.zeros(ROWS, dtype=bool)
    before, after = random_states(rng), random_states(rng)
    action, previous = rng.uniform(-1, 1, (2, ROWS, 3))
    total, _ = reward(Transition(before, after, action, previous, never, never, np.zeros(ROWS)))
    assert np.isfinite([low, high]).all()
    assert low <= total.min()
    assert total.max() <= high
    assert high - low <= 40 * np.ptp(total)  # nor is it far too wide


@pytest.mark.parametrize(
    ("term", "going_on", "solved", "failed"),
    [
        ({"term": "success", "signal": "goal_distance"}, NOTHING, ONE, NOTHING),
        ({"term": "collision", "signal": "goal_distance"}, NOTHING, NOTHING, ONE),
        ({"term": "time"}, ONE, ONE, ONE),
        ({"term": "time", "pays": [-3.0, -2.0]}, (-2, -2), (-2, -2), (-2, -2)),
        (
            {"term": "time", "when": {"signal": "goal_distance", "above": 1.0}},
            (0, 1),
            (0, 1),
            (0, 1),
        ),
        (
            {
                "max": {
                    "near": {"term": "reach", "parameters": {"std": 1.0}, "pays": [0.0, 0.3]},
                    "done": {"term": "success", "signal": "goal_distance"},
                }
            },
            (0, 0.3),
            (1, 1),
            (0, 0.3),
        ),
        (
            {
                "product": {
                    "near": {"term": "reach", "parameters": {"std": 1.0}, "pays": [-1.0, 2.0]},
                    "far": {"term": "sparse_goal", "parameters": {"tolerance": 1.0}, "pays": [0.0, 3.0]},
                }
            },
            (-6, 3),
            (-6, 3),
            (-6, 3),
        ),
    ],
)
def test_ranges_of_compositions_are_worked_arithmetic(
    term: dict[str, Any], going_on: Any, solved: Any, failed: Any
) -> None:
    _, entry = bound(term)
    ranges = [
        range_of(entry.settings, ("terms", "x"), entry.part.bound, FACTS, situation)
        for situation in ("going on", "solved", "failed")
    ]
    assert [tuple(each) for each in ranges] == [tuple(going_on), tuple(solved), tuple(failed)]


def test_at_rest_what_moves_is_zero() -> None:
    _, entry = bound({"term": "approach_speed", "parameters": {"max_velocity": 1.0}})
    assert range_of(entry.settings, ("terms", "x"), entry.part.bound, FACTS, "at rest") == NOTHING
    assert range_of(entry.settings, ("terms", "x"), entry.part.bound, Facts(), "at rest") == NOTHING
