"""A plain model of what AgentRows promises, one agent at a time, and random messages to try both with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from tests.fakes import Message, Report

Array = np.ndarray


@dataclass
class Life:
    """One episode of one agent in a row: the rewards it was due, and those that were paid out."""

    due: list[float] = field(default_factory=list)
    paid: list[float] = field(default_factory=list)
    awaits_result: bool = False


@dataclass(frozen=True)
class Expected:
    """What a step should come to; rows that are not mentioned have nothing."""

    rew: dict[int, float]
    ends: dict[int, Report]
    requesting: set[int]
    obs: dict[int, float]


class Model:
    """Agents in rows, by dicts and loops."""

    def __init__(self, rows: int) -> None:
        self.agent_in: dict[int, int] = {}  # row -> agent that had it last
        self.lives: dict[int, Life] = {}  # row -> the episode under way
        self.finished: list[Life] = []
        self.requests: list[int | None] = []  # rows of the last message's decisions, in its order
        self.obs: dict[int, float] = {}
        self.rows = rows

    def begin(self, message: Message) -> None:
        self.agent_in, self.lives, self.obs, self.finished = {}, {}, {}, []
        self._decide(message, {})
        for life in self.lives.values():
            life.due.clear()  # left over from before the reset

    def send(self) -> None:
        for row in self.requests:
            if row is not None:
                self.lives[row].awaits_result = True

    def receive(self, message: Message) -> Expected:
        rew: dict[int, float] = {}
        ends: dict[int, Report] = {}
        for report in message.terminals:
            row = self._row_of(report.agent)
            if row is not None and row in self.lives:
                life = self.lives.pop(row)
                life.due.append(report.reward)
                rew[row], ends[row] = self._pay(life), report
                self.finished.append(life)
        self._decide(message, rew)
        return Expected(rew, ends, {row for row in self.requests if row is not None}, dict(self.obs))

    def _decide(self, message: Message, rew: dict[int, float]) -> None:
        self.requests = []
        kept = {self._row_of(report.agent) for report in message.decisions}
        for report in message.decisions:
            row = self._row_for(report.agent, kept)
            self.requests.append(row)
            if row is None:
                continue
            life = self.lives.setdefault(row, Life())
            life.due.append(report.reward)
            self.obs[row] = report.obs
            if life.awaits_result:
                rew[row] = self._pay(life)

    @staticmethod
    def _pay(life: Life) -> float:
        life.awaits_result = False
        amount = sum(life.due) - sum(life.paid)
        life.paid.append(amount)
        return amount

    def _row_of(self, agent: int) -> int | None:
        return next((row for row, owner in self.agent_in.items() if owner == agent), None)

    def _row_for(self, agent: int, kept: set[int | None]) -> int | None:
        row = self._row_of(agent)
        if row is None:
            row = next((row for row in range(self.rows) if row not in self.lives and row not in kept), None)
            if row is not None:
                self.agent_in[row] = agent
        return row


KINDS = ("absent", "decision", "end", "end, interrupted", "end and decision", "end, interrupted, and decision")


def as_message(kinds: Sequence[tuple[int, str]], first_obs: int) -> Message:
    """Let each agent do what its kind says, with rewards and observations that tell them apart."""
    decisions, terminals = [], []
    for place, (agent, kind) in enumerate(kinds):
        obs, reward = first_obs + 2 * place, (first_obs * 7 + place * 3) % 32 + 1
        if kind.startswith("end"):
            terminals.append(Report(agent, obs, reward, interrupted="interrupted" in kind))
        if kind.endswith("decision"):
            decisions.append(Report(agent, obs + 1, 64 * (reward % 5)))
    return Message(decisions, terminals)


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[Message]]:
    """Draw a number of rows, and messages: the first with decisions alone, as after a reset."""
    rows = draw(st.integers(1, 4))
    agents = range(draw(st.integers(1, 5)))
    start = draw(st.lists(st.sampled_from(agents), min_size=1, unique=True))
    messages = [as_message([(agent, "decision") for agent in start], 100)]
    for step in range(draw(st.integers(1, 12))):
        order = draw(st.permutations(agents))
        kinds = [(agent, draw(st.sampled_from(KINDS))) for agent in order]
        messages.append(as_message(kinds, 100 * (step + 2)))
    return rows, messages
