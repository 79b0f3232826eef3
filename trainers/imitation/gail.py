"""Generative adversarial imitation learning, GAIL (Ho & Ermon 2016, arXiv 1606.03476).

A discriminator D tells what was shown (D near 1) from what the policy does (near 0), and the policy is paid for what
looks shown. Labels are ML-Agents', the reverse of the paper's:

    minimise -E_shown[log D(s, a)] - E_policy[log(1 - D(s, a))] + 10 E[(|grad D(x)| - 1)^2]    (eq. 17)
    r_t = -log(1 - D(s_t, a_t))

The penalty is on points x between what was shown and what the policy does (Gulrajani et al. 2017, arXiv 1704.00028,
eq. 3). With `use_vail`, D reads a noisy code z of no more than 0.5 nats (Peng et al. 2018, arXiv 1810.00821):

    z ~ N(mu(x), sigma^2),  minimise ... + beta (E KL[N(mu, sigma^2) | N(0, 1)] - 0.5),
    beta <- max(0, beta + 0.0005 (E KL - 0.5))
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from trainers.imitation.demonstrations import Shown
from trainers.layers import orthogonal
from trainers.networks import Encoder
from trainers.normalizer import RowNormalizer
from trainers.observation import Observed, as_observation
from trainers.settings import GailSettings

if TYPE_CHECKING:
    from trainers.intrinsic.transitions import Transitions  # whose package builds on this module

GRADIENT_PENALTY = 10.0
CODE_SIZE = 128
CODE_NATS = 0.5  # I_c, what the code may tell
BETA_STEP = 0.0005


class Gail(nn.Module):
    """How much a transition looks like what was shown.

    Args:
        observed: D, or the sensors that are seen.
        action_size: of an action as it is read, A.
        settings: shape of the discriminator, and what it reads. Vectors go in standardised, whatever `normalize`
            says, by the statistics of what was shown and of the policy.
        seed: of everything random in it but the weights.
    """

    beta: Tensor

    def __init__(self, observed: Observed, action_size: int, settings: GailSettings, seed: int) -> None:
        super().__init__()
        self.settings = settings
        self.normalizer = RowNormalizer(observed)
        plain = settings.network_settings.model_copy(update={"normalize": False})
        observation = as_observation(observed)
        self.encoder = Encoder(
            observation.with_vector("action", action_size) if settings.use_actions else observation, plain
        )
        size = self.encoder.output_size
        if settings.use_vail:
            self.code_mean = orthogonal(size, CODE_SIZE, 0.1)
            self.code_log_std = nn.Parameter(torch.zeros(CODE_SIZE))
            self.register_buffer("beta", torch.zeros(()))
            size = CODE_SIZE
        self.estimate = orthogonal(size, 1, 0.2)
        self.generator = torch.Generator().manual_seed(seed)

    def show(self, shown: Shown, device: torch.device) -> None:
        """Take over the demonstrations, with choices one-hot."""
        self.shown = Shown(*(part.to(device) for part in shown))
        self.normalizer.update(self.shown.obs)

    def reward(self, transitions: "Transitions") -> Tensor:
        """Return -log(1 - D), (...), at least 0: log 2 where D cannot tell."""
        return softplus(self._logit(self._input(transitions.obs, transitions.act)))

    def losses(self, transitions: "Transitions") -> dict[str, Tensor]:
        """Return the discriminator's loss on B transitions and as many that were shown, and its penalties."""
        chosen = torch.randint(len(self.shown.obs), (len(transitions.obs),), generator=self.generator)
        chosen = chosen.to(self.shown.obs.device)
        shown = self._input(self.shown.obs[chosen], self.shown.act[chosen])
        policy = self._input(transitions.obs, transitions.act)
        features = self.encoder(torch.cat((shown, policy)))
        between = torch.rand(len(shown), 1, generator=self.generator).to(shown.device)
        losses = {}
        if self.settings.use_vail:
            features = self.code_mean(features)
            losses["gail_code"] = self._code_loss(features)
            features = features + self._noise(features) * self.code_log_std.exp()
        logit_shown, logit_policy = self.estimate(features).squeeze(-1).chunk(2)
        penalty = self._gradient_penalty(between * policy + (1.0 - between) * shown)
        return losses | {
            "gail": softplus(-logit_shown).mean() + softplus(logit_policy).mean(),
            "gail_gradient": GRADIENT_PENALTY * penalty,
        }

    def get_extra_state(self) -> Tensor:
        """Return the random state, which goes into `state_dict`."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Take over a random state."""
        self.generator.set_state(state)

    def _input(self, obs: Tensor, act: Tensor) -> Tensor:
        """Return what the discriminator reads."""
        seen: Tensor = self.normalizer(obs)
        return torch.cat((seen, act), dim=-1) if self.settings.use_actions else seen

    def _logit(self, x: Tensor) -> Tensor:
        """Return log D - log(1 - D), (...), without noise."""
        features = self.encoder(x)
        logit: Tensor = self.estimate(self.code_mean(features) if self.settings.use_vail else features)
        return logit.squeeze(-1)

    def _gradient_penalty(self, x: Tensor) -> Tensor:
        """Return E[(|grad D(x)| - 1)^2]."""
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(torch.sigmoid(self._logit(x)).sum(), x, create_graph=True)
        norm = (gradient.square().sum(dim=-1) + 1e-7).sqrt()  # whose own gradient is finite at 0
        return (norm - 1.0).square().mean()

    def _code_loss(self, mean: Tensor) -> Tensor:
        """Return beta (E KL - I_c), and move beta."""
        log_var = 2.0 * self.code_log_std
        excess = 0.5 * (mean.square() + log_var.exp() - log_var - 1.0).sum(dim=-1).mean() - CODE_NATS
        loss = self.beta.clone() * excess
        self.beta.copy_((self.beta + BETA_STEP * excess.detach()).clamp_min(0.0))
        return loss

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(like.device)
