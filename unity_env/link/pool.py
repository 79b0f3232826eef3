"""PlayerPool: several players as one environment, stepped side by side; a dead one is started anew."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import numpy as np
from mlagents_envs.base_env import (
    ActionTuple,
    BaseEnv,
    BehaviorSpec,
    DecisionSteps,
    TerminalSteps,
)
from mlagents_envs.exception import UnityEnvironmentException, UnityException

from unity_env.link.errors import LinkError

Array = np.ndarray
ID_STRIDE = 1 << 32  # an agent's id is its own one, an int32, and k * ID_STRIDE for player k

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RestartLimits:
    """How often a dead player is replaced, per player; -1 means without limit.

    Attributes:
        lifetime: in all.
        rate_n: within `rate_period_s` seconds.
        rate_period_s: see rate_n.
    """

    lifetime: int = 10
    rate_n: int = 1
    rate_period_s: int = 60


class PlayerPool(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """Players of one build, their agents in one list: those of player 0 first.

    When a player dies or hangs, its agents' episodes end as interrupted, with their last observations, and a
    new player takes its place; its agents join in the same step.

    Args:
        launch: starts player k and waits until it is connected.
        count: number of players.
        limits: how often they may be replaced.

    Attributes:
        stopping: set when the launch is given up; launches that look at it end early.

    Raises:
        UnityException: a player could not be started, or died beyond the limits.
    """

    def __init__(self, launch: Callable[[int], BaseEnv], count: int, limits: RestartLimits) -> None:
        self._launch, self._limits = launch, limits
        self.stopping = Event()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="player")
        self._restarts: list[deque[float]] = [deque() for _ in range(count)]
        self._specs: dict[str, BehaviorSpec] = {}
        self._players: list[BaseEnv] = []
        launched = [self._threads.submit(launch, index) for index in range(count)]
        try:
            self._players = [player.result() for player in launched]
        except BaseException:
            self.stopping.set()
            self._players = [player.result() for player in launched if player.exception() is None]
            self.close()
            raise
        self._live: list[dict[str, DecisionSteps]] = [{} for _ in range(count)]
        self._lost: list[dict[str, TerminalSteps]] = [{} for _ in range(count)]

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """Specifications of all behaviors that any player has shown so far."""
        for player in self._players:
            for name in player.behavior_specs:
                self._specs.setdefault(name, player.behavior_specs[name])
        return self._specs

    def reset(self) -> None:
        """Reset all players."""
        self._on_all(lambda player: player.reset())
        self._live = [{} for _ in self._players]
        self._note_live()

    def step(self) -> None:
        """Advance all players at once."""
        self._on_all(lambda player: player.step())
        self._note_live()

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the records of all players, with agent ids that tell the players apart."""
        spec = self.behavior_specs[behavior_name]
        steps = [self._steps_of(worker, behavior_name) for worker in range(len(self._players))]
        decisions = [step[0] for step in steps if len(step[0])]
        terminals = [step[1] for step in steps if len(step[1])] + [
            lost[behavior_name] for lost in self._lost if behavior_name in lost
        ]
        return (
            _joined_decisions(decisions) if decisions else DecisionSteps.empty(spec),
            _joined_terminals(terminals) if terminals else TerminalSteps.empty(spec),
        )

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Deal the actions out, in the order of the last decisions."""
        start = 0
        for worker, player in enumerate(self._players):
            count = len(self._steps_of(worker, behavior_name)[0])
            if count:
                part = slice(start, start + count)
                player.set_actions(behavior_name, ActionTuple(action.continuous[part], action.discrete[part]))
                start += count

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the action of one agent."""
        worker = (agent_id + ID_STRIDE // 2) // ID_STRIDE
        self._players[worker].set_action_for_agent(behavior_name, agent_id - worker * ID_STRIDE, action)

    def close(self) -> None:
        """Close all players, also those that no longer answer; a second call does nothing."""
        players, self._players = self._players, []
        if players:
            with ThreadPoolExecutor(len(players)) as closers:  # the players' own threads may wait for one that hangs
                list(closers.map(_close_quietly, players))
        self._threads.shutdown(wait=False)

    def _on_all(self, act: Callable[[BaseEnv], None]) -> None:
        if not self._players:
            raise UnityEnvironmentException("the environment is closed")
        self._lost = [{} for _ in self._players]
        failures = list(self._threads.map(lambda player: _attempt(act, player), self._players))
        for worker, failure in enumerate(failures):
            if failure is not None:
                self._replace(worker, failure)

    def _replace(self, worker: int, failure: UnityException) -> None:
        """Start player `worker` anew, once more if the new one dies at once; its agents' episodes are lost."""
        self._lost[worker] = {name: _interrupted(live) for name, live in self._live[worker].items() if len(live)}
        self._live[worker] = {}
        dead: UnityException | None = failure
        while dead is not None:
            self._count_restart(worker, dead)
            log.warning("player %d is started anew: %s", worker, str(dead).splitlines()[0])
            _close_quietly(self._players[worker])
            dead = self._start(worker)

    def _start(self, worker: int) -> LinkError | None:
        """Launch and reset player `worker`; return how it died, if it did."""
        try:
            self._players[worker] = self._launch(worker)
            self._players[worker].reset()
        except LinkError as failure:
            return failure
        return None

    def _count_restart(self, worker: int, failure: UnityException) -> None:
        limits, restarts, now = self._limits, self._restarts[worker], time.monotonic()
        if limits.lifetime != -1 and len(restarts) >= limits.lifetime:
            raise type(failure)(
                f"player {worker} died once more after {len(restarts)} restarts: {failure}"
            ) from failure
        recent = sum(now - at < limits.rate_period_s for at in restarts)
        if limits.rate_n != -1 and recent >= limits.rate_n:
            raise type(failure)(
                f"player {worker} died, and was restarted {recent} times in the last {limits.rate_period_s} s already "
                f"(restarts_rate_limit_n): {failure}"
            ) from failure
        restarts.append(now)

    def _note_live(self) -> None:
        """Remember the last observations of the agents that are in an episode."""
        for worker, player in enumerate(self._players):
            for name in player.behavior_specs:
                decisions, terminals = self._steps_of(worker, name)
                before = self._live[worker].get(name)
                self._live[worker][name] = decisions if before is None else _still_live(before, decisions, terminals)

    def _steps_of(self, worker: int, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        player = self._players[worker]
        if behavior_name not in player.behavior_specs:
            spec = self.behavior_specs[behavior_name]
            return DecisionSteps.empty(spec), TerminalSteps.empty(spec)
        decisions, terminals = player.get_steps(behavior_name)
        offset = np.int64(worker * ID_STRIDE)
        return (
            DecisionSteps(
                decisions.obs,
                decisions.reward,
                decisions.agent_id + offset,
                decisions.action_mask,
                decisions.group_id,
                decisions.group_reward,
            ),
            TerminalSteps(
                terminals.obs,
                terminals.reward,
                terminals.interrupted,
                terminals.agent_id + offset,
                terminals.group_id,
                terminals.group_reward,
            ),
        )


def _attempt(act: Callable[[BaseEnv], None], player: BaseEnv) -> UnityException | None:
    try:
        act(player)
    except UnityException as failure:
        return failure
    return None


def _close_quietly(player: BaseEnv) -> None:
    """Close a player that may be gone already."""
    try:
        player.close()
    except (UnityException, OSError) as error:
        log.debug("closing a player: %s", error)


def _still_live(before: DecisionSteps, decisions: DecisionSteps, terminals: TerminalSteps) -> DecisionSteps:
    """Return the newest observations of every agent in an episode."""
    if np.array_equal(before.agent_id, decisions.agent_id):
        return decisions
    keep = ~np.isin(before.agent_id, np.concatenate([decisions.agent_id, terminals.agent_id]))
    kept = DecisionSteps(
        [sensor[keep] for sensor in before.obs],
        before.reward[keep],
        before.agent_id[keep],
        None,
        before.group_id[keep],
        before.group_reward[keep],
    )
    return _joined_decisions([kept, decisions])


def _interrupted(live: DecisionSteps) -> TerminalSteps:
    """End episodes where they stand, without a reward."""
    return TerminalSteps(
        live.obs,
        np.zeros_like(live.reward),
        np.ones(len(live), dtype=bool),
        live.agent_id,
        live.group_id,
        np.zeros_like(live.group_reward),
    )


def _joined_decisions(parts: list[DecisionSteps]) -> DecisionSteps:
    masks = [part.action_mask for part in parts]
    return DecisionSteps(
        _joined_sensors(parts),
        _joined(parts, "reward"),
        _joined(parts, "agent_id"),
        None
        if any(mask is None for mask in masks)
        else [np.concatenate(branch) for branch in zip(*masks, strict=True)],
        _joined(parts, "group_id"),
        _joined(parts, "group_reward"),
    )


def _joined_terminals(parts: list[TerminalSteps]) -> TerminalSteps:
    return TerminalSteps(
        _joined_sensors(parts),
        *(_joined(parts, field) for field in ("reward", "interrupted", "agent_id", "group_id", "group_reward")),
    )


def _joined_sensors(parts: list[DecisionSteps] | list[TerminalSteps]) -> list[Array]:
    return [np.concatenate(sensors) for sensors in zip(*(part.obs for part in parts), strict=True)]


def _joined(parts: list[DecisionSteps] | list[TerminalSteps], field: str) -> Array:
    return np.concatenate([getattr(part, field) for part in parts])
