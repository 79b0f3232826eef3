"""What networks with a memory read: step by step in the rows of an environment, and in sequences when they learn."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from trainers.descent import minibatches
from trainers.networks import Body

Role = Literal["actor", "critic"]


class Remembering(Protocol):
    """A network that reads observations in the light of what it remembers; see `Body`."""

    def remember(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Read sequences."""
        ...

    def step(self, obs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Read one step."""
        ...


class RowMemory:
    """What N rows remember, zeros at the start of an episode.

    Args:
        rows: N.
        size: S.
        device: where it lives.

    Attributes:
        now: before the decision that is due, (N, S).
    """

    def __init__(self, rows: int, size: int, device: torch.device) -> None:
        self.now = torch.zeros(rows, size, device=device)
        self._after = self.now

    def step(self, network: Remembering, obs: Tensor) -> Tensor:
        """Return what the network reads of observations (N, D) in the light of what is remembered."""
        inputs, self._after = network.step(obs, self.now)
        return inputs

    def advance(self, valid: Tensor, ended: Tensor) -> None:
        """Go on to the next decision.

        Args:
            valid: rows whose transition is over, (N,) bool; the others still act on their last decision.
            ended: rows whose episode is over, (N,) bool: they forget.
        """
        self.now = next_memory(self.now, self._after, valid, ended)

    def clear(self) -> None:
        """Forget everything."""
        self.now = self._after = torch.zeros_like(self.now)

    def load(self, memory: Tensor) -> None:
        """Take over what was remembered."""
        self.now = self._after = self.fitting(memory)

    def fitting(self, memory: Tensor) -> Tensor:
        """Return what was remembered of these rows; nothing where it was of others."""
        fits = memory.shape == self.now.shape
        return memory.to(self.now.device, copy=True) if fits else torch.zeros_like(self.now)


def next_memory(before: Tensor, after: Tensor, valid: Tensor, ended: Tensor) -> Tensor:
    """Return what is remembered at the next decision, (N, S).

    Args:
        before: the decision, (N, S).
        after: having seen what it was made on, (N, S).
        valid: rows whose transition is over, (N,) bool; the others wait.
        ended: rows whose episode is over, (N,) bool.
    """
    return torch.where(ended[:, None], 0.0, torch.where(valid[:, None], after, before))


class Unrolled(NamedTuple):
    """What a network has read of T steps of N rows.

    Attributes:
        inputs: for its heads, (T, N, ...).
        before: what it remembered before each step, (T, N, S).
        after: what it remembered after each, within the episode, (T, N, S).
    """

    inputs: Tensor
    before: Tensor
    after: Tensor


def unroll(network: Body, obs: Tensor, memory: Tensor, valid: Tensor, done: Tensor) -> Unrolled:
    """Let a network read a rollout, from row to row and from one episode to the next.

    Args:
        network: that reads.
        obs: (T, N, ...).
        memory: before the first step, (N, S).
        valid: in which steps but the last one a transition was over, (T - 1, N), bool.
        done: in which of them an episode was, (T - 1, N), bool.
    """
    steps = []
    for t in range(len(obs)):
        inputs, after = network.step(obs[t], memory)
        steps.append((inputs, memory, after))
        if t < len(valid):
            memory = next_memory(memory, after, valid[t], done[t])
    return Unrolled(*(torch.stack(part) for part in zip(*steps, strict=True)))


class Sequences:
    """How the B samples of a rollout follow one another in S pieces of episodes of at most L samples.

    As in ML-Agents a sequence ends with its episode, and after `length` samples; short ones are padded, and what is
    padded counts for nothing.

    Args:
        valid: in which steps there is a sample, (T, N), bool; B in all, in the order of `tensor[valid]`.
        done: an episode ended in this step, (T, N), bool.
        length: L.

    Attributes:
        index: which sample is the l-th of a sequence, (S, L); 0 where there is none.
        there: where there is one, (S, L), bool.
    """

    def __init__(self, valid: Tensor, done: Tensor, length: int) -> None:
        number = valid.flatten().cumsum(0).reshape(valid.shape) - 1
        row, step = valid.T.nonzero(as_tuple=True)  # one row after the other, each in the order of time
        order = torch.arange(len(row), device=valid.device)
        first = torch.ones_like(order, dtype=torch.bool)
        first[1:] = (row[1:] != row[:-1]) | done[step, row][:-1]
        position = order - torch.cummax(torch.where(first, order, 0), dim=0).values
        column = position % length
        sequence = (column == 0).cumsum(0) - 1
        shape = (int((column == 0).sum()), length)
        self.index = torch.zeros(shape, dtype=torch.int64, device=valid.device)
        self.there = torch.zeros(shape, dtype=torch.bool, device=valid.device)
        self.index[sequence, column] = number[step, row]
        self.there[sequence, column] = True


class Read(NamedTuple):
    """What the networks read of b samples.

    Attributes:
        samples: which, (b,).
        actor: inputs of the policy, (b, ...).
        critic: inputs of the critic, (b, ...).
    """

    samples: Tensor
    actor: Tensor
    critic: Tensor


class PlainReader:
    """Networks without a memory read samples one by one, as they are.

    Args:
        obs: of B samples, (B, D).
    """

    def __init__(self, obs: Tensor) -> None:
        self._obs = obs

    def all(self, network: Body, role: Role) -> Tensor:  # noqa: ARG002  # every network reads the same
        """Return what a network reads of all samples, (B, ...)."""
        return self._obs

    def passes(
        self, actor: Body, critic: Body, batch_size: int, num_epoch: int, generator: torch.Generator
    ) -> Iterator[Read]:
        """Iterate over minibatches of passes in random order; see `trainers.descent.minibatches`."""
        del actor, critic
        for batch in minibatches(self._obs, batch_size, num_epoch, generator):
            seen = self._obs[batch]
            yield Read(batch, seen, seen)


class SequenceReader:
    """Networks with a memory read samples in sequences, each from what was remembered where it begins.

    Args:
        obs: of B samples, (B, D).
        sequences: how they follow one another.
        memories: of policy and critic, before each sample, (B, memory_size).
    """

    def __init__(self, obs: Tensor, sequences: Sequences, memories: Mapping[Role, Tensor]) -> None:
        self._obs, self._sequences, self._memories = obs, sequences, memories

    def all(self, network: Body, role: Role) -> Tensor:
        """Return what a network reads of all samples, (B, ...)."""
        everything = torch.arange(len(self._sequences.index), device=self._obs.device)
        return self._inputs(network, role, everything)[self._samples(everything).argsort()]

    def passes(
        self, actor: Body, critic: Body, batch_size: int, num_epoch: int, generator: torch.Generator
    ) -> Iterator[Read]:
        """Iterate over minibatches of sequences in random order; as in ML-Agents, each counts as if it were full."""
        several = max(1, batch_size // self._sequences.index.shape[1])
        for chosen in minibatches(self._sequences.index, several, num_epoch, generator):
            inputs = self._inputs(actor, "actor", chosen), self._inputs(critic, "critic", chosen)
            yield Read(self._samples(chosen), *inputs)

    def _samples(self, chosen: Tensor) -> Tensor:
        """Return the samples of some sequences, (b,), in the order of `_inputs`."""
        return self._sequences.index[chosen][self._sequences.there[chosen]]

    def _inputs(self, network: Body, role: Role, chosen: Tensor) -> Tensor:
        """Return what a network reads of the samples of some sequences, (b, ...), remembering from sample to sample."""
        index, there = self._sequences.index[chosen], self._sequences.there[chosen]
        inputs, _ = network.remember(self._obs[index.T], self._memories[role][index[:, 0]])
        return inputs.transpose(0, 1)[there]
