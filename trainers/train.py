"""START HERE: YAML -> environment -> reward -> loop -> checkpoint -> actor."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from trainers.idle_settings import without_effect
from trainers.imitation.demonstrations import load_shown
from trainers.loop import Evaluate, TrainingLoop
from trainers.observation import Observation, observation_of
from trainers.resume import changed_settings, initial_checkpoint, initialize, load_resumed, restore
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.vision import SMALLEST
from trainers.wandb_log import WandbLog, import_wandb
from trainers.world import World, make_world
from trainers.world_errors import run_errors
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
    torch.set_num_threads(settings.torch_settings.threads)
    settings = for_a3c(settings, document)
    chosen = settings.checkpoint_settings
    folder = RunFolder(Path(chosen.results_dir) / chosen.run_id)
    folder.check(settings.behaviors, resume=chosen.resume, force=chosen.force)
    with ExitStack() as worlds, run_errors(settings, document):
        world = worlds.enter_context(closing(make_world(settings, document, late=True)))
        resumed = load_resumed(folder, settings, document) if chosen.resume else {}
        roster = Roster(settings, document, world, folder, display, resumed)
        evaluate_on = _evaluator(settings, document, roster, worlds)
        changed = changed_settings(folder.configuration, settings) if chosen.resume else []
        if settings.wandb is not None:
            import_wandb()
        folder.prepare(world.rows, keep=chosen.resume)
        if settings.wandb is not None:
            roster.wandb = worlds.enter_context(closing(WandbLog(settings, folder.root)))
        roster.open()
        curricula = Curricula(settings.environment_parameters, {name: of.num_rows for name, of in world.rows.items()})
        parts = (world, roster, settings.evaluation, evaluate_on, curricula, folder, display)
        loop = AsyncLoop(*parts, settings=settings, document=document) if is_a3c(settings) else TrainingLoop(*parts)
        if chosen.resume:
            _resume(loop, roster, changed)
        else:
            loop.start(settings.env_settings.seed)
        for start in curricula.present():
            display.lesson(loop.step, str(start))
        display.start({name: (of.step, of.settings.max_steps) for name, of in roster.trainers.items()})
        loop.run()
        display.stop()
        if loop.stop_requested:
            return Trained(folder, loop.step, {}, {})
        for name, algorithm in roster.algorithms.items():
            algorithm.load_state_dict(load_checkpoint(best_checkpoint(folder, name))["algorithm"])
        finals = evaluate_on(settings.evaluation.final_episodes, settings.evaluation.final_seed) if evaluate_on else {}
    return Trained(folder, loop.step, finals, _export(roster, finals))


class Roster:
    """The behaviors that are trained.

    Args:
        settings: of the run.
        document: the run's YAML, for messages.
        world: the scene.
        folder: where the run's files go.
        display: what the user sees.
        resumed: behavior -> state of its checkpoint; empty where the run begins.

    Attributes:
        settings: of the run, with those of behaviors that only default_settings speak of.
        trainers: behavior -> what trains it, as soon as the run's folder is there.
        policies: behavior -> its policy without exploration, which keeps what it has seen.
        wandb: where logs go, too.
    """

    def __init__(
        self,
        settings: RunSettings,
        document: Document,
        world: World,
        folder: RunFolder,
        display: Display,
        resumed: dict[str, dict[str, Any]],
    ) -> None:
        self.settings, self.document, self.world = settings, document, world
        self.folder, self.display, self.resumed = folder, display, resumed
        self.algorithms: dict[str, Algorithm] = {}
        self.trainers: dict[str, BehaviorTrainer] = {}
        self.policies: dict[str, Recorder] = {}
        self.wandb: WandbLog | None = None
        for name in world.rows:
            self._make_learner(name)

    def open(self) -> None:
        """Write the settings into the run's folder, say what is trained, and make the trainers.

        Everything that may be refused has been looked at before.
        """
        write_text(self.folder.configuration, dump_settings(self.settings))
        for line in check_parameters(self.settings, self.document):
            self.display.note(line)
        if self.settings.checkpoint_settings.train_model:
            self.display.note("train_model has no effect: training is what is done without inference")
        for name in self.world.rows:
            self._make_trainer(name)
        for name in self.world.missing:
            self.display.note(f"{name} has not appeared in the scene yet; it joins when it does")

    def join(self, name: str) -> BehaviorTrainer:
        """Make the trainer of a behavior that has appeared while others train.

        Raises:
            UserError: the behavior's settings do not fit it.
        """
        self._make_learner(name)
        self.folder.behavior(name).mkdir(parents=True, exist_ok=True)
        write_text(self.folder.configuration, dump_settings(self.settings))
        trainer = self._make_trainer(name)
        if name in self.resumed:
            trainer.load_state_dict(self.resumed[name])
            trainer.algorithm.abandon_episodes()
        self.display.join(name, trainer.step, trainer.settings.max_steps)
        return trainer

    def _make_learner(self, name: str) -> None:
        """Make a behavior's algorithm, with what it learns from beside the scene and what it begins with."""
        self.settings = self.settings.with_behavior(name)
        rows, behavior = self.world.rows[name], self.settings.behaviors[name]
        algorithm = make_algorithm(rows, self.settings, name, self.document)
        hindsight = make_hindsight(self.settings, name, self.world.scorers[name], self.document)
        if hindsight is not None:
            assert isinstance(algorithm, OffPolicy)
            algorithm.use_hindsight(hindsight)
        algorithm.show(load_shown(behavior, rows, name, self.document))
        source = None if name in self.resumed else initial_checkpoint(self.settings, name, behavior)
        if source is not None:
            initialize(algorithm, source, name, behavior, self.document)
        self.algorithms[name] = algorithm
        self.policies[name] = Recorder(algorithm.policy())

    def _make_trainer(self, name: str) -> BehaviorTrainer:
        """Make what trains a behavior, and say what it is paid for and which settings have no effect."""
        behavior, scorer = self.settings.behaviors[name], self.world.scorers[name]
        for line in (*without_effect(behavior), *_goals_without_effect(self.world.rows[name], behavior)):
            self.display.note(line)
        self.display.reward_table(name, scorer.reward.describe(), scorer.reward.content_hash)
        rows = self.world.rows[name].num_rows
        trainer = BehaviorTrainer(name, behavior, self.algorithms[name], scorer, rows, self.folder, self.display)
        if self.wandb is not None:
            trainer.mirror = self.wandb.mirror(name)
        self.trainers[name] = trainer
        return trainer


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


def _export(roster: Roster, finals: Mapping[str, Evaluation]) -> dict[str, Export]:
    """Export all behaviors; what their policies have seen in the evaluation stays, for later exports, too."""
    exports = {}
    for name in roster.trainers:
        recorded = roster.policies[name].seen
        if recorded is not None:
            save_recorded(roster.folder.behavior(name), recorded)
        exports[name] = export_actor(roster.folder, name, roster.settings, finals.get(name), recorded)
    return exports


def _resume(loop: TrainingLoop, roster: Roster, changed: list[str]) -> None:
    """Let the loop go on from the checkpoints, and say what could be taken over and what has changed."""
    exact = restore(loop, roster.resumed, roster.settings.env_settings.seed, roster.folder)
    what = "simulation included" if exact else "networks and optimiser; the episodes start anew"
    lost = [f"{name}: {trainer.lost}" for name, trainer in roster.trainers.items() if trainer.lost]
    bits = "bit-exactly, " if exact and not changed and not lost else ""
    roster.display.note(f"resumed at step {loop.step:,}: {bits}{what}")
    for line in (*lost, *(f"changed: {line}" for line in changed)):
        roster.display.note(f"  {line}")


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


def _evaluator(settings: RunSettings, document: Document, roster: Roster, worlds: ExitStack) -> Evaluate | None:
    """Return what runs evaluation episodes, (episodes, seed) -> evaluations; None in the Editor."""
    if settings.env_settings.env_path is None:
        return None
    world = worlds.enter_context(closing(make_world(settings, document, evaluation=True, late=True)))
    return lambda episodes, seed: evaluate_world(world, roster.policies, episodes, seed)


def _device(settings: RunSettings, document: Document) -> torch.device:
    wanted = settings.torch_settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise document.error(("torch_settings", "device"), f"{wanted}: no such device here; cpu always is") from None
    return device
