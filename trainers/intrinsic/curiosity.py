"""The intrinsic curiosity module, ICM (Pathak et al. 2017, arXiv 1705.05363).

Features phi of states, an inverse model g that tells the action from two of them, and a forward model f that
predicts the next one; phi serves g, so that it keeps what the agent can influence, and forgets what it cannot:

    a_hat_t = g(phi(s_t), phi(s_{t+1}))                                                    (eq. 2)
    phi_hat(s_{t+1}) = f(phi(s_t), a_t)                                                    (eq. 4)
    L_F = 1/2 |phi_hat(s_{t+1}) - phi(s_{t+1})|^2                                          (eq. 5)
    r_t = 1/2 |phi_hat(s_{t+1}) - phi(s_{t+1})|^2                                          (eq. 6, eta = 1)
    minimise (1 - beta) L_I + beta L_F,  beta = 0.2                                        (eq. 7)

L_I is |a_hat_t - a_t|^2 of continuous actions; of discrete ones a_hat_t are logits, and L_I is the negative
log-likelihood of the choice, as in the paper (eq. 3), summed over the branches.
"""

import torch
from torch import Tensor, nn

from trainers.actors import ActionShape
from trainers.intrinsic.transitions import Transitions
from trainers.networks import ACTIVATIONS, Encoder
from trainers.normalizer import RowNormalizer
from trainers.observation import Observed
from trainers.settings import NetworkSettings

BETA = 0.2  # weight of the forward model's loss against the inverse model's


class Curiosity(nn.Module):
    """Surprise about what an action led to.

    Args:
        observed: D, or the sensors that are seen.
        shape: of the actions; choices go in one-hot.
        settings: shape of phi, whose last layer makes the features; both models have one hidden layer of the same
            size. Vectors go in standardised, whatever `normalize` says, as in Burda et al. 2018, arXiv 1808.04355,
            section 2.2.
    """

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__()
        self.shape = shape
        self.normalizer = RowNormalizer(observed)
        self.phi = Encoder(observed, settings.model_copy(update={"normalize": False}))
        size, activation = settings.hidden_units, ACTIVATIONS[settings.activation]
        self.inverse = nn.Sequential(nn.Linear(2 * size, size), activation(), nn.Linear(size, shape.encoded_size))
        self.forward_model = nn.Sequential(
            nn.Linear(size + shape.encoded_size, size), activation(), nn.Linear(size, size)
        )

    def reward(self, transitions: Transitions) -> Tensor:
        """Return 1/2 |phi_hat(s') - phi(s')|^2, (...)."""
        now, after = self._features(transitions)
        return self._surprise(now, transitions.act, after)

    def losses(self, transitions: Transitions) -> dict[str, Tensor]:
        """Return beta L_F and (1 - beta) L_I."""
        now, after = self._features(transitions)
        inverse = self._inverse_loss(self.inverse(torch.cat((now, after), dim=-1)), transitions.act)
        forward = self._surprise(now, transitions.act, after)
        return {"curiosity_forward": BETA * forward.mean(), "curiosity_inverse": (1.0 - BETA) * inverse.mean()}

    def predict_action(self, transitions: Transitions) -> Tensor:
        """Return a_hat, (..., C + M): numbers, then the logits of the choices."""
        action: Tensor = self.inverse(torch.cat(self._features(transitions), dim=-1))
        return action

    def _features(self, transitions: Transitions) -> tuple[Tensor, Tensor]:
        return self.phi(self.normalizer(transitions.obs)), self.phi(self.normalizer(transitions.next_obs))

    def _inverse_loss(self, predicted: Tensor, act: Tensor) -> Tensor:
        size, branches = self.shape.continuous, list(self.shape.branches)
        loss: Tensor = (predicted[..., :size] - act[..., :size]).square().sum(dim=-1)
        logits, chosen = (torch.split(part[..., size:], branches, dim=-1) for part in (predicted, act))
        for of_branch, one_hot in zip(logits, chosen, strict=True):
            loss = loss - (of_branch.log_softmax(dim=-1) * one_hot).sum(dim=-1)
        return loss

    def _surprise(self, now: Tensor, act: Tensor, after: Tensor) -> Tensor:
        predicted = self.forward_model(torch.cat((now, act), dim=-1))
        surprise: Tensor = 0.5 * (predicted - after).square().sum(dim=-1)
        return surprise
