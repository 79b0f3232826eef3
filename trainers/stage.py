"""One row of an embedded task to look at, and who can act in it: what videos and the browser show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector.utils import batch_space

from reward_shaping import RewardError, RewardWrapper
from trainers.checkpoint import load_checkpoint
from trainers.config import find_config, load_settings
from trainers.errors import RunError, UserError
from trainers.evaluate import Policy
from trainers.export.bundle import best_checkpoint
from trainers.resume import check_networks
from trainers.run_folder import RunFolder, find_run
from trainers.settings import RunSettings
from trainers.train import make_algorithm
from trainers.world import make_env
from trainers.yaml_file import Document, validate
from unity_env.sim.env import SimEnv
from unity_env.sim.role import all_roles, roles_of
from unity_env.spaces import action_space, action_tuple, observed_sensors
from unity_env.vector_env import UnityVectorEnv

Cast = Mapping[str, Policy]


@dataclass(frozen=True)
class Moment:
    """What one step came to, for the behavior that is watched.

    Attributes:
        episode: how many-eth since the last reset, from 0.
        step: of the episode, from 1.
        rew: the reward.
        total: sum of the rewards of the episode so far.
        terms: reward term -> its weighted value.
        signals: signal -> (k,); those of the episode's end where it ended.
        ended: the episode is over, and the scene shows the start of the next.
        solved: the episode ended in success.
    """

    episode: int
    step: int
    rew: float
    total: float
    terms: dict[str, float]
    signals: dict[str, np.ndarray]
    ended: bool
    solved: bool


class Stage:
    """Steps one row of a task, every robot played by a policy.

    Args:
        title: of what is shown.
        env: one row, the watched behavior's.
        casts: name of a way to act -> behavior -> policy; a behavior without one stands still.
    """

    def __init__(self, title: str, env: RewardWrapper, casts: Mapping[str, Cast]) -> None:
        below = env.env
        assert isinstance(below, UnityVectorEnv)
        assert isinstance(below.env, SimEnv)
        self.title, self.env, self.casts = title, env, casts
        self.sim: SimEnv = below.env
        self.behavior = below.behavior
        control = self.sim.task.roles[0].robot.control
        self.period_s, self.episode_s = control.period_s, self.sim.task.roles[0].task.episode_s
        self.signals: dict[str, np.ndarray] = {}
        self._obs: Any = None
        self._episode, self._step, self._total = 0, 0, 0.0

    def reset(self, seed: int | None = None) -> None:
        """Start a new episode; with a seed, the first of that seed."""
        self._obs, infos = self.env.reset(seed=seed)
        self.signals = _first_row(infos.get("signals", {}))
        self._episode = 0 if seed is not None else self._episode + 1
        self._step, self._total = 0, 0.0

    def step(self, cast: str) -> Moment:
        """Let a cast act for one control period.

        Raises:
            RunError: a reward term that is not a number.
        """
        policies = self.casts[cast]
        for behavior, spec in self.sim.behavior_specs.items():
            if behavior != self.behavior and behavior in policies:
                seen = self.sim.get_steps(behavior)[0].obs[next(iter(observed_sensors(spec).values()))]
                self.sim.set_actions(behavior, action_tuple(spec.action_spec, policies[behavior](seen)))
        idle = np.zeros(self.env.action_space.shape or (1,), self.env.action_space.dtype)
        act = policies[self.behavior](self._obs) if self.behavior in policies else idle
        try:
            self._obs, rew, terminated, truncated, infos = self.env.step(act)
        except RewardError as error:
            raise RunError(str(error)) from None
        ended = bool(terminated[0] | truncated[0])
        self._step += 1
        self._total += float(rew[0])
        self.signals = _first_row(infos.get("signals", {}))
        shown = _first_row(infos["final_info"]["signals"]) if ended and self.signals else self.signals
        moment = Moment(
            self._episode,
            self._step,
            float(rew[0]),
            self._total,
            {name: float(value[0]) for name, value in infos["reward_terms"].items()},
            shown,
            ended,
            ended and bool(shown["success"][0] > 0 if "success" in shown else False),
        )
        if ended:
            self._episode, self._step, self._total = self._episode + 1, 0, 0.0
        return moment

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


def open_stage(target: str, results_dir: Path | None = None) -> Stage:
    """Open a run, a config or a task for watching.

    Raises:
        UserError: it is none of them, the run cannot be read, or its world is not embedded.
    """
    run = find_run(Path(target), results_dir)
    if run is not None:
        settings, document = load_settings(RunFolder(run).configuration)
        return _make_stage(settings, document, settings.checkpoint_settings.run_id, RunFolder(run))
    if target in all_roles():
        data = {"env_settings": {"env_path": f"sim:{target}"}, "behaviors": {roles_of(target)[0].behavior: {}}}
        document = Document(target, data)
        return _make_stage(validate(RunSettings, data, document), document, target)
    try:
        settings, document = load_settings(find_config(target))
    except UserError as error:
        if Path(target).exists() or "no such file" not in str(error):
            raise
        raise UserError(
            f"{target}: not a run (no configuration.yaml in it or below {results_dir or 'results'}), "
            f"nor a config, nor a task; tasks are {', '.join(all_roles())}"
        ) from None
    return _make_stage(settings, document, settings.checkpoint_settings.run_id)


def _make_stage(settings: RunSettings, document: Document, title: str, folder: RunFolder | None = None) -> Stage:
    task = settings.env_settings.sim_task or settings.env_settings.task
    if task is None:
        raise document.error(("env_settings", "env_path"), "only embedded tasks (sim:<task>) can be shown here")
    embedded = settings.env_settings.model_copy(update={"env_path": f"sim:{task}", "sim_threads": 1, "num_envs": 1})
    settings = settings.model_copy(update={"env_settings": embedded})
    name = next(iter(settings.behaviors))
    env = make_env(settings, name, document, evaluation=True, rows=1)
    casts: dict[str, Cast] = {}
    try:
        if folder is not None:
            casts["trained"] = {
                behavior: _trained(folder, settings, behavior, document) for behavior in settings.behaviors
            }
        stage = Stage(title, env, casts)
    except BaseException:
        env.close()
        raise
    casts["random"] = {
        behavior: _random(spec.action_spec, index) for index, (behavior, spec) in enumerate(_specs(stage))
    }
    casts["still"] = {}
    return stage


def _specs(stage: Stage) -> list[tuple[str, Any]]:
    return list(stage.sim.behavior_specs.items())


def _trained(folder: RunFolder, settings: RunSettings, name: str, document: Document) -> Policy:
    """Return a behavior's best policy."""
    source = best_checkpoint(folder, name)
    state = load_checkpoint(source)
    check_networks(state, name, settings.behaviors[name], document, source)
    env = make_env(settings, name, document, evaluation=True, rows=1)
    try:
        algorithm = make_algorithm(env, settings, name, document)
    finally:
        env.close()
    algorithm.load_state_dict(state["algorithm"])
    return algorithm.act_deterministic


def _random(spec: Any, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a policy that draws uniform actions for one row."""
    space = batch_space(action_space(spec), 1)
    space.seed(seed)
    return lambda _obs: np.asarray(space.sample())


def _first_row(signals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(value[0]) for name, value in signals.items()}
