"""Intrinsic rewards of learners from rollouts: computed when one is complete, and learned from the same one."""

from trainers.intrinsic.reward import IntrinsicRewards
from trainers.intrinsic.transitions import Transitions
from trainers.rollout import Rollout


class RolloutRewards(IntrinsicRewards):
    """Those of PPO and its relatives."""

    def pay(self, rollout: Rollout, batch_size: int, num_epoch: int) -> dict[str, float]:
        """Put the rewards of a full rollout into their heads, times their strength; then learn from it.

        Args:
            rollout: full.
            batch_size: of the minibatches to learn from.
            num_epoch: passes over the rollout.

        Returns:
            Of every reward: `intrinsic/<name>`, its mean over the transitions without the strength, and its losses.
        """
        if not self.signals:
            return {}
        transitions, valid = self._transitions(rollout), rollout.valid.to(self._device)
        samples = Transitions(*(part[valid] for part in transitions))
        metrics = {}
        for name, signal in self.signals.items():
            rew = signal.reward(transitions, valid)
            if name in self._columns:
                rollout.rew[..., self._columns[name]] = (signal.settings.strength * rew).cpu()
            metrics[f"intrinsic/{name}"] = float(rew[valid].mean())
            metrics |= signal.update(samples, batch_size, num_epoch)
        return metrics

    def _transitions(self, rollout: Rollout) -> Transitions:
        """Return a full rollout's transitions, (T, N, ...), each within its episode."""
        next_obs = rollout.obs[1:].clone()
        for t, rows, final_obs in rollout.final_obs:
            next_obs[t, rows] = final_obs
        act = self._shape.encode(rollout.act).to(self._device)
        return Transitions(self._seen(rollout.obs[:-1]), act, self._seen(next_obs))
