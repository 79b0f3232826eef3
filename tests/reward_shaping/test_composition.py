"""Products, stages, gates, schedules, probes, clipping, weights per second, content hash."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from reward_shaping import Reward, RewardError, RewardSettings, RewardWrapper, Transition
from reward_shaping.schedule import Schedule
from tests.fakes import Row, ScriptedRows
from tests.helpers import difference

Array = np.ndarray
SIZES = {"distance": 1, "height": 1, "grasped": 1, "success": 1, "position": 3}
FLAG = {"term": "flag", "signal": "grasped"}
NEAR = {"term": "tolerance", "signal": "distance", "parameters": {"bounds": [0.0, 0.0], "margin": 1.0}}
HIGH = {"term": "tolerance", "signal": "height", "parameters": {"bounds": [1.0, 9.0], "margin": 1.0}}


def make(terms: dict[str, Any], **more: Any) -> Reward:
    context = {key: more.pop(key) for key in ("gamma", "period_s", "observed") if key in more}
    return Reward(RewardSettings.model_validate({"terms": terms} | more), SIZES, **context)


def move(before: dict[str, list[float]], after: dict[str, list[float]], *, terminated: bool = False) -> Transition:
    rows = len(next(iter(after.values())))
    zeros: dict[str, list[float]] = {name: [0.0] * rows for name in SIZES if name != "position"}
    return Transition(
        signals={name: np.array(values)[:, None] for name, values in (zeros | before).items()},
        next_signals={name: np.array(values)[:, None] for name, values in (zeros | after).items()},
        action=np.zeros((rows, 2)),
        previous_action=np.zeros((rows, 2)),
        terminated=np.full(rows, terminated),
        truncated=np.full(rows, False),
        env_reward=np.zeros(rows),
    )


def total(reward: Reward, after: dict[str, list[float]], before: dict[str, list[float]] | None = None) -> list[float]:
    paid: list[float] = reward(move(before or {}, after))[0].tolist()
    return paid


def test_a_product_wants_all_of_its_parts() -> None:
    reward = make({"x": {"product": {"near": NEAR, "high": HIGH}, "weight": 2.0}})
    there = total(reward, {"distance": [0.0, 0.0, 1.0, 1.0], "height": [1.0, 0.0, 1.0, 0.0]})
    assert there == pytest.approx([2, 0.2, 0.2, 0.02])


def test_stages_pay_the_highest_one_that_is_reached() -> None:
    """As robosuite's: 0.1 for reaching, 0.35 for holding, up to 0.5 by lifting."""
    stages = {
        "reach": {**NEAR, "pays": [0.0, 0.1]},
        "hold": {**FLAG, "pays": [0.0, 0.35]},
        "lift": {**HIGH, "when": {"signal": "grasped", "above": 0.5}, "pays": [0.35, 0.5]},
    }
    reward = make({"stage": {"max": stages, "weight": 1.0}})
    signals = {"distance": [0.0, 0.0, 0.0, 0.0], "grasped": [0.0, 1.0, 1.0, 0.0], "height": [0.0, -9.0, 1.0, 1.0]}
    assert total(reward, signals) == pytest.approx([0.1, 0.35, 0.5, 0.1])


def test_a_composition_of_states_may_be_a_potential_and_telescopes() -> None:
    reward = make(
        {"place": {"product": {"near": NEAR, "high": HIGH}, "use": "potential", "offset": 0.5, "weight": 3.0}},
        gamma=0.9,
    )
    paid = total(reward, {"distance": [0.0], "height": [1.0]}, {"distance": [1.0], "height": [1.0]})
    assert paid == pytest.approx([3 * (0.9 * 1.5 - 0.6)])


def test_products_may_stand_in_stages_and_stages_in_products() -> None:
    inner = {"max": {"a": NEAR, "b": HIGH}}
    reward = make({"x": {"product": {"either": inner, "held": FLAG}, "weight": 1.0}})
    assert total(reward, {"distance": [1.0], "height": [1.0], "grasped": [1.0]}) == [1]


def test_a_gate_lets_a_term_count_only_where_it_is_open() -> None:
    open_between = {"signal": "height", "above": 0.0, "below": 1.0}
    reward = make({"x": {"term": "time", "when": open_between, "weight": -1.0}})
    assert total(reward, {"height": [0.0, 0.5, 1.0, -1.0]}) == [0, -1, 0, 0]


def test_a_gated_potential_pays_and_charges_for_its_gate() -> None:
    gate = {"signal": "grasped", "above": 0.5}
    reward = make({"x": {**HIGH, "when": gate, "use": "gain", "weight": 1.0}})
    up = {"height": [1.0], "grasped": [1.0]}
    dropped = {"height": [1.0], "grasped": [0.0]}
    assert total(reward, up, dropped) == [1]
    assert total(reward, dropped, up) == [-1]


def test_a_gate_hides_no_number_that_is_none() -> None:
    reward = make({"x": {**NEAR, "when": {"signal": "grasped", "above": 0.5}, "weight": 1.0}})
    with pytest.raises(RewardError, match=r"x is nan in row 0; it read .*distance.*nan"):
        reward(move({}, {"distance": [np.nan], "grasped": [0.0]}))


def test_a_gate_must_be_observed_or_say_what_it_is_told_from() -> None:
    term = {"term": "time", "weight": 1.0, "when": {"signal": "grasped", "above": 0.5}}
    make({"x": term}, observed={"grasped"})
    with pytest.raises(RewardError, match=r"policy does not observe grasped.*finger_force") as caught:
        make({"x": term}, observed={"finger_force"})
    assert caught.value.path == ("terms", "x", "when", "signal")
    term["when"] = {"signal": "grasped", "above": 0.5, "observed_by": "finger_force"}
    make({"x": term}, observed={"finger_force"})
    term["when"] = {"signal": "grasped", "above": 0.5, "observed_by": "finger_forse"}
    with pytest.raises(RewardError, match="did you mean finger_force"):
        make({"x": term}, observed={"finger_force"})


def test_a_probe_is_computed_and_named_but_does_not_count() -> None:
    counted = {"near": {**NEAR, "weight": 1.0}, "held": {**FLAG, "weight": 0.5}}
    probed = {"hint": {**HIGH, "weight": 2.0, "probe": True}, **counted}
    signals = {"distance": [0.3, 0.7], "height": [1.0, 0.5], "grasped": [0.0, 1.0]}
    plain, breakdown = make(counted)(move({}, signals))
    reward = make(probed)
    same, with_probe = reward(move({}, signals))
    assert same.tobytes() == plain.tobytes()
    assert reward.names == ("near", "held", "hint")
    assert with_probe[:2].tobytes() == breakdown.tobytes()
    assert with_probe[2].tolist() == pytest.approx([2, 1.1])
    assert reward.labels == ("near", "held", "probe/hint")


def test_a_probe_that_is_no_number_is_found() -> None:
    reward = make({"a": {"term": "time", "weight": 1.0}, "b": {**NEAR, "weight": 1.0, "probe": True}})
    with pytest.raises(RewardError, match="b is nan in row 0"):
        reward(move({}, {"distance": [np.nan]}))


def test_a_negative_total_may_be_clipped() -> None:
    reward = make({"a": {**FLAG, "weight": 1.0}, "b": {"term": "time", "weight": -0.5}}, only_positive=True)
    assert total(reward, {"grasped": [1.0, 0.0]}) == [0.5, 0]


def test_weights_per_second_are_multiplied_by_the_period_where_a_term_scales_with_it() -> None:
    terms = {
        "time": {"term": "time", "weight": -2.0},
        "solved": {"term": "success", "weight": 5.0},
        "phi": {**FLAG, "use": "gain", "weight": 3.0},
        "dwell": {"term": "grasp", "signal": {"placed": "success"}, "use": "state", "weight": 7.0},
    }
    reward = make(terms, period_s=0.1, per_second=True)
    assert reward.weights.tolist() == pytest.approx([-0.2, 5, 3, 0.7])
    assert total(reward, {"success": [1.0], "grasped": [1.0]}) == pytest.approx([-0.2 + 5 + 3 + 0.7])


SCHEDULES: list[tuple[dict[str, Any], dict[tuple[float, float], float]]] = [
    (
        {"schedule": "linear", "initial": 1.0, "final": -1.0, "begin": 100, "end": 300},
        {(0, 0): 1, (100, 0): 1, (150, 0): 0.5, (200, 0): 0, (300, 0): -1, (1e9, 0): -1},
    ),
    (
        {"schedule": "cosine", "initial": 0.0, "final": 4.0, "end": 100},
        {(0, 0): 0, (25, 0): 2 - 2**0.5, (50, 0): 2, (75, 0): 2 + 2**0.5, (100, 0): 4},
    ),
    (
        {"schedule": "steps", "weights": [{"step": 0, "weight": -0.1}, {"step": 1e3, "weight": -1.0}]},
        {(0, 0): -0.1, (999, 0): -0.1, (1000, 0): -1},
    ),
    (
        {"schedule": "success", "initial": 0.0, "final": 2.0, "begin": 0.2, "end": 0.6},
        {(1e9, 0): 0, (0, 0.2): 0, (0, 0.4): 1, (0, 0.6): 2, (0, 1): 2},
    ),
]


@pytest.mark.parametrize(("weight", "expected"), SCHEDULES)
def test_a_scheduled_weight_is_worked_arithmetic(
    weight: dict[str, Any], expected: dict[tuple[float, float], float]
) -> None:
    reward = make({"x": {"term": "time", "weight": weight}})
    for (step, success), value in expected.items():
        reward.advance(step, success)
        assert total(reward, {"grasped": [0.0]}) == pytest.approx([value])


@pytest.mark.parametrize(("weight", "expected"), SCHEDULES)
def test_evaluations_take_the_weights_at_the_end(
    weight: dict[str, Any], expected: dict[tuple[float, float], float]
) -> None:
    settings = RewardSettings.model_validate({"terms": {"x": {"term": "time", "weight": weight}}}).at_the_end()
    assert settings.terms["x"].weight == list(expected.values())[-1]
    assert not isinstance(settings.terms["x"].weight, Schedule)


def scheduled_wrapper(schedule: dict[str, Any]) -> RewardWrapper:
    """Rows whose success is 1 at the end of every second step."""
    steps = [
        [Row({"success": [0.0]}), Row({"success": [0.0]})],
        [Row({"success": [0.0]}), Row({"success": [0.0]}, terminated=True, final={"success": [1.0]})],
        [Row({"success": [0.0]}, truncated=True, final={"success": [0.0]}), Row({"success": [0.0]})],
    ]
    settings = RewardSettings.model_validate({"terms": {"x": {"term": "time", "weight": schedule}}})
    return RewardWrapper(ScriptedRows(steps), Reward(settings, {"success": 1}))


def test_the_wrapper_counts_transitions_for_schedules() -> None:
    env = scheduled_wrapper({"schedule": "linear", "initial": 0.0, "final": 6.0, "end": 6})
    env.reset()
    paid = [env.step(np.zeros((2, 1), np.float32))[1].tolist() for _ in range(4)]
    assert paid == [[0, 0], [2, 2], [4, 4], [6, 6]]


def test_the_wrapper_measures_success_for_schedules() -> None:
    env = scheduled_wrapper({"schedule": "success", "initial": 0.0, "final": 1.0, "end": 1.0})
    env.reset()
    paid = [env.step(np.zeros((2, 1), np.float32))[1].tolist() for _ in range(3)]
    assert paid == [[0, 0], [1, 1], [0.5, 0.5]]


@pytest.mark.parametrize("kind", ["linear", "success"])
def test_a_restored_wrapper_goes_on_with_the_same_weights(kind: str) -> None:
    schedule = {"schedule": kind, "initial": 0.0, "final": 1.0, "end": 8 if kind == "linear" else 1.0}
    env, fresh = scheduled_wrapper(schedule), scheduled_wrapper(schedule)
    action = np.zeros((2, 1), np.float32)
    env.reset()
    fresh.reset()
    for _ in range(2):
        infos = env.step(action)[4]
        fresh.env.step(action)
    fresh.load_state_dict(env.state_dict(), infos)
    for _ in range(3):
        assert difference(env.step(action), fresh.step(action)) == ""


def test_the_content_hash_is_of_what_the_numbers_depend_on() -> None:
    base: dict[str, Any] = {"x": {**FLAG, "weight": 1.0}}
    plain = make(base).content_hash
    assert len(plain) == 64
    assert make(base, gamma=0.9).content_hash == plain  # no potential: gamma does not matter
    assert make({"x": {**FLAG, "weight": 1}}, period_s=0.1).content_hash == plain
    others = [
        make({"y": base["x"]}),
        make({"x": {**FLAG, "weight": 2.0}}),
        make(base | {"hint": {**FLAG, "weight": 1.0, "probe": True}}),
        make(base, only_positive=True),
        make({"x": {**FLAG, "weight": 1.0, "use": "potential"}}, gamma=0.9),
        make({"x": {**FLAG, "weight": 1.0, "use": "potential"}}, gamma=0.99),
    ]
    assert len({plain, *(reward.content_hash for reward in others)}) == len(others) + 1


def test_defaults_that_are_written_out_leave_the_content_hash() -> None:
    spelled = {**NEAR, "parameters": {**NEAR["parameters"], "kind": "linear", "value_at_margin": 0.1}}  # type: ignore[dict-item]
    assert make({"x": {**NEAR, "weight": 1.0}}).content_hash == make({"x": {**spelled, "weight": 1.0}}).content_hash


def test_the_table_tells_compositions_uses_schedules_and_probes() -> None:
    reward = make(
        {
            "place": {"product": {"near": NEAR, "held": FLAG}, "use": "gain", "weight": 2.0},
            "hint": {"term": "time", "weight": SCHEDULES[0][0], "probe": True},
        }
    )
    place, hint = reward.describe()
    assert place[:3] == ("place", "product of near, held (gain)", "distance, grasped")
    assert place[4] == "2"
    assert hint[4] == "1 to -1, linear, steps 100 to 300 (probe)"


@pytest.mark.parametrize(
    ("terms", "more", "path", "message"),
    [
        ({"x": {**FLAG, "use": "potential", "weight": 1.0}}, {}, ("terms", "x"), "discount of what trains"),
        (
            {"x": {"term": "time", "use": "potential", "weight": 1.0}},
            {"gamma": 0.9},
            ("terms", "x", "use"),
            "function of one state; this one reads terminated",
        ),
        ({"x": {**FLAG, "offset": 1.0, "weight": 1.0}}, {}, ("terms", "x", "offset"), "belongs to use: potential"),
        (
            {"x": {**FLAG, "use": "gain", "weight": 1.0}},
            {"only_positive": True},
            ("only_positive",),
            "keeps potentials harmless, and x is one",
        ),
        ({"x": {"term": "time", "weight": 1.0}}, {"per_second": True}, ("per_second",), "control period is not known"),
        (
            {"x": {"max": {"a": FLAG, "b": {**FLAG, "signal": "graspd"}}, "weight": 1.0}},
            {},
            ("terms", "x", "max", "b", "signal"),
            "did you mean grasped",
        ),
        (
            {"x": {"term": "time", "when": {"signal": "hight", "above": 0.0}, "weight": 1.0}},
            {},
            ("terms", "x", "when", "signal"),
            "did you mean height",
        ),
        (
            {"x": {"term": "time", "when": {"signal": "position", "above": 0.0}, "weight": 1.0}},
            {},
            ("terms", "x", "when", "signal"),
            "position has 3 numbers; a gate reads one",
        ),
        (
            {"x": {"term": "reach", "signal": "position", "parameters": {"std": 1.0}, "weight": 1.0}},
            {},
            ("terms", "x"),
            r"cannot be computed from position \(3\)",
        ),
        (
            {
                "x": {
                    "term": "limits",
                    "signal": "position",
                    "parameters": {"low": [0.0, 0.0], "high": [1.0, 1.0], "margin": 0.1},
                    "weight": 1.0,
                }
            },
            {},
            ("terms", "x"),
            r"cannot be computed from position \(3\)",
        ),
        (
            {"x": {**NEAR, "parameters": {"bounds": [0.0, 0.0], "kind": "gaussian"}, "weight": 1.0}},
            {},
            ("terms", "x", "parameters", "margin"),
            "0 makes a step and gaussian never reaches 0",
        ),
        (
            {"x": {**NEAR, "parameters": {"bounds": [0.0]}, "weight": 1.0}},
            {},
            ("terms", "x", "parameters", "bounds"),
            "at least 2 items",
        ),
        (
            {"x": {**NEAR, "parameters": {"bounds": [0.0, 1.0], "kind": "gausian"}, "weight": 1.0}},
            {},
            ("terms", "x", "parameters", "kind"),
            "gaussian",
        ),
    ],
)
def test_a_composition_that_does_not_fit_is_refused_with_its_path(
    terms: dict[str, Any], more: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RewardError, match=message) as caught:
        make(terms, **more)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "term",
    [
        {"term": "time", "product": {"a": FLAG, "b": FLAG}},
        {"product": {"a": FLAG}},
        {"max": {"a": FLAG, "b": FLAG}, "signal": "grasped"},
        {"max": {"a": FLAG, "b": {**FLAG, "weight": 1.0}}},
        {"term": "time", "when": {"signal": "grasped"}},
        {"term": "time", "when": {"signal": "grasped", "above": 1.0, "below": 1.0}},
        {"term": "time", "use": "shaping"},
        {"term": "time", "gamma": 0.9},
        {"term": "time", "probe": True},
        {"term": "time", "pays": [1.0]},
        {"term": "time", "weight": {"schedule": "linear", "initial": 0.0, "final": 1.0}},
        {"term": "time", "weight": {"schedule": "linear", "initial": 0.0, "final": 1.0, "begin": 5, "end": 5}},
        {"term": "time", "weight": {"schedule": "sudden", "initial": 0.0, "final": 1.0, "end": 5}},
        {"term": "time", "weight": {"schedule": "success", "initial": 0.0, "final": 1.0, "end": 1.5}},
        {"term": "time", "weight": {"schedule": "steps", "weights": [{"step": 5, "weight": 1.0}]}},
        {"term": "time", "weight": {"schedule": "steps", "weights": []}},
    ],
)
def test_a_composition_that_is_none_is_refused(term: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RewardSettings.model_validate({"terms": {"x": {"weight": 1.0} | term}})
