"""Players without a process, for the pool: they count, sleep, die and refuse as a test wants."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np
from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps

from tests.fakes import Message, Report, ScriptedUnity, spec_of
from unity_env.link.errors import PlayerExitedError
from unity_env.link.pool import PlayerPool, RestartLimits

SPEC = spec_of(("observation", 1))
UNLIMITED = RestartLimits(lifetime=-1, rate_n=-1)


@dataclass
class FakePlayer(BaseEnv):  # type: ignore[misc]  # mlagents_envs has no type information
    """Its agents observe 10 * born + own steps, and are paid their step; `script` overrides single steps.

    Attributes:
        agents: ids.
        born: tells apart the players that had the same place one after the other.
        script: step -> message; step 0 answers the reset.
        dies_at: the step that raises, or -1 for the reset.
        sleep_s: how long a step takes.
        hangs_at: the step that hangs until the player is closed.
    """

    agents: Sequence[int] = (0, 1)
    born: int = 0
    script: Mapping[int, Message] = field(default_factory=dict)
    dies_at: int | None = None
    sleep_s: float = 0.0
    hangs_at: int | None = None
    known_from: int = 0
    close_error: BaseException | None = None
    behavior: str = "Robot"
    at: int = -1
    actions: list[ActionTuple] = field(default_factory=list)
    single: list[tuple[int, ActionTuple]] = field(default_factory=list)
    closed: Event = field(default_factory=Event)

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return {self.behavior: SPEC} if self.at >= self.known_from else {}

    def reset(self) -> None:
        if self.dies_at == -1:
            raise PlayerExitedError("the player exited with code 9")
        self.at = 0

    def step(self) -> None:
        time.sleep(self.sleep_s)
        if self.at + 1 == self.dies_at:
            raise PlayerExitedError("the player was ended by signal SIGKILL\nLast lines of Player-0.log:\n  the tail")
        if self.at + 1 == self.hangs_at:
            self.closed.wait(10)
            raise PlayerExitedError("closed in a step")
        self.at += 1

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        usual = Message([Report(agent, 10 * self.born + self.at, self.at) for agent in self.agents])
        message = self.script.get(self.at, usual)
        steps: tuple[DecisionSteps, TerminalSteps] = ScriptedUnity(SPEC, [message], behavior=behavior_name).get_steps(
            behavior_name
        )
        return steps

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        SPEC.action_spec._validate_action(action, len(self.get_steps(behavior_name)[0]), behavior_name)
        self.actions.append(action)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        assert behavior_name == self.behavior
        self.single.append((agent_id, action))

    def close(self) -> None:
        self.closed.set()
        if self.close_error is not None:
            raise self.close_error


class Launcher:
    """Launches players from a list for every place, and remembers them."""

    def __init__(self, *places: Sequence[FakePlayer | BaseException]) -> None:
        self._waiting = [list(place) for place in places]
        self.calls: list[int] = []

    def __call__(self, worker: int) -> BaseEnv:
        self.calls.append(worker)
        player = self._waiting[worker].pop(0)
        if isinstance(player, BaseException):
            raise player
        return player

    def pool(self, limits: RestartLimits = UNLIMITED) -> PlayerPool:
        return PlayerPool(self, len(self._waiting), limits)


def numbered(count: int, first: float = 0.0) -> ActionTuple:
    """Action i is (first + i, -(first + i))."""
    return ActionTuple(np.outer(np.arange(count) + first, [1, -1]).astype(np.float32))


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
