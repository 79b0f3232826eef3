"""A reward that an algorithm computes for itself when a rollout is complete, and learns from the same rollout."""

from typing import Any

import torch
from torch import Tensor

from trainers.intrinsic.curiosity import Curiosity
from trainers.intrinsic.rnd import Rnd
from trainers.intrinsic.scale import ReturnScale
from trainers.intrinsic.transitions import Transitions
from trainers.settings import IntrinsicSettings

MODELS: dict[str, type[Rnd] | type[Curiosity]] = {"curiosity": Curiosity, "rnd": Rnd}


class IntrinsicReward:
    """A model of what is new, with its optimiser and the scale of its reward.

    Args:
        name: a key of `MODELS`, as in ML-Agents' `reward_signals`.
        obs_size: D.
        action_size: A.
        rows: N.
        settings: of the reward signal.
        seed: of the order of minibatches; the networks' weights come from torch's own.
        device: where the networks live and learn.
    """

    def __init__(
        self,
        name: str,
        obs_size: int,
        action_size: int,
        rows: int,
        settings: IntrinsicSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.name, self.settings = name, settings
        self.model = MODELS[name](obs_size, action_size, settings.network_settings).to(device)
        self.scale = ReturnScale(rows, settings.gamma).to(device)
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(learned, lr=settings.learning_rate, fused=True)
        self.generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def reward(self, rollout: Transitions, valid: Tensor) -> Tensor:
        """Return how new a rollout's transitions are, (T, N), in standard deviations of their discounted sums.

        Args:
            rollout: (T, N, ...).
            valid: in which steps there was a transition, (T, N), bool; elsewhere the reward is 0.
        """
        self.model.normalizer.update(rollout.next_obs[valid])
        scaled: Tensor = self.scale(self.model.reward(rollout), valid)
        return scaled

    def update(self, samples: Transitions, batch_size: int, num_epoch: int) -> dict[str, float]:
        """Run num_epoch passes of minibatch descent over B transitions; returns the mean of each loss."""
        sums: dict[str, Tensor] = {}
        count = 0
        for _ in range(num_epoch):
            order = torch.randperm(len(samples.obs), generator=self.generator).to(samples.obs.device)
            for batch in torch.split(order, batch_size):
                losses = self._descend(Transitions(*(part[batch] for part in samples)))
                sums = {name: sums.get(name, 0.0) + value for name, value in losses.items()}
                count += 1
        return {f"losses/{name}": float(total) / count for name, total in sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Networks, their optimiser, statistics and random state."""
        return {
            "model": self.model.state_dict(),
            "scale": self.scale.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken; with another number of rows, sums begin at 0."""
        self.model.load_state_dict(state["model"])
        scale = dict(state["scale"])
        if scale["running"].shape != self.scale.running.shape:
            scale["running"] = torch.zeros_like(self.scale.running)
        self.scale.load_state_dict(scale)
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])

    def _descend(self, batch: Transitions) -> dict[str, Tensor]:
        losses = self.model.losses(batch)
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}
