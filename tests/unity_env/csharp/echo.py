"""EchoAgent of Scene.cs, told again in Python: what each agent must report, number by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from mlagents_envs.base_env import ActionTuple

Array = np.ndarray
END, INTERRUPT = 2.0, -2.0  # values of the last continuous action


@dataclass
class Ended:
    """The last report of an episode."""

    obs: Array
    rew: np.float32
    interrupted: bool


@dataclass(eq=False)
class EchoAgent:
    """One agent, and where it stands.

    Args:
        number: its place in the scene, which is also its agent id.
        continuous: number of continuous actions; 0: nothing ends its episode but MaxStep.
        branches: of its discrete actions.
        period: of decisions, in steps of the Academy.
        max_step: 0: its episodes have no time limit.
    """

    number: int
    continuous: int
    branches: tuple[int, ...] = ()
    period: int = 1
    max_step: int = 0
    gravity: float = -1.0
    time_scale: float = 1.0
    episode: int = 1
    step_count: int = 0
    received: int = 0
    rew: np.float32 = field(default_factory=np.float32)
    last: Array = field(init=False)

    def __post_init__(self) -> None:
        self.last = self._no_action()

    def obs(self) -> Array:
        """What it observes now."""
        known = (self.number, self.episode, self.step_count, self.received, self.gravity, self.time_scale)
        return np.array([*known, *self.last], np.float32)

    def mask(self) -> list[Array]:
        """Which choices it has not, per branch."""
        masks = [np.zeros(size, dtype=bool) for size in self.branches]
        if masks:
            masks[0][self.received % self.branches[0]] = True
        return masks

    def act(self) -> Ended | None:
        """Take one step of the Academy; return what the episode's end reports, if it ends."""
        self.received += 1
        if self.continuous:
            self.rew += self.last[0]
            command = self.last[self.continuous - 1]
            if abs(command) > 1:
                return self._end(interrupted=bool(command < 0))
        return self._end(interrupted=True) if 0 < self.max_step <= self.step_count else None

    def begin(self) -> None:
        """Start the next episode."""
        self.episode += 1
        self.step_count = self.received = 0
        self.last = self._no_action()

    def _end(self, interrupted: bool) -> Ended:
        ended = Ended(self.obs(), self.rew, interrupted)
        self.rew = np.float32(0)
        self.begin()
        return ended

    def _no_action(self) -> Array:
        return np.zeros(self.continuous + len(self.branches), np.float32)


def scene() -> dict[str, list[EchoAgent]]:
    """The agents that Scene.Play makes, by behavior."""
    return {
        "Robot?team=0": [EchoAgent(0, 3), EchoAgent(1, 3, max_step=25), EchoAgent(2, 3, period=3)],
        "Sorter?team=0": [EchoAgent(3, 2, (3, 2), period=2)],
        "Switch?team=0": [EchoAgent(4, 0, (4,), max_step=10)],
    }


class Academy:
    """Steps the agents as ML-Agents' Academy does, one message a step: agent 0 decides in all of them."""

    def __init__(self, agents: Mapping[str, Sequence[EchoAgent]], gravity: float, time_scale: float) -> None:
        self.agents = agents
        self.ended: dict[int, Ended] = {}
        self._step = 0
        for agent in self._all():
            agent.gravity, agent.time_scale = gravity, time_scale
        self._count()

    def deciding(self, behavior: str) -> list[EchoAgent]:
        """The agents that ask for an action in this message, in its order."""
        return [agent for agent in self.agents[behavior] if self._step % agent.period == 0]

    def step(self, actions: Mapping[str, ActionTuple]) -> None:
        """Hand out the actions of the deciding agents, and go on to the next message."""
        for behavior, action in actions.items():
            for row, agent in enumerate(self.deciding(behavior)):
                agent.last = np.concatenate([action.continuous[row], action.discrete[row]]).astype(np.float32)
        self._forget_reported()
        for agent in self._all():
            if ended := agent.act():
                self.ended[agent.number] = ended
        self._step += 1
        self._count()

    def reset(self) -> None:
        """Restart every agent, as Python's RESET does, which reaches the agents before this step's actions.

        So they act once more: those that had asked for an action with zeros, the others with the one they have.
        """
        asked = [agent for behavior in self.agents for agent in self.deciding(behavior)]
        self._forget_reported()
        for agent in self._all():
            held = agent.last
            agent.begin()
            if agent not in asked:
                agent.last = held
            agent.act()
        self._step = 0
        self._count()

    def _forget_reported(self) -> None:
        self.ended = {}
        for behavior in self.agents:
            for agent in self.deciding(behavior):
                agent.rew = np.float32(0)

    def _count(self) -> None:
        for agent in self._all():
            agent.step_count += 1

    def _all(self) -> list[EchoAgent]:
        return [agent for agents in self.agents.values() for agent in agents]


def random_actions(academy: Academy, rng: np.random.Generator) -> dict[str, ActionTuple]:
    """For all that decide; one in fifteen of the continuous ones ends the episode, as many interrupt it."""
    actions = {}
    for behavior, agents in academy.agents.items():
        count, branches = len(academy.deciding(behavior)), agents[0].branches
        continuous = rng.uniform(-1, 1, (count, agents[0].continuous)).astype(np.float32)
        commands = rng.choice([END, INTERRUPT, 0.5], count, p=[1 / 15, 1 / 15, 13 / 15])
        continuous[:, -1:] = commands[:, None]
        discrete = rng.integers(0, branches or 1, (count, len(branches)), dtype=np.int32)
        actions[behavior] = ActionTuple(continuous, discrete)
    return actions
