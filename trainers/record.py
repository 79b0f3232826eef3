"""Records what an environment signals while policies act, so that rewards can be measured without it."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from reward_shaping import ENV_REWARD_ONLY, Reward, RewardScorer, Transition
from reward_shaping.recording import Recording
from reward_shaping.term import FROM_TRANSITION
from trainers.config import load_settings
from trainers.errors import RunError, UserError
from trainers.evaluate import Policy
from trainers.inspect_run import best_policies
from trainers.run_folder import RunFolder, find_run
from trainers.settings import RunSettings
from trainers.stage import open_target, random_policy, scripted_policies
from trainers.world import EVALUATION_ROWS, World, make_world, run_errors
from unity_env.sim.baselines import BASELINES
from unity_env.sim.env import SimEnv

Array = np.ndarray
POLICIES = ("random", "scripted")


class _Tap(Reward):
    """A reward that keeps the transitions it is asked to score, with all signals."""

    def __init__(self, signals: Mapping[str, Any]) -> None:
        super().__init__(ENV_REWARD_ONLY, signals)
        self.signals = frozenset(signals)
        self.last: Transition | None = None

    def __call__(self, transition: Transition) -> tuple[Array, Array]:
        self.last = transition
        return super().__call__(transition)


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
    settings, document, _ = open_target(target, results_dir)
    name = choose_behavior(settings, behavior)
    rows = min(EVALUATION_ROWS, episodes) if settings.env_settings.sim_task else None
    with run_errors(settings, document), closing(make_world(settings, document, evaluation=True, rows=rows)) as world:
        policies = _policies(policy, world, seed, results_dir)
        transition, episode = _collect(world, policies, name, episodes, seed)
    about = {
        "environment": settings.env_settings.env_path,
        "behavior": name,
        "policy": policy,
        "seed": seed,
        "episodes": int(episode[-1]) + 1,
    }
    return Recording(transition, episode, about)


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
    if policy == "scripted":
        sim = world.scene.env
        if not isinstance(sim, SimEnv) or sim.task.name not in BASELINES:
            raise UserError(f"--policy scripted: {', '.join(BASELINES)} have a scripted controller")
        return scripted_policies(sim)
    run = find_run(Path(policy), results_dir)
    if run is None:
        raise UserError(f"--policy: {policy} is neither {' nor '.join(POLICIES)}, nor a run")
    trained, where = load_settings(RunFolder(run).configuration)
    if trained.behaviors.keys() != world.rows.keys():
        raise UserError(f"--policy: {policy} has trained {', '.join(trained.behaviors)}, not {', '.join(world.rows)}")
    return best_policies(RunFolder(run), trained, where, world)


def _collect(
    world: World, policies: Mapping[str, Policy], name: str, episodes: int, seed: int
) -> tuple[Transition, Array]:
    """Step until every row has its share of whole episodes; returns them one after the other."""
    rows = world.rows[name].num_rows
    tap = _Tap(world.rows[name].signals)
    world.scorers[name] = RewardScorer(tap, rows)
    share = -(-episodes // rows)
    under_way: list[list[Transition]] = [[] for _ in range(rows)]
    whole: list[list[list[Transition]]] = [[] for _ in range(rows)]
    obs = {of: start for of, (start, _) in world.reset(seed).items()}
    while min(map(len, whole)) < share:
        results = world.step({of: policies[of](seen) for of, seen in obs.items()})
        obs = {of: result[0] for of, result in results.items()}
        _, _, terminated, truncated, infos = results[name]
        assert tap.last is not None
        for row in np.flatnonzero(infos["valid"]).tolist():
            under_way[row].append(_row(tap.last, row))
            if terminated[row] or truncated[row]:
                whole[row].append(under_way[row])
                under_way[row] = []
    ordered = [of_row[index] for index in range(share) for of_row in whole][:episodes]
    if not ordered:
        raise RunError("no episode was finished")
    numbers = np.repeat(np.arange(len(ordered)), [len(episode) for episode in ordered])
    return _joined([step for episode in ordered for step in episode]), numbers


def _row(transition: Transition, row: int) -> Transition:
    """Return a copy of one row, which its environment may overwrite in the next step."""
    one = slice(row, row + 1)
    fields = {field: getattr(transition, field)[one].copy() for field in FROM_TRANSITION}
    before, after = ({name: x[one].copy() for name, x in part.items()} for part in transition[:2])
    return Transition(before, after, **fields)


def _joined(steps: list[Transition]) -> Transition:
    fields = {field: np.concatenate([getattr(step, field) for step in steps]) for field in FROM_TRANSITION}
    before, after = (
        {name: np.concatenate([step[part][name] for step in steps]) for name in steps[0][part]} for part in (0, 1)
    )
    return Transition(before, after, **fields)
