"""Rewards that a learner computes for itself, for what is new to it or looks like what it was shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainers.actors import ActionShape
from trainers.descent import mean_metrics, minibatches
from trainers.heads import Head
from trainers.imitation.demonstrations import Shown
from trainers.imitation.gail import Gail
from trainers.intrinsic.curiosity import Curiosity
from trainers.intrinsic.rnd import Rnd
from trainers.intrinsic.scale import ReturnScale, Unscaled
from trainers.intrinsic.transitions import Transitions
from trainers.observation import Observed, as_observation
from trainers.settings import BehaviorSettings, GailSettings, IntrinsicSettings

MODELS: dict[str, type[Rnd] | type[Curiosity]] = {"curiosity": Curiosity, "rnd": Rnd}


class IntrinsicReward:
    """A model of what is new, or of what was shown, with its optimiser and the scale of its reward.

    Args:
        name: a key of `MODELS` or `gail`, as in ML-Agents' `reward_signals`.
        observed: D, or the sensors that are seen.
        shape: of the actions.
        rows: N.
        settings: of the reward signal.
        seed: of the order of minibatches; the networks' weights come from torch's own.
        device: where the networks live and learn.
    """

    def __init__(
        self,
        name: str,
        observed: Observed,
        shape: ActionShape,
        rows: int,
        settings: IntrinsicSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.name, self.settings = name, settings
        self.model: Rnd | Curiosity | Gail
        self.scale: ReturnScale | Unscaled = ReturnScale(rows, settings.gamma).to(device)
        if isinstance(settings, GailSettings):
            self.model = Gail(observed, shape.encoded_size, settings, seed).to(device)
            self.scale = Unscaled()
        else:
            self.model = MODELS[name](observed, shape, settings.network_settings).to(device)
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(learned, lr=settings.learning_rate, fused=True)
        self.generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def reward(self, rollout: Transitions, valid: Tensor) -> Tensor:
        """Return a rollout's rewards, (T, N); for what is new, in standard deviations of their discounted sums.

        Args:
            rollout: (T, N, ...).
            valid: in which steps there was a transition, (T, N), bool; elsewhere the reward is 0.
        """
        self.model.normalizer.update(rollout.next_obs[valid])
        scaled: Tensor = self.scale(self.model.reward(rollout), valid)
        return scaled

    @torch.no_grad()
    def reward_again(self, samples: Transitions) -> Tensor:
        """Return what B transitions pay by the model and the scale of now, (B,), which stay what they are."""
        rew: Tensor = self.scale.scaled(self.model.reward(samples))
        return rew

    def update(self, samples: Transitions, batch_size: int, num_epoch: int) -> dict[str, float]:
        """Run num_epoch passes of minibatch descent over B transitions; returns the mean of each loss."""
        batches = minibatches(samples.obs, batch_size, num_epoch, self.generator)
        losses = mean_metrics(self._descend(Transitions(*(part[batch] for part in samples))) for batch in batches)
        return {f"losses/{name}": loss for name, loss in losses.items()}

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
        if isinstance(self.scale, ReturnScale) and scale["running"].shape != self.scale.running.shape:
            scale["running"] = torch.zeros_like(self.scale.running)
        self.scale.load_state_dict(scale)
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])

    def _descend(self, batch: Transitions) -> dict[str, Tensor]:
        losses = self.model.losses(batch)
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return losses


class IntrinsicRewards:
    """The intrinsic rewards of a learner, each with a value head of its own; without any, nothing happens.

    Args:
        heads: of the critic; a reward without one, that of strength 0, is learned and logged, but not paid.
        settings: of the behavior.
        observed: D, or the sensors that are seen.
        shape: of the actions.
        rows: N.
        seed: see `IntrinsicReward`.
        device: likewise.
    """

    def __init__(
        self,
        heads: Sequence[Head],
        settings: BehaviorSettings,
        observed: Observed,
        shape: ActionShape,
        rows: int,
        seed: int,
        device: torch.device,
    ) -> None:
        wanted = settings.reward_signals.intrinsic
        self.signals = {
            name: IntrinsicReward(name, observed, shape, rows, signal, seed, device) for name, signal in wanted.items()
        }
        self._columns = {head.name: column for column, head in enumerate(heads) if head.role == "intrinsic"}
        self._device = device
        self._obs_size, self._shape = as_observation(observed).size, shape

    def show(self, shown: Mapping[str, Shown]) -> None:
        """Take over the demonstrations, demo_path -> what is there."""
        for signal in self.signals.values():
            if isinstance(signal.settings, GailSettings) and isinstance(signal.model, Gail):
                obs, act = shown[signal.settings.demo_path]
                signal.model.show(Shown(obs, self._shape.one_hot(act)), self._device)

    def state_dict(self) -> dict[str, Any]:
        """States of the signals, by name."""
        return {name: signal.state_dict() for name, signal in self.signals.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken; a signal that was not there begins anew."""
        for name in self.signals.keys() & state.keys():
            self.signals[name].load_state_dict(state[name])

    def _seen(self, obs: Tensor) -> Tensor:
        """Return what is seen of rows, (..., D) of (..., D) or wider, where the models live."""
        return obs[..., : self._obs_size].to(self._device)
