"""Hypothesis tries the same examples in every run, so that a red test is red for everybody."""

from hypothesis import settings

import unity_env  # noqa: F401  # before a test module imports the messages of mlagents_envs

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
