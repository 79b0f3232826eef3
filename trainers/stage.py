"""One row of an embedded task to look at, and who can act in it: what videos and the browser show."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector.utils import batch_space

from reward_shaping import RewardError
from trainers.config import find_config, load_settings
from trainers.errors import RunError, UserError
from trainers.inspect_run import best_policies, open_run
from trainers.policy import Policy
from trainers.run_folder import RunFolder, find_run
from trainers.settings import RunSettings
from trainers.world import World, make_world
from trainers.yaml_file import Document, validate
from unity_env.agent_rows import AgentRows
from unity_env.sim.baselines import BASELINES
from unity_env.sim.baselines.measure import as_action, read_components
from unity_env.sim.env import SimEnv
from unity_env.sim.role import Role, all_roles, roles_of

Cast = Mapping[str, Policy]


@dataclass(frozen=True)
class Moment:
    """What one step came to for one behavior.

    Attributes:
        rew: the reward.
        total: sum of the rewards of the episode so far.
        terms: reward term -> its weighted value.
        signals: signal -> (k,); those of the episode's end where it ended.
        solved: the episode ended in success.
    """

    rew: float
    total: float
    terms: dict[str, float]
    signals: dict[str, np.ndarray]
    solved: bool


class Stage:
    """Steps one row of a task, every robot played by a policy.

    Args:
        title: of what is shown.
        world: one row of an embedded task.
        casts: name of a way to act -> behavior -> policy; a behavior without one stands still.

    Attributes:
        behaviors: who is rewarded, in the order of the settings.
        signals: behavior -> signal -> (k,), of now.
        episode: how many-eth since the last seed, from 0.
        step_count: steps of the episode under way.
    """

    def __init__(self, title: str, world: World, casts: Mapping[str, Cast]) -> None:
        assert isinstance(world.scene.env, SimEnv)
        self.title, self.world, self.casts = title, world, casts
        self.sim: SimEnv = world.scene.env
        self.behaviors = tuple(world.rows)
        control = self.sim.task.roles[0].robot.control
        self.period_s, self.episode_s = control.period_s, self.sim.task.roles[0].task.episode_s
        self.signals: dict[str, dict[str, np.ndarray]] = {}
        self.episode, self.step_count = 0, 0
        self._seen: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._cast = ""
        self._totals: dict[str, float] = {}

    def reset(self, seed: int | None = None) -> None:
        """Start a new episode; with a seed, the first of that seed."""
        starts = self.world.reset(seed)
        self._seen = dict(starts)
        self.signals = {name: _first_row(infos.get("signals", {})) for name, (_, infos) in starts.items()}
        self.episode = 0 if seed is not None else self.episode + 1
        self._begin()

    def step(self, cast: str) -> tuple[dict[str, Moment], bool]:
        """Let a cast act for one control period.

        Returns:
            Behavior -> what came of it; and whether the episode ended: the scene then shows the next one's start.

        Raises:
            RunError: a reward term that is not a number.
        """
        policies = self.casts[cast]
        if cast != self._cast:
            self._cast = cast
            for _, infos in self._seen.values():
                infos["first"] = np.ones(1, dtype=bool)  # whoever takes over remembers nothing of this episode
        actions = {
            name: policies[name](*self._seen[name]) if name in policies else rows.no_action()
            for name, rows in self.world.rows.items()
        }
        try:
            results = self.world.step(actions)
        except RewardError as error:
            raise RunError(str(error)) from None
        moments = {name: self._moment(name, *result) for name, result in results.items()}
        ended = any((terminated | truncated)[0] for _, _, terminated, truncated, _ in results.values())
        self.step_count += 1
        if ended:
            self.episode += 1
            self._begin()
        return moments, ended

    def close(self) -> None:
        """Close the scene."""
        self.world.close()

    def _begin(self) -> None:
        self.step_count = 0
        self._totals = dict.fromkeys(self.behaviors, 0.0)

    def _moment(self, name: str, obs: Any, rew: Any, terminated: Any, truncated: Any, infos: dict[str, Any]) -> Moment:
        self._seen[name] = obs, infos
        self._totals[name] += float(rew[0])
        self.signals[name] = _first_row(infos.get("signals", {}))
        ended = bool(terminated[0] | truncated[0])
        shown = _first_row(infos["final_info"]["signals"]) if ended and self.signals[name] else self.signals[name]
        terms = {term: float(value[0]) for term, value in infos["reward_terms"].items()}
        solved = ended and "success" in shown and bool(shown["success"][0] > 0)
        return Moment(float(rew[0]), self._totals[name], terms, shown, solved)


def open_stage(target: str, results_dir: Path | None = None) -> Stage:
    """Open a run, a config or a task for watching.

    Raises:
        UserError: it is none of them, the run cannot be read, or its world is not embedded.
    """
    settings, document, folder = open_target(target, results_dir)
    title = target if target in all_roles() and folder is None else settings.checkpoint_settings.run_id
    return _make_stage(settings, document, title, folder)


def open_target(target: str, results_dir: Path | None = None) -> tuple[RunSettings, Document, RunFolder | None]:
    """Read the settings of a run, a config or a task, and say where the run's files are.

    Raises:
        UserError: it is none of them, or cannot be read.
    """
    run = find_run(Path(target), results_dir)
    if run is not None:
        folder, settings, document = open_run(run)
        return settings, document, folder
    if target in all_roles():
        behaviors: dict[str, Any] = {role.behavior: {} for role in roles_of(target)}
        data = {"env_settings": {"env_path": f"sim:{target}"}, "behaviors": behaviors}
        document = Document(target, data)
        return validate(RunSettings, data, document), document, None
    try:
        return *load_settings(find_config(target)), None
    except UserError as error:
        if Path(target).exists() or "no such file" not in str(error):
            raise
        raise UserError(
            f"{target}: not a run (no configuration.yaml in it or below {results_dir or 'results'}), "
            f"nor a config, nor a task; tasks are {', '.join(all_roles())}"
        ) from None


def _make_stage(settings: RunSettings, document: Document, title: str, folder: RunFolder | None = None) -> Stage:
    task = settings.env_settings.sim_task or settings.env_settings.task
    if task is None:
        raise document.error(("env_settings", "env_path"), "only embedded tasks (sim:<task>) can be shown here")
    embedded = settings.env_settings.model_copy(update={"env_path": f"sim:{task}", "sim_threads": 1})
    settings = settings.model_copy(update={"env_settings": embedded})
    world = make_world(settings, document, evaluation=True, rows=1)
    try:
        casts: dict[str, Cast] = {}
        if folder is not None:
            casts["trained"] = best_policies(folder, settings, document, world)
        casts["random"] = {name: random_policy(rows, seed) for seed, (name, rows) in enumerate(world.rows.items())}
        casts["still"] = {}
        stage = Stage(title, world, casts)
        if task in BASELINES:
            casts["scripted"] = scripted_policies(stage.sim)
        return stage
    except BaseException:
        world.close()
        raise


def random_policy(rows: AgentRows, seed: int) -> Policy:
    """Return a policy that draws uniform actions for every row."""
    space = batch_space(rows.single_action_space, rows.num_rows)
    space.seed(seed)
    return lambda *_: space.sample()


def scripted_policies(sim: SimEnv) -> Cast:
    """Return the task's hand-written controllers as policies, which read the simulation's sensors, signals included."""
    controllers = BASELINES[sim.task.name](sim)

    def policy(role: Role) -> Policy:
        def act(*_: Any) -> np.ndarray:
            components = read_components(role, sim.get_steps(role.behavior)[0])
            action = as_action(role, controllers[role.behavior](components))
            chosen: np.ndarray = action.discrete if role.choices else action.continuous
            return chosen

        return act

    return {role.behavior: policy(role) for role in sim.task.roles if role.behavior in controllers}


def _first_row(signals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(value[0]) for name, value in signals.items()}
