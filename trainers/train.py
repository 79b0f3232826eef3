"""START HERE: YAML -> environment -> reward -> loop -> checkpoint -> actor."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardError, RewardWrapper
from trainers.algorithms import ALGORITHMS, Algorithm
from trainers.checkpoint import load_checkpoint
from trainers.config import dump_settings
from trainers.display import Display
from trainers.errors import RunError, UserError
from trainers.evaluate import Evaluation, evaluate
from trainers.export.bundle import Export, export_actor
from trainers.files import write_text
from trainers.loop import TrainingLoop
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.yaml_file import Document
from unity_env.make import make_vector_env

EVALUATION_ROWS = 50


@dataclass(frozen=True)
class Trained:
    """How a run ended.

    Attributes:
        folder: its files.
        step: training steps done.
        evaluation: the final one, on held-out episodes; None after a stop signal.
        export: the exported actor; None after a stop signal.
    """

    folder: RunFolder
    step: int
    evaluation: Evaluation | None
    export: Export | None


def train(settings: RunSettings, document: Document, display: Display) -> Trained:
    """Train the run's behavior, keep its best policy, measure it on held-out episodes, export it.

    Raises:
        UserError: the settings do not fit the environment, or the results folder cannot be used.
        RunError: training failed after it had begun.
    """
    name, behavior = _only_behavior(settings, document)
    torch.set_num_threads(settings.torch_settings.threads)
    seed = settings.env_settings.seed
    env = make_env(settings, name, document)
    algorithm = make_algorithm(env, settings, name, document)
    evaluation_env = make_env(settings, name, document, rows=min(EVALUATION_ROWS, settings.evaluation.episodes))
    chosen = settings.checkpoint_settings
    folder = RunFolder(Path(chosen.results_dir) / chosen.run_id)
    resumed = _load_resumed(folder, name, behavior, document) if chosen.resume else None
    if chosen.initialize_from or behavior.init_path:
        _initialize(algorithm, _initial_checkpoint(settings, name, behavior), name, behavior, document)
    folder.prepare(name, resume=chosen.resume, force=chosen.force)
    write_text(folder.configuration, dump_settings(settings))

    def evaluate_on(episodes: int, seed: int) -> Evaluation:
        return evaluate(evaluation_env, algorithm.act_deterministic, episodes, seed)

    loop = TrainingLoop(
        name,
        behavior,
        settings.evaluation,
        env,
        algorithm,
        lambda: evaluate_on(settings.evaluation.episodes, settings.evaluation.seed),
        folder,
        display,
    )
    display.reward_table(name, env.reward.describe())
    if resumed is None:
        loop.start(seed)
    else:
        exact = loop.restore(resumed, seed)
        what = "bit-exactly, simulation included" if exact else "networks and optimiser; the episodes start anew"
        display.note(f"resumed at step {loop.step:,}: {what}")
    display.start(name, loop.step, behavior.max_steps)
    with reward_errors(name, document):
        loop.run()
        display.stop()
        if loop.stop_requested:
            return Trained(folder, loop.step, None, None)
        algorithm.load_state_dict(load_checkpoint(folder.best(name))["algorithm"])
        final = evaluate_on(settings.evaluation.final_episodes, settings.evaluation.final_seed)
    return Trained(folder, loop.step, final, export_actor(folder, name, settings, final))


def make_env(settings: RunSettings, name: str, document: Document, rows: int | None = None) -> RewardWrapper:
    """Make the vector environment with the behavior's reward.

    Raises:
        UserError: the environment or the reward does not fit, with the line of the YAML.
    """
    behavior = settings.behaviors[name]
    if settings.environment_parameters:
        parameter = next(iter(settings.environment_parameters))
        raise document.error(("environment_parameters", parameter), "not supported by this version; leave it out")
    try:
        env = make_vector_env(settings.env_settings, name, rows=rows)
    except ValueError as error:
        at = ("behaviors", name) if str(error).startswith("behavior") else ("env_settings", "env_path")
        raise document.error(at, str(error)) from None
    layout = env.layouts.get("signals")
    try:
        reward = Reward(behavior.reward_shaping or ENV_REWARD_ONLY, layout.names if layout else ())
    except RewardError as error:
        raise document.error(_reward_path(name, error), str(error)) from None
    return RewardWrapper(env, reward, behavior.reward_signals.extrinsic.strength)


def make_algorithm(env: RewardWrapper, settings: RunSettings, name: str, document: Document) -> Algorithm:
    """Make the behavior's learner for the environment's observations and actions.

    Raises:
        UserError: a device that is not there, or spaces that the algorithm cannot handle.
    """
    behavior = settings.behaviors[name]
    observation, action = env.single_observation_space, env.single_action_space
    if observation.shape is None or len(observation.shape) != 1 or action.shape is None or action.dtype != "float32":
        raise document.error(
            ("behaviors", name),
            f"{behavior.trainer_type} needs one vector observation and continuous actions, "
            f"this behavior has {observation} and {action}",
        )
    return ALGORITHMS[behavior.trainer_type](
        observation.shape[0],
        action.shape[0],
        env.num_envs,
        behavior,
        settings.env_settings.seed,
        _device(settings, document),
    )


@contextmanager
def reward_errors(name: str, document: Document) -> Iterator[None]:
    """Turn a reward that is not a number into a failed run, with the line of its term."""
    try:
        yield
    except RewardError as error:
        raise RunError(str(document.error(_reward_path(name, error), str(error)))) from None


def _reward_path(name: str, error: RewardError) -> tuple[str, ...]:
    return ("behaviors", name, "reward_shaping", *error.path)


def _only_behavior(settings: RunSettings, document: Document) -> tuple[str, BehaviorSettings]:
    if len(settings.behaviors) > 1:
        raise document.error(("behaviors",), "several behaviors in one run are not supported yet; leave one")
    return next(iter(settings.behaviors.items()))


def _device(settings: RunSettings, document: Document) -> torch.device:
    wanted = settings.torch_settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise document.error(("torch_settings", "device"), f"{wanted}: no such device here; cpu always is") from None
    return device


def _load_resumed(folder: RunFolder, name: str, behavior: BehaviorSettings, document: Document) -> dict[str, Any]:
    path = folder.checkpoint(name)
    if not path.is_file():
        raise UserError(f"--resume: no {path}; check --run-id and --results-dir")
    state = load_checkpoint(path)
    _check_networks(state, name, behavior, document, path)
    return state


def _initial_checkpoint(settings: RunSettings, name: str, behavior: BehaviorSettings) -> Path:
    if behavior.init_path:
        return Path(behavior.init_path)
    chosen = settings.checkpoint_settings
    return RunFolder(Path(chosen.results_dir) / str(chosen.initialize_from)).checkpoint(name)


def _initialize(algorithm: Algorithm, path: Path, name: str, behavior: BehaviorSettings, document: Document) -> None:
    """Take over networks and optimiser; the random state stays this run's own."""
    state = load_checkpoint(path)
    _check_networks(state, name, behavior, document, path)
    algorithm.load_state_dict(state["algorithm"] | {"generator": algorithm.state_dict()["generator"]})


def _check_networks(
    state: dict[str, Any], name: str, behavior: BehaviorSettings, document: Document, path: Path
) -> None:
    """Refuse a checkpoint whose networks differ: a partly loaded policy is no policy."""
    saved = state["settings"]
    now = behavior.model_dump(mode="json")
    for key, value in {"trainer_type": saved["trainer_type"], **saved["network_settings"]}.items():
        current = now.get(key) if key == "trainer_type" else now["network_settings"].get(key)
        if current != value:
            at = ("behaviors", name, key) if key == "trainer_type" else ("behaviors", name, "network_settings", key)
            raise document.error(at, f"is {current}, but the checkpoint {path} was made with {value}")
