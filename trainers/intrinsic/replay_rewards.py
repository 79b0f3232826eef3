"""Intrinsic rewards of learners from a replay buffer: computed anew whenever transitions are sampled.

What was new when a transition was stored is so no longer when it is sampled, so that no reward is stored: the models
of the moment tell it, as in ML-Agents. They learn apart from the policy, from samples of their own, at a rate of their
own, and see every transition once as it comes, for the statistics that they standardise and scale by.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.heads import Head
from trainers.hyperparameters import OffPolicyHyperparameters
from trainers.intrinsic.reward import IntrinsicRewards
from trainers.intrinsic.transitions import Transitions
from trainers.replay import Replay
from trainers.settings import BehaviorSettings


class ReplayRewards(IntrinsicRewards):
    """Those of SAC, TD3 and DDPG.

    Args:
        heads: see `IntrinsicRewards`.
        settings: likewise.
        rest: as of `IntrinsicRewards`; the seed is of what the models sample, too.
    """

    def __init__(self, heads: Sequence[Head], settings: BehaviorSettings, *rest: Any) -> None:
        super().__init__(heads, settings, *rest)
        assert isinstance(settings.hyperparameters, OffPolicyHyperparameters)
        self.batch_size = settings.hyperparameters.batch_size
        self.steps_per_update = settings.hyperparameters.steps_per_signal_update
        self._owed = 0.0  # steps of descent

    def observe(self, columns: Mapping[str, np.ndarray], valid: np.ndarray, *, learning: bool) -> None:
        """Take what N rows have lived through into the statistics.

        Args:
            columns: as the replay stores them.
            valid: in which rows there was a transition, (N,), bool; not in none.
            learning: what is learned from it is due.
        """
        if not self.signals:
            return
        transitions = self._transitions({name: torch.from_numpy(columns[name]) for name in Transitions._fields})
        flags = torch.from_numpy(valid).to(self._device)
        for signal in self.signals.values():
            signal.reward(Transitions(*(part.unsqueeze(0) for part in transitions)), flags.unsqueeze(0))
        if learning:
            self._owed += float(valid.sum()) / self.steps_per_update

    def all_paid(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return what B sampled transitions pay into each head, (B, K): the stored reward, then what is new or shown.

        Args:
            columns: as stored, where the models live.
        """
        if not self._columns:
            return columns["rew"]
        transitions = self._transitions(columns)
        signals = [self.signals[name] for name in self._columns]
        paid = [of.settings.strength * of.reward_again(transitions) for of in signals]
        return torch.cat((columns["rew"], torch.stack(paid, dim=1)), dim=1)

    def learn(self, replay: Replay) -> dict[str, float]:
        """Take the steps that are due, on minibatches of what is stored.

        Returns:
            Of every reward: `intrinsic/<name>`, its mean over these minibatches without the strength, and its losses.
        """
        due = int(self._owed)
        self._owed -= due
        metrics: dict[str, float] = {}
        for name, signal in self.signals.items() if due else ():
            indices = replay.sample_evenly(due * self.batch_size, signal.generator)
            samples = self._transitions(replay.read(indices))
            metrics[f"intrinsic/{name}"] = float(signal.reward_again(samples).mean())
            metrics |= signal.update(samples, self.batch_size, 1)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """States of the signals, and the steps that are due."""
        return {"signals": super().state_dict(), "owed": self._owed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken; a signal that was not there begins anew."""
        super().load_state_dict(state["signals"])
        self._owed = state["owed"]

    def _transitions(self, columns: Mapping[str, Tensor]) -> Transitions:
        """Return B stored transitions."""
        act = self._shape.one_hot(columns["act"]).to(self._device)
        return Transitions(self._seen(columns["obs"]), act, self._seen(columns["next_obs"]))
