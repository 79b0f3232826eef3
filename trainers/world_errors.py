"""What can fail below the trainers, as errors with the line of the setting that they are about."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlagents_envs.exception import UnityException

from reward_shaping import RewardError
from trainers.errors import RunError, UserError
from trainers.settings import RunSettings
from trainers.yaml_file import Document
from unity_env.link.errors import LinkError, PortTakenError


@contextmanager
def environment_errors(name: str, document: Document) -> Iterator[None]:
    """Give what is wrong with an environment the line of the setting that it is about."""
    try:
        yield
    except ValueError as error:
        raise document.error(_culprit(name, str(error)), str(error)) from None
    except UnityException as error:
        if isinstance(error, LinkError) and not isinstance(error, PortTakenError):
            raise
        raise document.error(("env_settings", "env_path"), f"{error} (sim:<task> is the embedded simulation)") from None


@contextmanager
def run_errors(settings: RunSettings, document: Document) -> Iterator[None]:
    """Turn what can fail below the trainers into a failed run, a reward with the line of its term."""
    try:
        yield
    except RewardError as error:
        raise RunError(str(reward_error(settings, error, document))) from None
    except UnityException as error:
        raise RunError(str(error)) from None


def reward_error(settings: RunSettings, error: RewardError, document: Document, name: str | None = None) -> UserError:
    """Return the error with its line in the YAML: of the behavior whose reward has the term."""
    if name is None:
        term = error.path[1] if len(error.path) > 1 else None
        shaped = {key: of.reward_shaping for key, of in settings.behaviors.items() if of.reward_shaping}
        name = next(
            (key for key, reward in shaped.items() if term in {**reward.terms, **reward.costs}),
            next(iter(settings.behaviors), ""),
        )
    return document.error(("behaviors", name, "reward_shaping", *error.path), str(error))


def _culprit(name: str, message: str) -> tuple[str, ...]:
    """Return the path of the setting that an environment's complaint is about."""
    kind, _, rest = message.partition(" ")
    if kind == "behavior":
        return ("behaviors", rest.partition(":")[0])
    if kind == "signal":
        return ("behaviors", name)
    if message.startswith("environment parameter "):
        return ("environment_parameters", rest.split()[1].rstrip(":"))
    keys = {"side channel ": "side_channels", "num_envs ": "num_envs"}
    return ("env_settings", next((key for start, key in keys.items() if message.startswith(start)), "env_path"))
