"""The player's command line: what it requires, what it refuses, how it ends without a client."""

import logging
from pathlib import Path

import pytest

from tests.unity_env.link.stand_in import free_port
from unity_env.sim import player as player_module
from unity_env.sim.player import main

TASK = "arm_reach"


def test_the_port_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main([TASK])
    assert info.value.code == 2
    assert "--mlagents-port" in capsys.readouterr().err


def test_an_unknown_task_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["arm_dance", "--mlagents-port", "5005"])
    assert info.value.code == 2
    assert "arm_reach" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--mlagents-port", "65536"], ["--mlagents-port", "5005", "--areas", "0"]])
def test_numbers_out_of_range_are_refused_before_a_client_is_waited_for(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as info:
        main([TASK, *wrong])
    assert info.value.code == 2
    assert f"{wrong[-2]} {wrong[-1]}: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--mlagents-port", "5005", "-logFile"], ["--write-build"]])
def test_a_file_that_cannot_be_written_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "missing" / "file"
    assert main([TASK, *arguments, str(path)]) == 1
    assert capsys.readouterr().err == f"error: {path}: No such file or directory\n"


def test_switches_of_unity_that_begin_with_h_are_no_call_for_help(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(player_module, "CONNECT_TIMEOUT_S", 0.1)
    with caplog.at_level(logging.INFO):
        assert main([TASK, "--mlagents-port", str(free_port()), "-height", "84", "-hideWindow"]) == 1
    assert "without a meaning here: -height 84 -hideWindow" in caplog.text


def test_without_a_client_it_ends_after_its_time_out_with_1_and_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(player_module, "CONNECT_TIMEOUT_S", 0.3)
    port = free_port()
    with caplog.at_level(logging.INFO):
        assert main([TASK, "--mlagents-port", str(port)]) == 1
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "no ML-Agents client answered" in record.getMessage()
    assert "\n" not in record.getMessage()
