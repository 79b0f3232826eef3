"""The ring of transitions: what it keeps, what it forgets, and what it draws."""

from collections import Counter, deque

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import difference
from trainers.replay import Replay

Array = np.ndarray
SIZES = {"obs": 2, "id": 1}


def add(replay: Replay, ids: list[int], valid: list[bool] | None = None, done: list[bool] | None = None) -> None:
    """One step: transition `id` of each row observes (id, -id)."""
    number, yes = np.array(ids, dtype=np.float32), [True] * len(ids)
    columns = {"obs": np.stack((number, -number), axis=1), "id": number}
    replay.add(columns, np.array(valid or yes), np.array(done or [False] * len(ids)))


def ids_of(replay: Replay, indices: Array) -> list[int]:
    return [int(number) for number in replay.read(indices)["id"][:, 0]]


def stored(replay: Replay) -> list[int]:
    return sorted(set(ids_of(replay, replay.sample(40 * replay.capacity))))


def test_a_full_ring_forgets_the_oldest_of_each_row() -> None:
    replay = Replay(capacity=6, rows=2, sizes=SIZES, seed=0)
    for step in range(5):
        add(replay, [step, 100 + step])
    assert (replay.slots, replay.size, replay.capacity) == (3, 6, 6)
    assert stored(replay) == [2, 3, 4, 102, 103, 104]


def test_capacity_that_does_not_divide_by_the_rows_is_rounded_down_but_never_to_nothing() -> None:
    assert Replay(7, 2, SIZES, 0).capacity == 6
    assert Replay(1, 4, SIZES, 0).capacity == 4


def test_rows_without_a_report_store_nothing() -> None:
    replay = Replay(8, 2, SIZES, 0)
    add(replay, [0, 100])
    add(replay, [1, 999], valid=[True, False])
    add(replay, [2, 101])
    assert stored(replay) == [0, 1, 2, 100, 101]


def test_columns_come_back_as_they_were_stored() -> None:
    replay = Replay(8, 2, SIZES, 0)
    add(replay, [3, 4])
    read = replay.read(np.array([1, 0]))
    assert read["obs"].tolist() == [[4, -4], [3, -3]]
    assert read["id"].tolist() == [[4], [3]]


def test_what_is_read_is_a_copy() -> None:
    replay = Replay(2, 1, SIZES, 0)
    add(replay, [3])
    replay.read(np.array([0]))["obs"][:] = 7
    assert replay.read(np.array([0]))["obs"].tolist() == [[3, -3]]


def test_all_transitions_are_drawn_alike_where_rows_hold_different_numbers() -> None:
    replay = Replay(20, 2, SIZES, 0)
    add(replay, [0, 100])
    for step in range(1, 4):
        add(replay, [step, 999], valid=[True, False])
    counts = Counter(ids_of(replay, replay.sample(50_000)))
    assert set(counts) == {0, 1, 2, 3, 100}
    for count in counts.values():
        assert count == pytest.approx(10_000, abs=5 * np.sqrt(10_000))


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[list[tuple[bool, bool]]]]:
    rows = draw(st.integers(1, 3))
    step = st.lists(st.tuples(st.booleans(), st.integers(0, 4).map(lambda n: n == 0)), min_size=rows, max_size=rows)
    return rows, draw(st.lists(step, min_size=1, max_size=25))


@given(histories(), st.integers(1, 6))
def test_every_history_is_kept_as_queues_would_keep_it(
    history: tuple[int, list[list[tuple[bool, bool]]]], slots: int
) -> None:
    """Each row as a queue of (id, episode): what is stored, and what may come later in the same episode."""
    rows, steps = history
    replay = Replay(slots * rows, rows, SIZES, 0)
    queues: list[deque[tuple[int, int]]] = [deque(maxlen=slots) for _ in range(rows)]
    episode = [0] * rows
    for number, step in enumerate(steps):
        add(replay, [100 * number + row for row in range(rows)], [of[0] for of in step], [of[1] for of in step])
        for row, (valid, done) in enumerate(step):
            if valid:
                queues[row].append((100 * number + row, episode[row]))
                episode[row] += done
    kept = {number: (row, of) for row, queue in enumerate(queues) for number, of in queue}
    assert replay.size == len(kept)
    if not kept:
        return
    indices = replay.sample(200)
    first, later, last = (
        ids_of(replay, of) for of in (indices, replay.sample_later(indices), replay.last_of_episode(indices))
    )
    assert set(first) <= set(kept)
    for one, other, end in zip(first, later, last, strict=True):
        assert kept[one] == kept[other] == kept[end]
        assert one <= other <= end == max(number for number, of in kept.items() if of == kept[one])


def test_later_steps_are_drawn_alike() -> None:
    replay = Replay(10, 1, SIZES, 0)
    for step in range(6):
        add(replay, [step], done=[step == 4])
    later = Counter(ids_of(replay, replay.sample_later(np.full(30_000, 2))))
    assert set(later) == {2, 3, 4}
    assert all(count == pytest.approx(10_000, abs=5 * 82) for count in later.values())


def test_a_reset_ends_the_episodes_under_way() -> None:
    replay = Replay(10, 1, SIZES, 0)
    add(replay, [0])
    add(replay, [1])
    replay.end_episodes()
    add(replay, [2])
    assert ids_of(replay, replay.last_of_episode(np.array([0, 1, 2]))) == [1, 1, 2]


@pytest.mark.parametrize("steps", [2, 9])
def test_a_restored_replay_draws_and_goes_on_as_the_first_one(steps: int) -> None:
    one, other = Replay(10, 2, SIZES, 0), Replay(10, 2, SIZES, 1)
    for step in range(steps):
        add(one, [step, 100 + step], done=[step == 1, False])
    one.sample(3)
    assert other.fits(one.state_dict())
    add(other, [55, 56])
    other.load_state_dict(one.state_dict())
    for replay in (one, other):
        add(replay, [50, 150], done=[False, True])
    assert one.sample(20).tolist() == other.sample(20).tolist()
    assert difference(one.state_dict(), other.state_dict()) == ""


def test_a_state_holds_no_more_than_what_is_stored() -> None:
    replay = Replay(1000, 2, SIZES, 0)
    add(replay, [0, 1])
    assert replay.state_dict()["lines"].untyped_storage().nbytes() == 2 * 3 * 4


@pytest.mark.parametrize("other", [Replay(12, 2, SIZES, 0), Replay(10, 5, SIZES, 0), Replay(10, 2, {"id": 1}, 0)])
def test_a_state_of_another_shape_does_not_fit(other: Replay) -> None:
    assert not other.fits(Replay(10, 2, SIZES, 0).state_dict())


def test_sampling_leaves_other_generators_alone() -> None:
    before = torch.get_rng_state()
    replay = Replay(4, 1, SIZES, 0)
    add(replay, [0])
    replay.sample(10)
    assert torch.equal(before, torch.get_rng_state())
