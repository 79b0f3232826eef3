"""START HERE: YAML -> environment -> reward -> loop -> checkpoint -> actor."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import torch
from mlagents_envs.base_env import ObservationType

from trainers.a3c.main import AsyncLoop, for_a3c, is_a3c
from trainers.actors import ActionShape
from trainers.algorithms import ALGORITHMS, Algorithm
from trainers.algorithms.off_policy import OffPolicy
from trainers.behavior import BehaviorTrainer
from trainers.checkpoint import load_checkpoint
from trainers.config import dump_settings
from trainers.curriculum import Curricula, check_parameters
from trainers.display import Display
from trainers.evaluate import Evaluation, evaluate_world
from trainers.export.bundle import Export, best_checkpoint, export_actor
from trainers.export.recorded import Recorder, save_recorded
from trainers.files import write_text
from trainers.heads import heads_of
from trainers.hindsight import make_hindsight
from trainers.imitation.demonstrations import load_shown
from trainers.loop import Evaluate, TrainingLoop
from trainers.observation import Observation, observation_of
from trainers.policy import Policy
from trainers.resume import changed_settings, initial_checkpoint, initialize, load_resumed, restore
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings, without_effect
from trainers.vision import SMALLEST
from trainers.world import World, make_world, run_errors
from trainers.yaml_file import Document
from unity_env.agent_rows import AgentRows
from unity_env.spaces import observed_sensors


@dataclass(frozen=True)
class Trained:
    """How a run ended.

    Attributes:
        folder: its files.
        step: training steps done.
        evaluations: behavior -> the final one, on held-out episodes; empty in the Editor, which has no second
            scene for it.
        exports: behavior -> the exported actor; empty after a stop signal.
    """

    folder: RunFolder
    step: int
    evaluations: Mapping[str, Evaluation]
    exports: Mapping[str, Export]


def train(settings: RunSettings, document: Document, display: Display) -> Trained:
    """Train the run's behaviors, keep their best policies, measure them on held-out episodes, export them.

    Raises:
        UserError: the settings do not fit the environment, or the results folder cannot be used.
        RunError: training failed after it had begun, or a player did not start.
    """
    names = tuple(settings.behaviors)
    torch.set_num_threads(settings.torch_settings.threads)
    settings = for_a3c(settings, document)
    chosen = settings.checkpoint_settings
    folder = RunFolder(Path(chosen.results_dir) / chosen.run_id)
    folder.check(names, resume=chosen.resume, force=chosen.force)
    with ExitStack() as worlds, run_errors(settings, document):
        world = worlds.enter_context(closing(make_world(settings, document)))
        algorithms = {name: make_algorithm(world.rows[name], settings, name, document) for name in names}
        _use_hindsight(algorithms, settings, world, document)
        for name, algorithm in algorithms.items():
            algorithm.show(load_shown(settings.behaviors[name], world.rows[name], name, document))
        recorders = {name: Recorder(algorithm.policy()) for name, algorithm in algorithms.items()}
        evaluate_on = _evaluator(settings, document, recorders, worlds)
        resumed = load_resumed(folder, settings, document) if chosen.resume else None
        _initialize(algorithms, settings, document)
        changed = changed_settings(folder.configuration, settings) if chosen.resume else []
        folder.prepare(names, keep=chosen.resume)
        write_text(folder.configuration, dump_settings(settings))

        trainers = {name: _trainer(name, settings, algorithms[name], world, folder, display) for name in names}
        curricula = Curricula(settings.environment_parameters, {name: of.num_rows for name, of in world.rows.items()})
        parts = (world, trainers, settings.evaluation, evaluate_on, curricula, folder, display)
        loop = AsyncLoop(*parts, settings=settings, document=document) if is_a3c(settings) else TrainingLoop(*parts)
        _announce(settings, world, document, display)
        if resumed is None:
            loop.start(settings.env_settings.seed)
        else:
            exact = restore(loop, resumed, settings.env_settings.seed, folder)
            what = "simulation included" if exact else "networks and optimiser; the episodes start anew"
            lost = [f"{name}: {trainer.lost}" for name, trainer in trainers.items() if trainer.lost]
            bits = "bit-exactly, " if exact and not changed and not lost else ""
            display.note(f"resumed at step {loop.step:,}: {bits}{what}")
            for line in (*lost, *(f"changed: {line}" for line in changed)):
                display.note(f"  {line}")
        for start in curricula.present():
            display.lesson(loop.step, str(start))
        display.start({name: (trainers[name].step, settings.behaviors[name].max_steps) for name in names})
        loop.run()
        display.stop()
        if loop.stop_requested:
            return Trained(folder, loop.step, {}, {})
        for name, algorithm in algorithms.items():
            algorithm.load_state_dict(load_checkpoint(best_checkpoint(folder, name))["algorithm"])
        finals = evaluate_on(settings.evaluation.final_episodes, settings.evaluation.final_seed) if evaluate_on else {}
    return Trained(folder, loop.step, finals, _export(folder, settings, finals, recorders))


def make_algorithm(rows: AgentRows, settings: RunSettings, name: str, document: Document) -> Algorithm:
    """Make a behavior's learner for its agents' observations and actions.

    Raises:
        UserError: a device that is not there, or observations, actions or value heads that the algorithm cannot handle.
    """
    behavior, spec = settings.behaviors[name], rows.spec.action_spec
    observation = _observation(rows, behavior, name, document)
    shape = ActionShape(spec.continuous_size, tuple(spec.discrete_branches))
    algorithm = ALGORITHMS[behavior.trainer_type]
    if shape.kind not in algorithm.kinds:
        able = ", ".join(trainer for trainer, of in ALGORITHMS.items() if shape.kind in of.kinds)
        raise document.error(
            ("behaviors", name, "trainer_type"),
            f"{behavior.trainer_type} is for {' and '.join(algorithm.kinds)} actions, this behavior's are {shape.kind} "
            f"({rows.single_action_space}); trainers for them: {able}",
        )
    if not algorithm.has_heads:
        _refuse_heads(behavior, name, document)
    _refuse_memory(behavior, name, document)
    if behavior.behavioral_cloning is not None and not algorithm.clones:
        able = ", ".join(kind for kind, of in ALGORITHMS.items() if of.clones)
        raise document.error(
            ("behaviors", name, "behavioral_cloning"),
            f"{behavior.trainer_type} clones no demonstrations; trainers that do: {able}",
        )
    return algorithm(
        observation,
        shape,
        rows.num_rows,
        behavior,
        settings.env_settings.seed,
        _device(settings, document),
    )


def _observation(rows: AgentRows, behavior: BehaviorSettings, name: str, document: Document) -> Observation:
    """Return what the behavior's networks read.

    Raises:
        UserError: images too small for their encoder, or signals that are not there, or that no critic reads.
    """
    at, with_signals = ("behaviors", name), behavior.critic_observations is not None
    observation = observation_of(rows, with_signals=with_signals)
    if with_signals and not ALGORITHMS[behavior.trainer_type].reads_signals:
        able = ", ".join(kind for kind, algorithm in ALGORITHMS.items() if algorithm.reads_signals)
        raise document.error(
            (*at, "critic_observations"), f"{behavior.trainer_type} has no critic for them; trainers that have: {able}"
        )
    if with_signals and not observation.signals:
        raise document.error((*at, "critic_observations"), "the environment sends no signals, and `signals` names none")
    kind = behavior.network_settings.vis_encode_type
    for sensor in observation.sensors:
        if sensor.kind == "image" and min(sensor.shape[1:]) < SMALLEST[kind]:
            height, width = sensor.shape[1:]
            raise document.error(
                (*at, "network_settings", "vis_encode_type"),
                f"{kind} needs images of at least {SMALLEST[kind]} x {SMALLEST[kind]}, "
                f"{sensor.name} has {width} x {height}; for smaller ones: {_encoders_for(min(height, width))}",
            )
    for signal in () if observation.is_vector else behavior.reward_signals.intrinsic:
        others = ", ".join(
            f"{sensor.name} ({sensor.kind})" for sensor in observation.sensors if sensor.kind != "vector"
        )
        raise document.error((*at, "reward_signals", signal), f"{signal} reads vectors alone, and not {others}")
    return observation


def _encoders_for(pixels: int) -> str:
    return ", ".join(kind for kind, least in SMALLEST.items() if least <= pixels)


def _refuse_memory(behavior: BehaviorSettings, name: str, document: Document) -> None:
    """Refuse a memory where nothing learns to use it."""
    if behavior.network_settings.memory is None:
        return
    path = ("behaviors", name, "network_settings", "memory")
    if not ALGORITHMS[behavior.trainer_type].remembers:
        able = ", ".join(kind for kind, algorithm in ALGORITHMS.items() if algorithm.remembers)
        raise document.error(path, f"{behavior.trainer_type} trains no memory; trainers that do: {able}")
    if behavior.behavioral_cloning is not None:
        raise document.error(path, "behavioral_cloning shows single moments, of which nothing can be remembered")


def _refuse_heads(behavior: BehaviorSettings, name: str, document: Document) -> None:
    """Refuse what a trainer with one value at most cannot learn."""
    roles = {head.role for head in heads_of(behavior)}
    able = ", ".join(kind for kind, algorithm in ALGORITHMS.items() if algorithm.has_heads)
    if "cost" in roles:
        raise document.error(
            ("behaviors", name, "reward_shaping", "costs"),
            f"{behavior.trainer_type} has no cost critics; trainers that have: {able}",
        )
    if "term" in roles:
        raise document.error(
            ("behaviors", name, "per_term_critic"),
            f"{behavior.trainer_type} has no critic per term; trainers that have: {able}",
        )
    for signal in behavior.reward_signals.intrinsic:
        raise document.error(
            ("behaviors", name, "reward_signals", signal),
            f"{behavior.trainer_type} has no value head for it; trainers that have: {able}",
        )


def _trainer(
    name: str, settings: RunSettings, algorithm: Algorithm, world: World, folder: RunFolder, display: Display
) -> BehaviorTrainer:
    rows = world.rows[name].num_rows
    return BehaviorTrainer(name, settings.behaviors[name], algorithm, world.scorers[name], rows, folder, display)


def _export(
    folder: RunFolder, settings: RunSettings, finals: Mapping[str, Evaluation], recorders: Mapping[str, Recorder]
) -> dict[str, Export]:
    """Export all behaviors; what their policies have seen in the evaluation stays, for later exports, too."""
    exports = {}
    for name, recorder in recorders.items():
        recorded = recorder.seen
        if recorded is not None:
            save_recorded(folder.behavior(name), recorded)
        exports[name] = export_actor(folder, name, settings, finals.get(name), recorded)
    return exports


def _initialize(algorithms: Mapping[str, Algorithm], settings: RunSettings, document: Document) -> None:
    """Let behaviors that name an earlier run's networks start from them."""
    for name, behavior in settings.behaviors.items():
        if settings.checkpoint_settings.initialize_from or behavior.init_path:
            source = initial_checkpoint(settings, name, behavior)
            initialize(algorithms[name], source, name, behavior, document)


def _use_hindsight(
    algorithms: Mapping[str, Algorithm], settings: RunSettings, world: World, document: Document
) -> None:
    """Let learners from a buffer relabel what they sample, where their settings want it."""
    for name, algorithm in algorithms.items():
        hindsight = make_hindsight(settings, name, world.scorers[name], document)
        if hindsight is not None:
            assert isinstance(algorithm, OffPolicy)
            algorithm.use_hindsight(hindsight)


def _announce(settings: RunSettings, world: World, document: Document, display: Display) -> None:
    """Say what is trained, and which settings have no effect."""
    for line in check_parameters(settings, document):
        display.note(line)
    for name, behavior in settings.behaviors.items():
        for line in (*without_effect(behavior), *_goals_without_effect(world.rows[name], behavior)):
            display.note(line)
        reward = world.scorers[name].reward
        display.reward_table(name, reward.describe(), reward.content_hash)


def _goals_without_effect(rows: AgentRows, behavior: BehaviorSettings) -> list[str]:
    """Return a line for every sensor of a goal, which hyper networks would treat apart."""
    specs = rows.spec.observation_specs
    seen = [specs[index] for index in observed_sensors(rows.spec).values()]
    goals = [spec.name for spec in seen if spec.observation_type == ObservationType.GOAL_SIGNAL]
    conditioned = behavior.network_settings.goal_conditioning_type == "hyper"
    return [
        f"goal_conditioning_type: hyper has no effect: {goal} is read like any other sensor"
        for goal in goals
        if conditioned
    ]


def _evaluator(
    settings: RunSettings, document: Document, policies: Mapping[str, Policy], worlds: ExitStack
) -> Evaluate | None:
    """Return what runs evaluation episodes, (episodes, seed) -> evaluations; None in the Editor."""
    if settings.env_settings.env_path is None:
        return None
    world = worlds.enter_context(closing(make_world(settings, document, evaluation=True)))
    return lambda episodes, seed: evaluate_world(world, policies, episodes, seed)


def _device(settings: RunSettings, document: Document) -> torch.device:
    wanted = settings.torch_settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise document.error(("torch_settings", "device"), f"{wanted}: no such device here; cpu always is") from None
    return device
