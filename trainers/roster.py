"""The behaviors of a run: what each of them learns with, from the start or from when it appears."""

from typing import Any

from mlagents_envs.base_env import ObservationType

from trainers.algorithms import Algorithm
from trainers.algorithms.off_policy import OffPolicy
from trainers.behavior import BehaviorTrainer
from trainers.config import dump_settings
from trainers.curriculum import check_parameters
from trainers.display import Display
from trainers.export.recorded import Recorder
from trainers.files import write_text
from trainers.hindsight import make_hindsight
from trainers.idle_settings import without_effect
from trainers.imitation.demonstrations import load_shown
from trainers.learner import make_algorithm
from trainers.resume import check_agents, initial_checkpoint, initialize
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings, RunSettings
from trainers.wandb_log import WandbLog
from trainers.world import World
from trainers.yaml_file import Document
from unity_env.agent_rows import AgentRows
from unity_env.spaces import observed_sensors


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

    def write_settings(self) -> None:
        """Write the settings into the run's folder."""
        write_text(self.folder.configuration, dump_settings(self.settings))

    def open(self) -> None:
        """Say what is trained, and make the trainers."""
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
        self.write_settings()
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
        if name in self.resumed:
            check_agents(self.resumed[name], name, algorithm, self.document, self.folder.checkpoint(name))
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
