"""START HERE: YAML -> environment -> reward -> loop -> checkpoint -> actor."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mlagents_envs.exception import UnityException

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardError, RewardWrapper
from trainers.algorithms import ALGORITHMS, Algorithm
from trainers.checkpoint import load_checkpoint
from trainers.config import dump_settings
from trainers.display import Display
from trainers.errors import RunError, UserError
from trainers.evaluate import Evaluation, evaluate
from trainers.export.bundle import Export, best_checkpoint, export_actor
from trainers.files import write_text
from trainers.loop import TrainingLoop
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.yaml_file import Document
from unity_env.make import make_vector_env
from unity_env.settings import Curriculum, EnvironmentParameter, EnvSettings, Sampler
from unity_env.sim.description import all_tasks
from unity_env.spaces import Layouts, SensorLayout

EVALUATION_ROWS = 50


@dataclass(frozen=True)
class Trained:
    """How a run ended.

    Attributes:
        folder: its files.
        step: training steps done.
        evaluation: the final one, on held-out episodes; None in the Editor, which has no second scene for it.
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
        RunError: training failed after it had begun, or a player did not start.
    """
    name, behavior = _only_behavior(settings, document)
    torch.set_num_threads(settings.torch_settings.threads)
    chosen = settings.checkpoint_settings
    folder = RunFolder(Path(chosen.results_dir) / chosen.run_id)
    folder.check(name, resume=chosen.resume, force=chosen.force)
    with ExitStack() as worlds, run_errors(name, document):
        env = worlds.enter_context(closing(make_env(settings, name, document)))
        algorithm = make_algorithm(env, settings, name, document)
        evaluate_on = _evaluator(settings, name, document, algorithm, worlds)
        resumed = _load_resumed(folder, name, behavior, document) if chosen.resume else None
        if chosen.initialize_from or behavior.init_path:
            _initialize(algorithm, _initial_checkpoint(settings, name, behavior), name, behavior, document)
        folder.prepare(name, keep=chosen.resume)
        write_text(folder.configuration, dump_settings(settings))

        loop = TrainingLoop(name, behavior, settings.evaluation, env, algorithm, evaluate_on, folder, display)
        display.reward_table(name, env.reward.describe())
        if resumed is None:
            loop.start(settings.env_settings.seed)
        else:
            exact = loop.restore(resumed, settings.env_settings.seed)
            what = "bit-exactly, simulation included" if exact else "networks and optimiser; the episodes start anew"
            display.note(f"resumed at step {loop.step:,}: {what}")
        display.start(name, loop.step, behavior.max_steps)
        loop.run()
        display.stop()
        if loop.stop_requested:
            return Trained(folder, loop.step, None, None)
        algorithm.load_state_dict(load_checkpoint(best_checkpoint(folder, name))["algorithm"])
        last = settings.evaluation
        final = evaluate_on(last.final_episodes, last.final_seed) if evaluate_on else None
    return Trained(folder, loop.step, final, export_actor(folder, name, settings, final))


def make_env(
    settings: RunSettings, name: str, document: Document, *, evaluation: bool = False, rows: int | None = None
) -> RewardWrapper:
    """Make the vector environment with the behavior's reward.

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
    parameters = {key: _parameter(key, value, document) for key, value in settings.environment_parameters.items()}
    if evaluation and world.sim_task and rows is None:
        rows = min(EVALUATION_ROWS, settings.evaluation.episodes)
    run = settings.checkpoint_settings
    try:
        env = make_vector_env(
            world.model_copy(update={"num_envs": 1}) if evaluation else world,
            name,
            engine=settings.engine_settings,
            parameters=parameters,
            layouts=_described_layouts(world, document),
            signals=behavior.signals,
            rows=rows,
            log_folder=Path(run.results_dir) / run.run_id / "run_logs",
            first_worker=world.num_envs if evaluation else 0,
        )
    except ValueError as error:
        at = ("behaviors", name) if str(error).startswith(("behavior", "signal ")) else ("env_settings", "env_path")
        raise document.error(at, str(error)) from None
    try:
        reward = Reward(behavior.reward_shaping or ENV_REWARD_ONLY, env.agents.signals)
    except RewardError as error:
        env.close()
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
def run_errors(name: str, document: Document) -> Iterator[None]:
    """Turn what can fail below the trainers into a failed run, a reward with the line of its term."""
    try:
        yield
    except RewardError as error:
        raise RunError(str(document.error(_reward_path(name, error), str(error)))) from None
    except UnityException as error:
        raise RunError(str(error)) from None


def _reward_path(name: str, error: RewardError) -> tuple[str, ...]:
    return ("behaviors", name, "reward_shaping", *error.path)


def _evaluator(
    settings: RunSettings, name: str, document: Document, algorithm: Algorithm, worlds: ExitStack
) -> Callable[[int, int], Evaluation] | None:
    """Return what runs evaluation episodes, (episodes, seed) -> Evaluation; None in the Editor."""
    if settings.env_settings.env_path is None:
        return None
    env = worlds.enter_context(closing(make_env(settings, name, document, evaluation=True)))
    return lambda episodes, seed: evaluate(env, algorithm.act_deterministic, episodes, seed)


def _described_layouts(world: EnvSettings, document: Document) -> Layouts | None:
    """Return the sensors of the described task that a player is said to have; None where nothing is said."""
    if world.task is None:
        return None
    known = all_tasks()
    if world.task not in known:
        raise document.error(("env_settings", "task"), f"unknown task {world.task}, known are {', '.join(known)}")
    robot, task = known[world.task]
    sensors = {"observation": task.observation, "signals": task.signals}
    return {sensor: SensorLayout(robot.select(names)) for sensor, names in sensors.items()}


def _parameter(name: str, value: EnvironmentParameter, document: Document) -> float | Sampler:
    if isinstance(value, Curriculum):
        raise document.error(("environment_parameters", name), "curricula are not supported by this version")
    return value


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
