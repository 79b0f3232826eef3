"""A run's world: the scene that the YAML names, with every behavior's reward on top."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from mlagents_envs.base_env import BaseEnv
from mlagents_envs.exception import UnityException

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardError, RewardScorer, RewardWrapper
from trainers.curriculum import check_parameters, check_signals, first_values, last_values
from trainers.errors import RunError, UserError
from trainers.hindsight import goal_of
from trainers.masks import seen
from trainers.observation import observation_of
from trainers.settings import RunSettings
from trainers.yaml_file import Document
from unity_env.agent_rows import StepResult
from unity_env.link.errors import LinkError, PortTakenError
from unity_env.make import make_base_env
from unity_env.scene import UnityScene
from unity_env.settings import EnvSettings, Sampler
from unity_env.sim.role import find_role
from unity_env.spaces import SIGNALS_SENSOR, Layouts, SignalViews
from unity_env.vector_env import APPEAR_STEPS, SILENT_STEPS, UnityVectorEnv, answers_to

EVALUATION_ROWS = 50

T = TypeVar("T")


class World:
    """A scene whose behaviors are rewarded as their settings say.

    Its observations are rows of what networks read: the numbers of all sensors, signals where critics read them, masks
    where there are discrete actions.
    Infos also tell in which rows, (N,) bool, an observation is the `first` of its episode.

    Args:
        scene: stepped until all of the behaviors have appeared in it.
        names: of the behaviors, with or without `?team=`.
        with_signals: those of them whose critics read signals, too.

    Attributes:
        rows: behavior -> its agents.
        observations: behavior -> what makes up a row of what it sees.
        scorers: behavior -> what scores it; to be filled by `make_world`.

    Raises:
        ValueError: a behavior does not appear, or its name is not unique.
    """

    def __init__(self, scene: UnityScene, names: Collection[str], with_signals: Collection[str] = ()) -> None:
        self.scene = scene
        scene.reset()
        self._full_name = {name: find_appearing(scene, name) for name in names}
        self.rows = {name: scene.behaviors[full] for name, full in self._full_name.items()}
        self.observations = {
            name: observation_of(rows, with_signals=name in with_signals) for name, rows in self.rows.items()
        }
        self.scorers: dict[str, RewardScorer] = {}

    def reset(self, seed: int | None = None) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Start new episodes everywhere; behavior -> (observations, infos)."""
        starts = self._starts(self.scene.reset(seed=seed))
        for name, (_, infos) in starts.items():
            self.scorers[name].begin(infos)
        return starts

    def step(self, actions: Mapping[str, Any]) -> dict[str, StepResult]:
        """Advance once; behavior -> gymnasium's five values, with the behavior's own reward.

        Raises:
            RewardError: a reward term that is not a number.
            RunError: no agent of any behavior has reported for a long time.
        """
        results = self._advance({self._full_name[name]: action for name, action in actions.items()})
        scored = {}
        for name, (obs, env_rew, terminated, truncated, infos) in results.items():
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

    def load_state_dict(self, state: dict[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Continue where `state_dict` was taken; behavior -> that moment's observations and infos."""
        return self._starts(self.scene.load_state_dict(state))

    def _starts(self, starts: Mapping[str, tuple[Any, dict[str, Any]]]) -> dict[str, tuple[Any, dict[str, Any]]]:
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
            results = self._by_name(self.scene.step(actions))
            if any((infos["valid"] | infos["requesting"]).any() for *_, infos in results.values()):
                return results
        raise RunError(f"no agent of {', '.join(self.rows)} has reported for {SILENT_STEPS:,} steps of the scene")


def find_appearing(scene: UnityScene, name: str) -> str:
    """Return a behavior's full name, stepping the scene until it appears.

    Raises:
        ValueError: it does not appear within 100 steps, or the name is not unique.
    """
    for _ in range(APPEAR_STEPS):
        found = [full for full in scene.behaviors if answers_to(full, name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"behavior {name}: name one of {', '.join(found)}")
        scene.step({full: rows.no_action() for full, rows in scene.behaviors.items()})
    raise ValueError(f"behavior {name}: the environment has {', '.join(scene.env.behavior_specs) or 'none'}")


def make_world(
    settings: RunSettings, document: Document, *, evaluation: bool = False, rows: int | None = None
) -> World:
    """Make the scene with the reward of every behavior in the settings.

    A training begins with the first lessons of environment_parameters, and the loop goes on from there. An
    evaluation has the last lessons and the same samplers: it always measures the difficulty that is the aim.

    Args:
        settings: of the run.
        document: the run's YAML, for messages.
        evaluation: make the one for evaluation episodes: a batch of its own, or a player beside the others.
        rows: number of rows of `sim:`; None takes the settings' number, or as many as suit evaluation.

    Raises:
        UserError: the environment or a reward does not fit, with the line of the YAML.
        UnityException: a player did not start or connect.
    """
    names = tuple(settings.behaviors)
    env = _make_base_env(settings, document, names[0], evaluation=evaluation, rows=rows)
    try:
        described = _layouts_of(env)
        plain = {name: name.partition("?")[0] for name in names}
        layouts = {
            of: _described_layouts(settings.env_settings, name, document) or described.get(of, {})
            for name, of in plain.items()
        }
        signals = {of: settings.behaviors[name].signals for name, of in plain.items()}
        with _environment_errors(names[0], document):
            world = World(UnityScene(env, layouts, None, signals, names), names, reading_signals(settings))
        for name, agents in world.rows.items():
            reward, strength = _reward(settings, name, agents.signals, layouts[plain[name]], document, evaluation)
            goal = goal_of(settings, name, reward, document)
            world.scorers[name] = RewardScorer(reward, agents.num_rows, strength, goal.signals if goal else ())
        return world
    except BaseException:
        env.close()
        raise


def reading_signals(settings: RunSettings) -> set[str]:
    """Return the behaviors whose critics read signals."""
    return {name for name, behavior in settings.behaviors.items() if behavior.critic_observations is not None}


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
        with _environment_errors(name, document):
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
    with _environment_errors(name, document):
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
        raise _reward_error(settings, error, document, name) from None
    return reward, behavior.reward_signals.extrinsic.strength


def _control_period_s(world: EnvSettings, name: str) -> float | None:
    """Return the time between two decisions of a described task; None where nothing is said."""
    task = world.sim_task or world.task
    return None if task is None else find_role(task, name).control.period_s


@contextmanager
def _environment_errors(name: str, document: Document) -> Iterator[None]:
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
        raise RunError(str(_reward_error(settings, error, document))) from None
    except UnityException as error:
        raise RunError(str(error)) from None


def _reward_error(settings: RunSettings, error: RewardError, document: Document, name: str | None = None) -> UserError:
    """Return the error with its line in the YAML: of the behavior whose reward has the term."""
    if name is None:
        term = error.path[1] if len(error.path) > 1 else None
        shaped = {key: of.reward_shaping for key, of in settings.behaviors.items() if of.reward_shaping}
        name = next(
            (key for key, reward in shaped.items() if term in {**reward.terms, **reward.costs}),
            next(iter(settings.behaviors)),
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
