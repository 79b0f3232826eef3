"""What holds for all tests."""

import signal
from collections.abc import Iterator

import pytest
import torch
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


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let torch compute as in a run: small networks lose more by waiting for a second thread than it brings."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
