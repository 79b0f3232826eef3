"""Sequences in a replay: what belongs together, what each transition counts, and a task that only memory solves."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import difference
from tests.trainers.algorithms.test_sac import make
from tests.trainers.test_recurrence import Corridor, turns_right
from tests.trainers.test_replay import SIZES, add, histories, ids_of
from trainers.actors import ActionShape
from trainers.algorithms.sac import Sac
from trainers.recurrence import RowMemory
from trainers.sequence_replay import SequenceBatch, SequenceReplay, draw_sequences

Array = np.ndarray
CPU = torch.device("cpu")
MEMORY = {"memory_size": 16, "sequence_length": 4}


pytestmark = pytest.mark.usefixtures("one_thread")


def sequences(replay: SequenceReplay, count: int = 200) -> list[list[int]]:
    indices, there = replay.sample_sequences(count)
    return [ids_of(replay, column[mask]) for column, mask in zip(indices.T, there.T, strict=True)]


@settings(max_examples=50)
@given(histories(), st.integers(1, 7), st.integers(1, 4))
def test_sequences_are_pieces_of_episodes_cut_after_their_length(
    history: tuple[int, list[list[tuple[bool, bool]]]], slots: int, length: int
) -> None:
    """Every row as a list of pieces, of which the ring has forgotten the beginning."""
    rows, steps = history
    replay = SequenceReplay(slots * rows, rows, SIZES, 0, length)
    lived: list[list[int]] = [[] for _ in range(rows)]
    piece_of: dict[int, tuple[int, int]] = {}
    pieces, at = [0] * rows, [0] * rows
    for number, step in enumerate(steps):
        add(replay, [100 * number + row for row in range(rows)], [of[0] for of in step], [of[1] for of in step])
        for row, (valid, done) in enumerate(step):
            if valid:
                lived[row].append(100 * number + row)
                piece_of[lived[row][-1]] = (row, pieces[row])
                at[row] += 1
                if done or at[row] == length:
                    pieces[row], at[row] = pieces[row] + 1, 0
    expected: dict[tuple[int, int], list[int]] = defaultdict(list)
    for queue in lived:
        for number in queue[-slots:]:
            expected[piece_of[number]].append(number)
    if replay.size:
        found = sequences(replay, 300)
        assert all(sequence in expected.values() for sequence in found)
        assert len({tuple(sequence) for sequence in found}) == len(expected)


def test_an_abandoned_episode_ends_its_sequence() -> None:
    replay = SequenceReplay(10, 1, SIZES, 0, 4)
    for number in range(3):
        add(replay, [number])
    replay.end_episodes()
    for number in range(3, 8):
        add(replay, [number])
    assert sorted(map(tuple, {tuple(of) for of in sequences(replay)})) == [(0, 1, 2), (3, 4, 5, 6), (7,)]


def test_a_restored_replay_goes_on_within_its_sequences() -> None:
    one, other = (SequenceReplay(12, 2, SIZES, seed, 3) for seed in (0, 1))
    for step in range(4):
        add(one, [step, 100 + step], done=[step == 1, False])
    assert other.fits(one.state_dict())
    assert not SequenceReplay(12, 2, SIZES, 0, 4).fits(one.state_dict())
    other.load_state_dict(one.state_dict())
    for replay in (one, other):
        add(replay, [50, 150], done=[False, True])
    assert sequences(one, 20) == sequences(other, 20)
    assert difference(one.state_dict(), other.state_dict()) == ""


def lived(steps: int) -> tuple[Sac, list[Array], list[Array]]:
    """A learner that has learned nothing yet, what its policy read in each step, and what it would read after it."""
    rows = 3
    sac = make(ActionShape(0, (2,)), 1, rows, memory=MEMORY, normalize=False, buffer_size=4000, steps_per_update=10**5)
    world, everyone = Corridor(rows), np.ones(rows, dtype=bool)
    read, after = [], []
    for step in range(steps):
        obs = world.obs()
        with torch.no_grad():
            inputs, memory = sac.actor.step(torch.from_numpy(obs), sac.memories["actor"].now)
        sac.act(obs, everyone)
        result = world.step(np.zeros((rows, 1)), truncate=step % 2 == 0)
        final = result.next_obs if result.final_obs is None else result.final_obs
        done = result.terminated | result.truncated
        follows = torch.from_numpy(np.where(done[:, None], final, result.next_obs))
        with torch.no_grad():
            after.append(sac.actor.step(follows, memory)[0].numpy())
        read.append(inputs.numpy())
        sac.observe(result)
    return sac, read, after


def batch_of_everything(sac: Sac) -> tuple[SequenceBatch, list[tuple[int, int]]]:
    """Every transition drawn once, so that its sequence comes as often as it is long; and their (step, row)."""
    replay = sac.replay
    assert isinstance(replay, SequenceReplay)
    setattr(replay, "sample", np.arange)  # noqa: B010  # slots are full from the start
    indices, there = replay.sample_sequences(replay.size)
    paid = sac.intrinsic.all_paid
    return draw_sequences(replay, replay.size, paid, CPU), [
        divmod(index, replay.rows) for index in indices[there].tolist()
    ]


def test_what_is_read_of_sequences_is_what_was_read_when_they_were_lived_through() -> None:
    """And what follows a transition is read with the memory of its episode, the true last observation too."""
    sac, read, after = lived(11)
    batch, where = batch_of_everything(sac)
    with torch.no_grad():
        now, later = batch.inputs(sac.actor, "actor")
    torch.testing.assert_close(now, torch.from_numpy(np.stack([read[step][row] for step, row in where])))
    torch.testing.assert_close(later, torch.from_numpy(np.stack([after[step][row] for step, row in where])))


def test_critics_read_on_from_their_own_memory() -> None:
    sac, _, _ = lived(11)
    batch, where = batch_of_everything(sac)
    columns, rows = sac.replay.read(np.arange(33)), RowMemory(3, 16, CPU)
    expected = []
    with torch.no_grad():
        for step in range(11):
            here = slice(3 * step, 3 * step + 3)
            expected.append(rows.step(sac.critic, columns["obs"][here]))
            assert torch.equal(columns["critic_memory"][here], rows.now)
            done = columns["next_obs"][here][:, 0] == 9.0  # the corridor's last observation
            rows.advance(torch.ones(3, dtype=torch.bool), done)
        now, _ = batch.inputs(sac.critic, "critic")
    torch.testing.assert_close(now, torch.stack([expected[step][row] for step, row in where]))


def test_every_transition_counts_alike_whatever_its_sequence() -> None:
    """The mean over a batch estimates that over the replay without bias."""
    sac, _, _ = lived(11)
    sac.replay.end_episodes()
    batch, where = batch_of_everything(sac)
    value = torch.tensor([float(step**2 + row) for step, row in where])
    exact = np.mean([step**2 + row for step in range(11) for row in range(3)])
    assert batch.mean(value).item() == pytest.approx(exact)
    assert batch.mean(torch.stack((value, torch.ones_like(value))))[1].item() == pytest.approx(1.0)


def test_a_finished_behavior_still_remembers_and_a_reset_forgets() -> None:
    sac, _, _ = lived(6)
    before = sac.memories["actor"].now.clone()
    sac.act_deterministic(np.ones((3, 3), np.float32))
    sac.follow(np.array([True, True, False]), np.array([False, True, False]))
    now = sac.memories["actor"].now
    assert not torch.equal(now[0], before[0])
    assert not now[1].any()
    assert torch.equal(now[2], before[2])
    sac.abandon_episodes()
    assert not any(memory.now.any() for memory in sac.memories.values())


@pytest.mark.parametrize(
    ("memory", "steps", "least", "most"), [(MEMORY, 180, 0.95, 1.0), (None, 110, 0.4, 0.6)], ids=["with", "without"]
)
def test_a_corridor_is_learned_with_a_memory_alone(
    memory: dict[str, int] | None, steps: int, least: float, most: float
) -> None:
    how: dict[str, Any] = {"buffer_size": 2560, "buffer_init_steps": 1280, "steps_per_update": 4, "init_entcoef": 0.05}
    sac = make(ActionShape(0, (2,)), 1, 16, memory=memory, batch_size=128, **how)
    world, everyone = Corridor(16), np.ones(16, dtype=bool)
    for _ in range(steps):
        sac.observe(world.step(sac.act(world.obs(), everyone)))
        if sac.ready():
            sac.update(0.0)
    assert least <= turns_right(sac) <= most
