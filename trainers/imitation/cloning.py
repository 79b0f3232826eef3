"""Behavioral cloning beside reinforcement learning: ML-Agents' `behavioral_cloning`.

After every update of the trainer, the policy's mean is drawn to what was shown (Pomerleau 1991, Efficient Training of
Artificial Neural Networks for Autonomous Navigation):

    minimise mean |mu(s) - a|^2 over the demonstrations' (s, a), both as the robot gets them

with a learning rate of strength times the trainer's, which falls linearly to 0 within `steps`. The standard deviation
is left to the trainer. ML-Agents compares samples, before they are scaled to the robot's range: it copies a third of
the action.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainers.actors import ACTION_LIMIT, Actor
from trainers.descent import mean_metrics, minibatches, set_rate
from trainers.hyperparameters import PpoHyperparameters
from trainers.imitation.demonstrations import Shown
from trainers.settings import CloningSettings


class Cloning:
    """Fits an actor to demonstrations; without settings, nothing happens.

    Args:
        actor: what learns: a Gaussian policy.
        settings: null where nothing is to be imitated.
        hyper: the trainer's, whose learning rate, batch size and number of passes count where none are given.
        seed: of the order of minibatches.
    """

    def __init__(self, actor: Actor, settings: CloningSettings | None, hyper: PpoHyperparameters, seed: int) -> None:
        self.actor, self.settings = actor, settings or CloningSettings(demo_path="", strength=0.0)
        self.learning_rate = self.settings.strength * hyper.learning_rate
        self.batch_size = self.settings.batch_size or hyper.batch_size
        self.num_epoch = self.settings.num_epoch or hyper.num_epoch
        self.optimizer = torch.optim.Adam(actor.parameters(), lr=self.learning_rate, fused=True)
        self.generator = torch.Generator().manual_seed(seed)

    def show(self, shown: Mapping[str, Shown], device: torch.device) -> None:
        """Take over the demonstrations at the settings' demo_path."""
        if self.settings.demo_path in shown:
            self.shown = Shown(*(part.to(device) for part in shown[self.settings.demo_path]))

    def update(self, step: int) -> dict[str, float]:
        """Run num_epoch passes of minibatch descent; returns the mean loss, and the learning rate.

        Args:
            step: of the training.
        """
        lr = self.learning_rate * self._left(step)
        if lr == 0.0:
            return {}
        set_rate(self.optimizer, lr)
        each = self.settings.samples_per_update or None
        batches = minibatches(self.shown.obs, self.batch_size, self.num_epoch, self.generator, each)
        means = mean_metrics({"losses/cloning": self._descend(batch)} for batch in batches)
        return means | {"policy/cloning_learning_rate": lr}

    def loss(self, shown: Shown) -> Tensor:
        """Return mean |mu(s) - a|^2, (), of actions as the robot gets them."""
        mean: Tensor = self.actor(shown.obs)
        return (mean / ACTION_LIMIT - shown.act).square().mean()

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
