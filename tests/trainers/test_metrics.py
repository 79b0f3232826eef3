import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import lines_of
from trainers.metrics import EpisodeLog, MetricsLog

NO = np.array([False, False])
SECOND = np.array([False, True])


def infos(valid: tuple[bool, bool] = (True, True), success: float | None = None) -> dict[str, Any]:
    final = {} if success is None else {"final_info": {"signals": {"success": np.full((2, 1), success)}}}
    return {"valid": np.array(valid), **final}


def test_an_episodes_return_and_length_are_sums_over_its_steps() -> None:
    log = EpisodeLog(2)
    log.add(np.array([1.0, 2.0]), NO, NO, infos())
    log.add(np.array([1.0, 3.0]), SECOND, NO, infos(success=1.0))
    log.add(np.array([1.0, 10.0]), NO, SECOND, infos(success=0.0))
    assert log.summary() == {
        "environment/episode_return": (5 + 10) / 2,
        "environment/episode_length": (2 + 1) / 2,
        "environment/success": 0.5,
    }
    assert log.summary() == {}


def test_steps_without_a_report_do_not_lengthen_an_episode() -> None:
    log = EpisodeLog(2)
    log.add(np.array([0.0, 0.0]), NO, NO, infos(valid=(True, False)))
    log.add(np.array([0.0, 4.0]), NO, SECOND, infos())
    assert log.summary() == {"environment/episode_return": 4.0, "environment/episode_length": 1.0}


def test_an_episode_log_survives_a_save_and_load() -> None:
    log, fresh = EpisodeLog(2), EpisodeLog(2)
    log.add(np.array([1.0, 2.0]), NO, NO, infos())
    fresh.load_state_dict(log.state_dict())
    for each in (log, fresh):
        each.add(np.array([1.0, 3.0]), SECOND, NO, infos())
    assert log.summary() == fresh.summary()


def test_values_are_averaged_between_two_lines(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    log.add({"a": 1.0, "b": 5.0})
    log.add({"a": 2.0})
    written = log.summarize(10, {"c": 7.0})
    log.add({"a": 4.0})
    log.summarize(20, {})
    log.close()
    first, second = lines_of(tmp_path)
    assert (first["step"], first["a"], first["b"], first["c"]) == (10, 1.5, 5.0, 7.0)
    assert (second["step"], second["a"]) == (20, 4.0)
    assert "b" not in second
    assert written.items() <= first.items()


def test_lines_after_the_first_step_and_torn_ones_are_dropped(tmp_path: Path) -> None:
    old = '{"step": 10, "a": 1}\n{"step": 20, "a": 2}\n{"step": 30, "a": 3}\n{"step": 4'
    (tmp_path / "metrics.jsonl").write_text(old)
    MetricsLog(tmp_path, 20).close()
    assert [line["step"] for line in lines_of(tmp_path)] == [10, 20]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_does_not_break_the_json(tmp_path: Path, value: float) -> None:
    log = MetricsLog(tmp_path, 0)
    log.add({"value/explained_variance": value, "a": 1.0})
    log.summarize(10, {})
    log.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["a"] == 1.0
