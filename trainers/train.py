"""START HERE: YAML -> environment -> reward -> loop -> checkpoint -> actor."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import torch

from reward_shaping import RewardWrapper
from trainers.algorithms import ALGORITHMS, Algorithm
from trainers.checkpoint import load_checkpoint
from trainers.config import dump_settings
from trainers.curriculum import check_parameters
from trainers.display import Display
from trainers.evaluate import Evaluation, evaluate
from trainers.export.bundle import Export, best_checkpoint, export_actor
from trainers.files import write_text
from trainers.loop import TrainingLoop
from trainers.resume import changed_settings, initial_checkpoint, initialize, load_resumed, restore
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings, without_effect
from trainers.world import make_env, run_errors
from trainers.yaml_file import Document


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
        resumed = load_resumed(folder, name, behavior, document) if chosen.resume else None
        if chosen.initialize_from or behavior.init_path:
            initialize(algorithm, initial_checkpoint(settings, name, behavior), name, behavior, document)
        changed = changed_settings(folder.configuration, settings) if chosen.resume else []
        folder.prepare(name, keep=chosen.resume)
        write_text(folder.configuration, dump_settings(settings))

        loop = TrainingLoop(name, settings, env, algorithm, evaluate_on, folder, display)
        for line in (*without_effect(behavior), *check_parameters(settings, document)):
            display.note(line)
        display.reward_table(name, env.reward.describe())
        if resumed is None:
            loop.start(settings.env_settings.seed)
        else:
            exact = restore(loop, resumed, settings.env_settings.seed, folder.checkpoint(name))
            what = "simulation included" if exact else "networks and optimiser; the episodes start anew"
            display.note(f"resumed at step {loop.step:,}: {'bit-exactly, ' if exact and not changed else ''}{what}")
            for line in changed:
                display.note(f"  changed: {line}")
        for start in loop.curricula.present():
            display.lesson(loop.step, str(start))
        display.start(name, loop.step, behavior.max_steps)
        loop.run()
        display.stop()
        if loop.stop_requested:
            return Trained(folder, loop.step, None, None)
        algorithm.load_state_dict(load_checkpoint(best_checkpoint(folder, name))["algorithm"])
        last = settings.evaluation
        final = evaluate_on(last.final_episodes, last.final_seed) if evaluate_on else None
    return Trained(folder, loop.step, final, export_actor(folder, name, settings, final))


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


def _evaluator(
    settings: RunSettings, name: str, document: Document, algorithm: Algorithm, worlds: ExitStack
) -> Callable[[int, int], Evaluation] | None:
    """Return what runs evaluation episodes, (episodes, seed) -> Evaluation; None in the Editor."""
    if settings.env_settings.env_path is None:
        return None
    env = worlds.enter_context(closing(make_env(settings, name, document, evaluation=True)))
    return lambda episodes, seed: evaluate(env, algorithm.act_deterministic, episodes, seed)


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
