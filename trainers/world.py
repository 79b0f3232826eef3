"""A behavior's world: the environment that the YAML names, with the behavior's reward on top."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlagents_envs.exception import UnityException

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardError, RewardWrapper
from trainers.curriculum import check_parameters, check_signals, first_values, last_values
from trainers.errors import RunError, UserError
from trainers.settings import RunSettings
from trainers.yaml_file import Document
from unity_env.link.errors import LinkError, PortTakenError
from unity_env.make import make_vector_env
from unity_env.settings import EnvSettings
from unity_env.sim.role import find_role
from unity_env.spaces import Layouts

EVALUATION_ROWS = 50


def make_env(
    settings: RunSettings, name: str, document: Document, *, evaluation: bool = False, rows: int | None = None
) -> RewardWrapper:
    """Make the vector environment with the behavior's reward.

    A training begins with the first lessons of environment_parameters, and the loop goes on from there. An
    evaluation has the last lessons and the same samplers: it always measures the difficulty that is the aim.

    Args:
        settings: of the run.
        name: of the behavior.
        document: the run's YAML, for messages.
        evaluation: make the one for evaluation episodes: a batch of its own, or a player beside the others.
        rows: number of rows of `sim:`; None takes the settings' number, or as many as suit evaluation.

    Raises:
        UserError: the environment or the reward does not fit, with the line of the YAML.
        UnityException: a player did not start or connect.
    """
    behavior, world = settings.behaviors[name], settings.env_settings
    check_parameters(settings, document)
    parameters = settings.environment_parameters
    if evaluation and world.sim_task and rows is None:
        rows = EVALUATION_ROWS
    run = settings.checkpoint_settings
    try:
        env = make_vector_env(
            world.model_copy(update={"num_envs": 1}) if evaluation else world,
            name,
            engine=settings.engine_settings,
            parameters=last_values(parameters) if evaluation else first_values(parameters),
            layouts=_described_layouts(world, name, document),
            signals=behavior.signals,
            rows=rows,
            log_folder=Path(run.results_dir) / run.run_id / "run_logs",
            first_worker=world.num_envs if evaluation else 0,
        )
    except ValueError as error:
        raise document.error(_culprit(name, str(error)), str(error)) from None
    except UnityException as error:
        if isinstance(error, LinkError) and not isinstance(error, PortTakenError):
            raise
        raise document.error(("env_settings", "env_path"), f"{error} (sim:<task> is the embedded simulation)") from None
    try:
        check_signals(settings, name, env.agents.signals, document)
        reward = Reward(behavior.reward_shaping or ENV_REWARD_ONLY, env.agents.signals)
    except RewardError as error:
        env.close()
        raise document.error(_reward_path(name, error), str(error)) from None
    except UserError:
        env.close()
        raise
    return RewardWrapper(env, reward, behavior.reward_signals.extrinsic.strength)


@contextmanager
def run_errors(name: str, document: Document) -> Iterator[None]:
    """Turn what can fail below the trainers into a failed run, a reward with the line of its term."""
    try:
        yield
    except RewardError as error:
        raise RunError(str(document.error(_reward_path(name, error), str(error)))) from None
    except UnityException as error:
        raise RunError(str(error)) from None


def _culprit(name: str, message: str) -> tuple[str, ...]:
    """Return the path of the setting that an environment's complaint is about."""
    about_behavior = message.startswith(("behavior ", "signal "))
    return ("behaviors", name) if about_behavior else ("env_settings", "env_path")


def _reward_path(name: str, error: RewardError) -> tuple[str, ...]:
    return ("behaviors", name, "reward_shaping", *error.path)


def _described_layouts(world: EnvSettings, name: str, document: Document) -> Layouts | None:
    """Return the sensors of the described task that a player is said to have; None where nothing is said."""
    if world.task is None:
        return None
    try:
        return find_role(world.task, name).layouts
    except ValueError as error:
        raise document.error(("env_settings", "task"), str(error)) from None
