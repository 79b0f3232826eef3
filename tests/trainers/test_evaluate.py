import numpy as np
import pytest

from tests.fakes import Row, ScriptedRows
from trainers.errors import RunError
from trainers.evaluate import Evaluation, MeasuredCost, bootstrap_interval, evaluate, permutation_p


def go(reward: float = 1.0, **more: object) -> Row:
    return Row({"success": [0.0]}, reward, **more)  # type: ignore[arg-type]  # the fields of Row


def end(reward: float, *, success: bool) -> Row:
    return go(reward, terminated=success, truncated=not success, final={"success": [float(success)]})


# row 0 ends after every step; row 1 after every third; the script repeats
STEPS = [
    [go(), go()],
    [end(1.0, success=True), go(10.0)],
    [end(2.0, success=False), go(20.0)],
    [end(3.0, success=True), end(30.0, success=False)],
]


def policy(obs: np.ndarray, _: object) -> np.ndarray:
    return np.zeros((len(obs), 1), np.float32)


def test_every_row_gives_the_same_number_of_episodes() -> None:
    result = evaluate(ScriptedRows(STEPS), policy, 4, seed=7)
    # episode by episode: row 0's first, row 1's first, row 0's second, row 1's second
    assert result.returns.tolist() == [1, 60, 2, 60]
    assert result.lengths.tolist() == [1, 3, 1, 3]
    assert result.successes is not None
    assert result.successes.tolist() == [True, False, False, False]
    assert result.success == 0.25


def test_an_odd_number_of_episodes_is_kept_exactly() -> None:
    result = evaluate(ScriptedRows(STEPS), policy, 3, seed=7)
    assert result.returns.tolist() == [1, 60, 2]


def test_the_seed_reaches_the_environment() -> None:
    env = ScriptedRows(STEPS)
    evaluate(env, policy, 2, seed=1234)
    assert env.seed == 1234


def test_the_policy_sees_the_rows_of_the_last_step() -> None:
    seen = []

    def watching(obs: np.ndarray, infos: object) -> np.ndarray:
        seen.append(obs[:, 0].tolist())
        return policy(obs, infos)

    evaluate(ScriptedRows(STEPS), watching, 2, seed=0)
    assert seen == [[0, 0], [1, 1], [2, 2]]


def test_rows_that_report_nothing_do_not_count() -> None:
    steps = [[go()], [go(5.0)], [go(99.0, valid=False)], [end(7.0, success=True)]]
    result = evaluate(ScriptedRows(steps), policy, 1, seed=0)
    assert (result.returns.tolist(), result.lengths.tolist()) == ([12.0], [2])


def test_a_row_whose_agent_is_gone_for_good_gives_the_episodes_that_it_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainers.evaluate.SILENT_STEPS", 20)
    gone = go(valid=False)
    steps = [[go(), go()], [end(1.0, success=True), end(5.0, success=False)], *[[end(2.0, success=True), gone]] * 50]
    result = evaluate(ScriptedRows(steps), policy, 6, seed=7)
    assert result.returns.tolist() == [1, 5, 2, 2]
    with pytest.raises(RunError, match="no agent has finished an episode"):
        evaluate(ScriptedRows([[go()], *[[gone]] * 50]), policy, 1, seed=7)


def test_without_a_success_signal_there_is_no_success() -> None:
    steps = [[Row({"x": [0.0]})], [Row({"x": [0.0]}, 4.0, truncated=True, final={"x": [1.0]})]]
    result = evaluate(ScriptedRows(steps), policy, 1, seed=0)
    assert result.success is None
    assert result.summary() == {"return": 4.0, "length": 1.0}
    assert result.score == (0.0, 4.0)


def make(successes: list[bool], returns: list[float], **excess: float) -> Evaluation:
    costs = {name: MeasuredCost(2.0 + above, 2.0, above) for name, above in excess.items()}
    return Evaluation(np.array(returns), np.ones(len(returns)), np.array(successes), costs=costs)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (make([True, True], [0.0, 0.0]), make([True, False], [9.0, 9.0])),
        (make([True, False], [2.0, 2.0]), make([False, True], [1.0, 2.0])),
    ],
)
def test_success_decides_before_the_return(better: Evaluation, worse: Evaluation) -> None:
    assert better.score > worse.score


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (make([False], [0.0], speed=0.0), make([True], [9.0], speed=0.01)),
        (make([False], [0.0], speed=0.1, force=0.1), make([True], [9.0], speed=0.0, force=0.3)),
        (make([True], [0.0], speed=0.0), make([False], [9.0], speed=0.0)),
    ],
)
def test_limits_decide_before_success(better: Evaluation, worse: Evaluation) -> None:
    assert better.score > worse.score


def test_a_summary_tells_what_the_costs_came_to() -> None:
    assert make([True], [3.0], speed=0.5).summary() == {
        "success": 1.0,
        "return": 3.0,
        "length": 1.0,
        "cost/speed": 2.5,
    }


def test_a_bootstrap_interval_is_that_of_the_means_own_spread() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    spread = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - spread, values.mean() + spread), abs=0.02)


def test_95_in_100_intervals_hold_the_true_rate() -> None:
    rng = np.random.default_rng(2)
    intervals = [bootstrap_interval(rng.random(100) < 0.7) for _ in range(60)]
    held = np.mean([low <= 0.7 <= high for low, high in intervals])
    assert 0.85 <= held <= 1.0


def test_intervals_are_told_of_what_was_measured() -> None:
    measured = Evaluation(np.array([1.0, 3.0]), np.array([5, 5]), None)
    assert measured.intervals() == {"return": (1.0, 3.0), "length": (5.0, 5.0)}


@pytest.mark.parametrize(
    ("better", "worse", "p"), [([3, 4], [1, 2], 1 / 6), ([1, 2], [3, 4], 1.0), ([1, 4], [2, 3], 4 / 6)]
)
def test_a_permutation_test_counts_divisions_that_are_as_far_apart(
    better: list[int], worse: list[int], p: float
) -> None:
    """Of four values there are six divisions into two and two."""
    assert permutation_p(np.array(better), np.array(worse)) == pytest.approx(p, abs=0.02)


def test_samples_that_are_the_same_are_no_better() -> None:
    assert permutation_p(np.full(20, 0.1), np.full(30, 0.1)) == 1.0
    apart = np.random.default_rng(0).normal(size=(2, 200))
    assert permutation_p(apart[0] + 1.0, apart[1]) == pytest.approx(1e-4, rel=0.01)
