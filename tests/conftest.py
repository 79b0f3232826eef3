"""What holds for all tests."""

import signal

import pytest
from hypothesis import settings

import unity_env  # noqa: F401  # before a test module imports the messages of mlagents_envs
from tests.pair import register_pair

# Hypothesis tries the same examples in every run, so that a red test is red for everybody.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# A shell that starts the tests in the background has Ctrl-C ignored, by every process that a test starts, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def pair_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task of `tests.pair` is a known one."""
    register_pair(monkeypatch)
