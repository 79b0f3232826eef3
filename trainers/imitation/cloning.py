"""Behavioral cloning beside reinforcement learning: ML-Agents' `behavioral_cloning`.

After every update of the trainer, the policy is drawn to what was shown (Pomerleau 1991, Efficient Training of
Artificial Neural Networks for Autonomous Navigation), its mean by least squares, its choices by cross-entropy:

    minimise mean |mu(s) - a|^2 - mean log pi(c|s) over the demonstrations' (s, a, c), a as the robot gets it

All choices count as allowed, as in ML-Agents: what was chosen was. The learning rate is strength times the trainer's
and falls linearly to 0 within `steps`. The standard deviation is left to the trainer. ML-Agents compares samples,
before they are scaled to the robot's range: it copies a third of the action.

A trainer with a replay buffer updates so often that whole passes would leave it no time for anything else: it takes
one minibatch for each of its gradient steps, where samples_per_update and num_epoch do not say otherwise.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainers.actors import Actor
from trainers.choices import log_prob_of
from trainers.descent import mean_metrics, minibatches, set_rate
from trainers.hyperparameters import OffPolicyHyperparameters, PpoHyperparameters
from trainers.imitation.demonstrations import Shown
from trainers.settings import CloningSettings


class Cloning:
    """Fits an actor to demonstrations; without settings, nothing happens.

    Args:
        actor: what learns.
        settings: null where nothing is to be imitated.
        hyper: the trainer's, whose learning rate, batch size and number of passes count where none are given.
        seed: of the order of minibatches.
    """

    def __init__(
        self,
        actor: Actor,
        settings: CloningSettings | None,
        hyper: PpoHyperparameters | OffPolicyHyperparameters,
        seed: int,
    ) -> None:
        self.actor, self.settings = actor, settings or CloningSettings(demo_path="", strength=0.0)
        self.learning_rate = self.settings.strength * hyper.learning_rate
        self.batch_size = self.settings.batch_size or hyper.batch_size
        passes, samples = (
            (1, self.batch_size) if isinstance(hyper, OffPolicyHyperparameters) else (hyper.num_epoch, None)
        )
        self.num_epoch = self.settings.num_epoch or passes
        self.samples = self.settings.samples_per_update or samples
        self.optimizer = torch.optim.Adam(actor.parameters(), lr=self.learning_rate, fused=True)
        self.generator = torch.Generator().manual_seed(seed)

    def show(self, shown: Mapping[str, Shown], device: torch.device) -> None:
        """Take over the demonstrations at the settings' demo_path."""
        if self.settings.demo_path in shown:
            self.shown = Shown(*(part.to(device) for part in shown[self.settings.demo_path]))

    def update(self, step: int, times: int = 1) -> dict[str, float]:
        """Run num_epoch passes of minibatch descent; returns the mean loss, and the learning rate.

        Args:
            step: of the training.
            times: that many times as many passes.
        """
        lr = self.learning_rate * self._left(step)
        if lr == 0.0:
            return {}
        set_rate(self.optimizer, lr)
        passes = times * self.num_epoch
        batches = minibatches(self.shown.obs, self.batch_size, passes, self.generator, self.samples)
        means = mean_metrics({"losses/cloning": self._descend(batch)} for batch in batches)
        return means | {"policy/cloning_learning_rate": lr}

    def loss(self, shown: Shown) -> Tensor:
        """Return the sum of what the numbers and the choices come to, each a mean over its components, ()."""
        shape = self.actor.shape
        allowed = shown.obs.new_ones(len(shown.obs), shape.choices)
        numbers, log_probs = self.actor.imitation(torch.cat((shown.obs, allowed), dim=-1))
        loss = shown.obs.new_zeros(())
        if shape.continuous:
            loss = loss + (numbers - shown.act[:, : shape.continuous]).square().mean()
        if log_probs:
            loss = loss - log_prob_of(log_probs, shown.act[:, shape.continuous :]).mean() / len(log_probs)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Optimiser and random state."""
        return {"optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])

    def _left(self, step: int) -> float:
        """Return the fraction of the learning rate that is left."""
        return max(0.0, 1.0 - step / self.settings.steps) if self.settings.steps else 1.0

    def _descend(self, batch: Tensor) -> Tensor:
        loss = self.loss(Shown(*(part[batch] for part in self.shown)))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss
