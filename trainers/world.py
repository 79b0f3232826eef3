"""A run's world: the scene that the YAML names, with every behavior's reward on top."""

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from mlagents_envs.base_env import BaseEnv

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardError, RewardScorer, RewardWrapper
from trainers.curriculum import check_parameters, check_signals, first_values, last_values
from trainers.errors import RunError
from trainers.hindsight import goal_of
from trainers.masks import seen
from trainers.observation import Observation, observation_of
from trainers.settings import RunSettings
from trainers.world_errors import environment_errors, reward_error
from trainers.yaml_file import Document
from unity_env.agent_rows import AgentRows, StepResult
from unity_env.make import make_base_env
from unity_env.scene import UnityScene
from unity_env.settings import EnvSettings, Sampler
from unity_env.sim.role import find_role
from unity_env.spaces import SIGNALS_SENSOR, ActionError, LayoutError, Layouts, SignalViews
from unity_env.vector_env import APPEAR_STEPS, SILENT_STEPS, UnityVectorEnv

EVALUATION_ROWS = 50

log = logging.getLogger(__name__)

T = TypeVar("T")
Start = tuple[Any, dict[str, Any]]  # observations and infos
Score = Callable[[str, AgentRows], RewardScorer]


class World:
    """A scene whose behaviors are rewarded as their settings say.

    Its observations are rows of what networks read: the numbers of all sensors, signals where critics read them, masks
    where there are discrete actions.
    Infos also tell in which rows, (N,) bool, an observation is the `first` of its episode.
    ML-Agents tells of a behavior when its first agent comes, which may be late: `newcomers` has those that have come.

    Args:
        scene: stepped until all of the behaviors have appeared in it, or some have and the others are late.
        names: of the behaviors, with or without `?team=`.
        score: makes what scores a behavior, from its name and its agents.
        with_signals: tells of a name whether its critics read signals, too.
        open_to_all: behaviors that are not named belong to it, too, under their names without `?team=`.
        patience: steps to wait for those of the names that are not there from the start.
        late: behaviors may join while others have begun.

    Attributes:
        rows: behavior -> its agents.
        observations: behavior -> what makes up a row of what it sees.
        scorers: behavior -> what scores it.

    Raises:
        ValueError: a behavior does not appear, or its name is not unique.
    """

    def __init__(
        self,
        scene: UnityScene,
        names: Collection[str],
        score: Score,
        with_signals: Callable[[str], bool],
        *,
        patience: int,
        open_to_all: bool = False,
        late: bool = False,
    ) -> None:
        self.scene = scene
        self.rows: dict[str, AgentRows] = {}
        self.observations: dict[str, Observation] = {}
        self.scorers: dict[str, RewardScorer] = {}
        self._names, self._score, self._with_signals = tuple(names), score, with_signals
        self._open = open_to_all
        self._known: set[str] = set()
        self._full_name: dict[str, str] = {}
        self._doubles: list[str] = []
        self._newcomers: dict[str, Start] = {}
        scene.reset()
        self._find_behaviors(patience)
        if self._doubles:
            raise ValueError(self._doubles[0])
        if self.missing and not (late and self.rows):
            known = ", ".join(scene.env.behavior_specs) or "none"
            raise ValueError(f"behavior {self.missing[0]}: the environment has {known}")
        if not self.rows:
            raise ValueError(f"no behavior has appeared in {patience} steps of the scene")

    @property
    def missing(self) -> list[str]:
        """Behaviors that are named and have not appeared."""
        return [name for name in self._names if name not in self.rows]

    def newcomers(self) -> dict[str, Start]:
        """Return the behaviors that have joined by a step since this was asked last, and what they begin with.

        They take part from then on: `step` may have actions for them, and without has them stand still.
        """
        joined, self._newcomers = self._newcomers, {}
        return joined

    def reset(self, seed: int | None = None) -> dict[str, Start]:
        """Start new episodes everywhere; behavior -> (observations, infos)."""
        results = self.scene.reset(seed=seed)
        self._admit()
        self._newcomers.clear()
        starts = self._starts(results)
        for name, (_, infos) in starts.items():
            self.scorers[name].begin(infos)
        return starts

    def step(self, actions: Mapping[str, Any]) -> dict[str, StepResult]:
        """Advance once; behavior with an action -> gymnasium's five values, with the behavior's own reward.

        Raises:
            RewardError: a reward term that is not a number.
            RunError: no agent of any behavior has reported for a long time.
        """
        named = {self._full_name[name]: action for name, action in actions.items()}
        still = {full: rows.no_action() for full, rows in self.scene.behaviors.items() if full not in named}
        results = self._advance(named | still)
        scored = {}
        for name in actions:
            obs, env_rew, terminated, truncated, infos = results[name]
            rew = self.scorers[name].score(actions[name], env_rew, terminated, truncated, infos)
            infos["first"] = terminated | truncated
            scored[name] = (self._seen(name, obs, infos), rew, terminated, truncated, infos)
        return scored

    def close(self) -> None:
        """Close the scene."""
        self.scene.close()

    def stats(self) -> dict[str, float]:
        """What the scene has reported of itself since the last call."""
        return self.scene.stats()

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Give environment parameters to the episodes that begin from now on.

        Raises:
            RunError: the environment refuses them, a lesson that does not fit those of others for example.
        """
        try:
            self.scene.set_parameters(parameters)
        except ValueError as error:
            raise RunError(str(error)) from None

    def sampled_means(self) -> dict[str, float]:
        """The mean of each sampled environment parameter over the episodes begun since the last call."""
        return self.scene.sampled_means()

    def state_dict(self) -> dict[str, Any] | None:
        """State of the scene, without the scorers'; None where it cannot tell."""
        return self.scene.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> dict[str, Start]:
        """Continue where `state_dict` was taken; behavior -> that moment's observations and infos."""
        return self._starts(self.scene.load_state_dict(state))

    def _find_behaviors(self, patience: int) -> None:
        """Step the scene, without actions, until all that are named have appeared, or patience is at its end."""
        for _ in range(patience):
            self._admit()
            if self.rows and not self.missing:
                return
            self.scene.step({full: rows.no_action() for full, rows in self.scene.behaviors.items()})

    def _admit(self) -> list[str]:
        """Take in the behaviors that have appeared and belong here; returns their names."""
        joined = []
        for full in [full for full in self.scene.behaviors if full not in self._known]:
            self._known.add(full)
            name = self._name_of(full)
            if name in self.rows:
                self._doubles.append(f"behavior {name}: name one of {self._full_name[name]}, {full}")
            elif name is not None:
                self._full_name[name], self.rows[name] = full, self.scene.behaviors[full]
                self.observations[name] = observation_of(self.rows[name], with_signals=self._with_signals(name))
                self.scorers[name] = self._score(name, self.rows[name])
                joined.append(name)
        return joined

    def _name_of(self, full: str) -> str | None:
        """Return what a behavior is called here; None where it does not belong here."""
        if full in self._names:
            return full
        plain = full.partition("?")[0]
        return plain if self._open or plain in self._names else None

    def _starts(self, starts: Mapping[str, Start]) -> dict[str, Start]:
        named = self._by_name(starts)
        for name, (_, infos) in named.items():
            infos["first"] = np.ones(self.rows[name].num_rows, dtype=bool)
        return {name: (self._seen(name, obs, infos), infos) for name, (obs, infos) in named.items()}

    def _seen(self, name: str, obs: Any, infos: dict[str, Any]) -> Any:
        observation = self.observations[name]
        if "final_obs" in infos:
            signals = infos.get("final_info", {}).get("signals", {})
            infos["final_obs"] = observation.rows(infos["final_obs"], signals)
        rows = observation.rows(obs, infos.get("signals", {}))
        return seen(rows, infos, self.rows[name].spec.action_spec.discrete_branches)

    def _by_name(self, results: Mapping[str, T]) -> dict[str, T]:
        return {name: results[full] for name, full in self._full_name.items()}

    def _advance(self, actions: Mapping[str, Any]) -> dict[str, StepResult]:
        """Step the scene until an agent reports."""
        for _ in range(SILENT_STEPS):
            try:
                told = self.scene.step(actions)
            except (ActionError, LayoutError) as error:
                raise RunError(str(error)) from None
            if len(told) > len(actions):
                self._welcome(told)
                actions = {full: actions.get(full, rows.no_action()) for full, rows in self.scene.behaviors.items()}
            results = self._by_name(told)
            if any((infos["valid"] | infos["requesting"]).any() for *_, infos in results.values()):
                return results
        raise RunError(f"no agent of {', '.join(self.rows)} has reported for {SILENT_STEPS:,} steps of the scene")

    def _welcome(self, told: Mapping[str, StepResult]) -> None:
        """Let the behaviors that have appeared in a step begin."""
        refused = len(self._doubles)
        joined = self._admit()
        for double in self._doubles[refused:]:
            log.warning("%s; the one that came later stands still", double)
        for name in joined:
            obs, _, _, _, infos = told[self._full_name[name]]
            infos["first"] = np.ones(self.rows[name].num_rows, dtype=bool)
            self._newcomers[name] = self._seen(name, obs, infos), infos
            self.scorers[name].begin(infos)


def make_world(
    settings: RunSettings,
    document: Document,
    *,
    evaluation: bool = False,
    rows: int | None = None,
    late: bool = False,
) -> World:
    """Make the scene with the reward of every behavior in the settings.

    A training begins with the first lessons of environment_parameters, and the loop goes on from there. An
    evaluation has the last lessons and the same samplers: it always measures the difficulty that is the aim.

    Args:
        settings: of the run.
        document: the run's YAML, for messages.
        evaluation: make the one for evaluation episodes: a batch of its own, or a player beside the others.
        rows: number of rows of `sim:`; None takes the settings' number, or as many as suit evaluation.
        late: go on without the behaviors of a player that have not appeared yet; they join later.

    Raises:
        UserError: the environment or a reward does not fit, with the line of the YAML.
        UnityException: a player did not start or connect.
    """
    names = tuple(settings.behaviors)
    first = next(iter(names), "")
    env = _make_base_env(settings, document, first, evaluation=evaluation, rows=rows)
    try:
        described = _layouts_of(env)
        plain = {name: name.partition("?")[0] for name in names}
        layouts = {
            of: _described_layouts(settings.env_settings, name, document) or described.get(of, {})
            for name, of in plain.items()
        }

        def score(name: str, agents: AgentRows) -> RewardScorer:
            having = settings.with_behavior(name)
            of = layouts.get(plain.get(name, name), {})
            reward, strength = _reward(having, name, agents.signals, of, document, evaluation)
            goal = goal_of(having, name, reward, document)
            return RewardScorer(reward, agents.num_rows, strength, goal.signals if goal else ())

        signals = {of: settings.behaviors[name].signals for name, of in plain.items()}
        everyone = settings.default_settings is not None
        with environment_errors(first, document):
            scene = UnityScene(env, layouts, None, signals, None if everyone else names)
            late = late and not described
            patience = 1 if described else APPEAR_STEPS if late else SILENT_STEPS
            reads = settings.reads_signals
            return World(scene, names, score, reads, patience=patience, open_to_all=everyone, late=late)
    except BaseException:
        env.close()
        raise


def make_env(settings: RunSettings, name: str, document: Document, *, rows: int | None = None) -> RewardWrapper:
    """Make gymnasium's vector environment of one behavior, with its reward.

    Args:
        settings: of the run.
        name: of the behavior.
        document: the run's YAML, for messages.
        rows: number of rows of `sim:`; None takes the settings' number.

    Raises:
        UserError: the environment or the reward does not fit, with the line of the YAML.
        UnityException: a player did not start or connect.
    """
    base = _make_base_env(settings, document, name, rows=rows)
    try:
        layouts = _described_layouts(settings.env_settings, name, document) or _layouts_of(base).get(name, {})
        with environment_errors(name, document):
            env = UnityVectorEnv(base, name, layouts, None, settings.behaviors[name].signals)
        return RewardWrapper(env, *_reward(settings, name, env.agents.signals, layouts, document))
    except BaseException:
        base.close()
        raise


def _make_base_env(
    settings: RunSettings, document: Document, name: str, *, evaluation: bool = False, rows: int | None = None
) -> BaseEnv:
    check_parameters(settings, document)
    world, run = settings.env_settings, settings.checkpoint_settings
    values = last_values if evaluation else first_values
    if evaluation and world.sim_task and rows is None:
        rows = EVALUATION_ROWS
    with environment_errors(name, document):
        return make_base_env(
            world.model_copy(update={"num_envs": 1}) if evaluation else world,
            engine=settings.engine_settings,
            parameters=values(settings.environment_parameters),
            rows=rows,
            log_folder=Path(run.results_dir) / run.run_id / "run_logs",
            first_worker=world.num_envs if evaluation else 0,
        )


def _reward(
    settings: RunSettings,
    name: str,
    signals: SignalViews,
    layouts: Layouts,
    document: Document,
    evaluation: bool = False,
) -> tuple[Reward, float]:
    """Return a behavior's reward, in an evaluation as it is at the end of training, and its strength."""
    behavior = settings.behaviors[name]
    check_signals(settings, name, signals, document)
    shaping = behavior.reward_shaping or ENV_REWARD_ONLY
    seen = {part.name for sensor, layout in layouts.items() if sensor != SIGNALS_SENSOR for part in layout.components}
    try:
        reward = Reward(
            shaping.at_the_end() if evaluation else shaping,
            {signal: where.stop - where.start for signal, (_, where) in signals.items()},
            gamma=behavior.reward_signals.extrinsic.gamma,
            period_s=_control_period_s(settings.env_settings, name),
            observed=seen | set(behavior.signals),
        )
    except RewardError as error:
        raise reward_error(settings, error, document, name) from None
    return reward, behavior.reward_signals.extrinsic.strength


def _control_period_s(world: EnvSettings, name: str) -> float | None:
    """Return the time between two decisions of a described task; None where nothing is said."""
    task = world.sim_task or world.task
    return None if task is None else find_role(task, name).control.period_s


def _layouts_of(env: BaseEnv) -> Mapping[str, Layouts]:
    """Return the layouts that an environment knows of itself, as the embedded simulation does."""
    found: Mapping[str, Layouts] = getattr(env, "layouts", {})
    return found


def _described_layouts(world: EnvSettings, name: str, document: Document) -> Layouts | None:
    """Return the sensors of the described task that a player is said to have; None where nothing is said."""
    if world.task is None:
        return None
    try:
        return find_role(world.task, name).layouts
    except ValueError as error:
        raise document.error(("env_settings", "task"), str(error)) from None
