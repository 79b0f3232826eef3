"""Records what an environment signals while policies act, so that rewards can be measured without it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardScorer, Transition
from reward_shaping.recording import Recording
from reward_shaping.term import FROM_TRANSITION
from trainers.errors import UserError
from trainers.inspect_run import best_policies, open_run
from trainers.policy import Policy
from trainers.run_folder import find_run
from trainers.settings import RunSettings
from trainers.stage import open_target, random_policy, scripted_policies
from trainers.world import EVALUATION_ROWS, World, make_world
from trainers.world_errors import run_errors
from unity_env.agent_rows import AgentRows, StepResult
from unity_env.sim.baselines import BASELINES
from unity_env.sim.env import SimEnv

Array = np.ndarray
T = TypeVar("T")
POLICIES = ("random", "scripted")
FELLOWS = ""  # no policy for the behavior that is recorded: a person drives it, its fellows have their controllers


class _Tap(Reward):
    """A reward that keeps the transitions it is asked to score, with all signals."""

    def __init__(self, signals: Mapping[str, Any]) -> None:
        super().__init__(ENV_REWARD_ONLY, signals)
        self.signals = frozenset(signals)
        self._last: Transition | None = None

    def __call__(self, transition: Transition) -> tuple[Array, Array]:
        self._last = transition
        return super().__call__(transition)

    def row(self, row: int) -> Transition:
        """Return a copy of one row, which its environment may overwrite in the next step."""
        assert self._last is not None
        transition, one = self._last, slice(row, row + 1)
        fields = {field: getattr(transition, field)[one].copy() for field in FROM_TRANSITION}
        before, after = ({name: x[one].copy() for name, x in part.items()} for part in transition[:2])
        return Transition(before, after, **fields)


@dataclass(frozen=True)
class RecordedScene:
    """A scene that is recorded.

    Attributes:
        settings: of its run.
        world: the scene.
        name: of the behavior that is recorded.
        policies: of all behaviors.
    """

    settings: RunSettings
    world: World
    name: str
    policies: Mapping[str, Policy]

    @property
    def agents(self) -> AgentRows:
        """Those of the behavior that is recorded."""
        return self.world.rows[self.name]


def record(
    target: str, policy: str, episodes: int, seed: int, behavior: str | None = None, results_dir: Path | None = None
) -> Recording:
    """Record whole episodes of one behavior, while all behaviors of the scene act by the same policy.

    Args:
        target: a task, a config or a run, whose environment it is.
        policy: random, scripted, or a run whose best policies act.
        episodes: how many.
        seed: of the episodes and of the random policy.
        behavior: which one; may be left out where there is one.
        results_dir: where runs are looked for.

    Raises:
        UserError: there is no such target, policy or behavior.
        RunError: the environment failed.
    """
    with opened(target, policy, episodes, seed, behavior, results_dir) as scene:
        tap = _Tap(scene.agents.signals)
        scene.world.scorers[scene.name] = RewardScorer(tap, scene.agents.num_rows)
        steps = play_episodes(scene, episodes, seed, lambda row, *_: tap.row(row))
    numbers = np.repeat(np.arange(len(steps)), [len(episode) for episode in steps])
    about = {
        "environment": scene.settings.env_settings.env_path,
        "behavior": scene.name,
        "policy": policy,
        "seed": seed,
        "episodes": len(steps),
    }
    return Recording(_joined([step for episode in steps for step in episode]), numbers, about)


@contextmanager
def opened(
    target: str, policy: str, episodes: int, seed: int, behavior: str | None, results_dir: Path | None
) -> Iterator[RecordedScene]:
    """Open a scene to be recorded; see `record`."""
    settings, document, _ = open_target(target, results_dir)
    name = choose_behavior(settings, behavior)
    rows = min(EVALUATION_ROWS, episodes) if settings.env_settings.sim_task else None
    with run_errors(settings, document), closing(make_world(settings, document, evaluation=True, rows=rows)) as world:
        yield RecordedScene(settings, world, name, _policies(policy, world, seed, results_dir))


def choose_behavior(settings: RunSettings, behavior: str | None) -> str:
    """Return the behavior that is meant.

    Raises:
        UserError: there is no such behavior, or several and none is named.
    """
    known = list(settings.behaviors)
    if behavior is None and len(known) == 1:
        return known[0]
    if behavior not in known:
        raise UserError(f"--behavior: {behavior or 'is missing'}; expected one of {', '.join(known)}")
    return behavior


def _policies(policy: str, world: World, seed: int, results_dir: Path | None) -> Mapping[str, Policy]:
    if policy == "random":
        return {name: random_policy(rows, seed + index) for index, (name, rows) in enumerate(world.rows.items())}
    if policy == FELLOWS:
        sim = world.scene.env
        return scripted_policies(sim) if isinstance(sim, SimEnv) and sim.task.name in BASELINES else {}
    if policy == "scripted":
        sim = world.scene.env
        if not isinstance(sim, SimEnv) or sim.task.name not in BASELINES:
            raise UserError(f"--policy scripted: {', '.join(BASELINES)} have a scripted controller")
        return scripted_policies(sim)
    run = find_run(Path(policy), results_dir)
    if run is None:
        raise UserError(f"--policy: {policy} is neither {' nor '.join(POLICIES)}, nor a run")
    folder, trained, where = open_run(run)
    if trained.behaviors.keys() != world.rows.keys():
        raise UserError(f"--policy: {policy} has trained {', '.join(trained.behaviors)}, not {', '.join(world.rows)}")
    return best_policies(folder, trained, where, world)


def play_episodes(
    scene: RecordedScene, episodes: int, seed: int, look: Callable[[int, Sequence[Array], StepResult], T]
) -> list[list[T]]:
    """Step until every row has its share of whole episodes; returns them one after the other.

    Args:
        scene: whose policies act.
        episodes: how many.
        seed: of the episodes.
        look: (row, what its sensors said before, result of the step) -> what to keep of the row's transition.
    """
    world, agents = scene.world, scene.agents
    share = -(-episodes // agents.num_rows)
    under_way: list[list[T]] = [[] for _ in range(agents.num_rows)]
    whole: list[list[list[T]]] = [[] for _ in range(agents.num_rows)]
    seen = world.reset(seed)
    while min(map(len, whole)) < share:
        before = agents.sensors
        results = world.step({of: scene.policies[of](*what) for of, what in seen.items()})
        seen = {of: (result[0], result[4]) for of, result in results.items()}
        result = results[scene.name]
        _, _, terminated, truncated, infos = result
        for row in np.flatnonzero(infos["valid"]).tolist():
            under_way[row].append(look(row, before, result))
            if terminated[row] or truncated[row]:
                whole[row].append(under_way[row])
                under_way[row] = []
    return [of_row[index] for index in range(share) for of_row in whole][:episodes]


def _joined(steps: list[Transition]) -> Transition:
    fields = {field: np.concatenate([getattr(step, field) for step in steps]) for field in FROM_TRANSITION}
    before, after = (
        {name: np.concatenate([step[part][name] for step in steps]) for name in steps[0][part]} for part in (0, 1)
    )
    return Transition(before, after, **fields)
