"""Replay for networks with a memory: sequences, with what was remembered where they begin."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.recurrence import Remembering, Role
from trainers.replay import Array, Replay

PLACE = "place"  # column: how many transitions of the same sequence come before


class SequenceReplay(Replay):
    """A replay whose episodes are sequences of at most L transitions, one behind the other.

    As in ML-Agents a sequence ends with its episode, and after `length` transitions.

    Args:
        capacity: see `Replay`.
        rows: likewise.
        sizes: likewise.
        seed: likewise.
        length: L.
    """

    def __init__(self, capacity: int, rows: int, sizes: Mapping[str, int], seed: int, length: int) -> None:
        super().__init__(capacity, rows, {**sizes, PLACE: 1}, seed)
        self.length = length
        self._place = np.zeros(rows, dtype=np.int64)  # of the next transition

    def with_columns(self, more: Mapping[str, int]) -> "SequenceReplay":
        """Return an empty replay of the same size, seed and length that keeps more columns."""
        sizes = self._sizes | dict(more)
        return SequenceReplay(self.capacity, self.rows, sizes, self._generator.initial_seed(), self.length)

    def add(self, columns: Mapping[str, Array], valid: Array, done: Array) -> Array:
        """Store transitions as `Replay` does, with their places."""
        indices = super().add({**columns, PLACE: self._place}, valid, done)
        self._place[valid] = (self._place[valid] + 1) % self.length
        self._place[valid & done] = 0
        return indices

    def end_episodes(self) -> None:
        """Let the episodes under way, and their sequences, end with what is stored of them."""
        super().end_episodes()
        self._place[:] = 0

    def sample_sequences(self, count: int) -> tuple[Array, Array]:
        """Draw sequences, each as often as it has transitions.

        What has been overwritten of a sequence is missing at its beginning, what is still to come at its end.

        Returns:
            The indices of their transitions, the last one again where there is none, (L, n), and where there is one,
            (L, n) bool.
        """
        drawn = self.sample(count)
        slots, rows = np.divmod(drawn, self.rows)
        place = self.read(drawn)[PLACE][:, 0].numpy().astype(np.int64)
        stored_before = (slots - self._head[rows] + self._length[rows]) % self.slots
        back = np.minimum(place, stored_before)
        first = self.after(drawn, -back)
        more = self.ahead(first, self.length - 1 - (place - back))
        steps = np.arange(self.length)[:, None]
        return self.after(first, np.minimum(steps, more)), steps <= more

    def state_dict(self) -> dict[str, Any]:
        """What `Replay` has, and where the sequences under way are."""
        return super().state_dict() | {"place": self._place.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        super().load_state_dict(state)
        self._place[:] = state["place"]

    def _layout(self) -> dict[str, Any]:
        return super()._layout() | {"sequence_length": self.length}


class SequenceBatch:
    """K transitions of n sampled sequences.

    Networks read a sequence from what was remembered at its beginning when it was lived through, the stored state of
    Kapturowski et al. 2019 (R2D2, section 3), a target network from that of the network it follows. As in ML-Agents
    there is no burn-in.

    Args:
        columns: of the replay, (L, n, size) each.
        there: where there is a transition, (L, n) bool.

    Attributes:
        act: (K, A).
        rew: what was paid into each value head, (heads, K).
        terminated: (K,).
    """

    def __init__(self, columns: Mapping[str, Tensor], there: Tensor) -> None:
        self._there = there
        self._obs = torch.cat((columns["obs"][:1], columns["next_obs"]))  # (L + 1, n, D): what follows is seen next
        self._memories = {role: columns[memory_column(role)][0] for role in ROLES}
        self.act, self.rew, self.terminated = (columns[name][there] for name in ("act", "rew", "terminated"))
        self.rew, self.terminated = self.rew.T, self.terminated[:, 0]
        self._weight = (1.0 / (there.sum(dim=0) * there.shape[1])).expand_as(there)[there]

    def inputs(self, network: Remembering, role: Role) -> tuple[Tensor, Tensor]:
        """Return what a network reads of the transitions' beginnings and of their ends, (K, ...) each."""
        inputs, _ = network.remember(self._obs, self._memories[role])
        return inputs[:-1][self._there], inputs[1:][self._there]

    def mean(self, values: Tensor) -> Tensor:
        """Return an unbiased estimate of the mean over the replay from values of the transitions, (..., K); (...,).

        A sequence of m transitions is drawn m times as often as one alone, so that each of them counts 1 / (n m).
        """
        return (values * self._weight).sum(dim=-1)


ROLES: tuple[Role, ...] = ("actor", "critic")


def memory_column(role: Role) -> str:
    """Return the name of the column of what a network remembers before a transition."""
    return f"{role}_memory"


def draw_sequences(
    replay: SequenceReplay, count: int, paid: Callable[[Mapping[str, Tensor]], Tensor], device: torch.device
) -> SequenceBatch:
    """Draw n sequences.

    Args:
        replay: that they are of.
        count: n.
        paid: what transitions, (B, size) each, pay into every value head, (B, heads).
        device: where networks read them.
    """
    indices, there = replay.sample_sequences(count)
    columns = {name: of.to(device) for name, of in replay.read(indices.ravel()).items()}
    columns["rew"] = paid(columns)
    sequences = {name: of.reshape(*indices.shape, -1) for name, of in columns.items()}
    return SequenceBatch(sequences, torch.from_numpy(there).to(device))
