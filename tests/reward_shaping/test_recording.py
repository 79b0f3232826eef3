"""Recordings come back as they were written, and what is none is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reward_shaping import Reward, RewardSettings, Transition
from reward_shaping.recording import Recording, RecordingError
from tests.helpers import difference


def make_recording() -> Recording:
    rng = np.random.default_rng(0)
    signals, after = ({"goal_distance": rng.random((5, 1)), "lidar": rng.random((5, 3))} for _ in range(2))
    ends = np.array([False, True, False, False, True])
    transition = Transition(signals, after, rng.random((5, 2)), rng.random((5, 2)), ends, ~ends, rng.random(5))
    return Recording(transition, np.array([0, 0, 1, 1, 1]), {"policy": "random", "seed": 3})


def test_a_recording_survives_its_file_to_the_bit(tmp_path: Path) -> None:
    made = make_recording()
    made.save(tmp_path / "a.npz")
    read = Recording.load(tmp_path / "a.npz")
    assert difference(made.transition._asdict(), read.transition._asdict()) == ""
    assert read.episode.tolist() == made.episode.tolist()
    assert read.about == made.about
    assert (len(read), read.episodes, read.solved) == (5, 2, None)


def test_a_file_holds_plain_arrays_by_the_documented_names(tmp_path: Path) -> None:
    make_recording().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert sorted(file) == sorted(
            [
                *("signals.goal_distance", "signals.lidar", "next_signals.goal_distance", "next_signals.lidar"),
                *("action", "previous_action", "terminated", "truncated", "env_reward", "episode", "about"),
            ]
        )


def test_a_reward_scores_a_recording_in_one_call() -> None:
    recording = make_recording()
    reward = Reward(
        RewardSettings.model_validate({"terms": {"way": {"term": "progress", "weight": 2.0}}}), {"goal_distance": 1}
    )
    total, _ = reward(recording.transition)
    part = recording.transition
    np.testing.assert_allclose(total, 2.0 * (part.signals["goal_distance"] - part.next_signals["goal_distance"])[:, 0])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(RecordingError, match=r"a\.npz: not a recording"):
        Recording.load(tmp_path / "a.npz")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.ones(3))
    with pytest.raises(RecordingError, match="not a recording: 'about'"):
        Recording.load(tmp_path / "a.npz")
    made = make_recording()
    short = Recording(made.transition._replace(env_reward=np.zeros(4)), made.episode, {})
    short.save(tmp_path / "b.npz")
    with pytest.raises(RecordingError, match="env_reward has shape"):
        Recording.load(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"episode": np.array(3)}, "it holds no transition"),
        ({"terminated": np.zeros(5)}, "terminated is float64; expected bool"),
        ({"action": np.full((5, 2), "x")}, "action is <U1; expected numbers"),
        ({"action": np.zeros((4, 2))}, "action has shape"),
        ({"next_signals.goal_distance": np.zeros(5)}, "next_signals.goal_distance has shape"),
        ({"signals.extra": np.zeros((5, 1))}, "next_signals.extra"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "some.npz"
    make_recording().save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | change))
    with pytest.raises(RecordingError, match=re.escape(says)):
        Recording.load(path)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", about=np.array([{"evil": 1}], dtype=object))
    with pytest.raises(RecordingError, match="not a recording"):
        Recording.load(tmp_path / "a.npz")
