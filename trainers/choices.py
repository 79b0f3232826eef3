"""Policies of discrete actions: one masked categorical distribution per branch, alone or beside a Gaussian."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.actors import (
    LOG_STD_RANGE,
    ActionShape,
    Decision,
    GaussianActor,
    SoftActor,
    SquashedGaussianActor,
    StochasticActor,
    gaussian_entropy,
    gaussian_log_prob,
    squashed_sample,
    to_env,
)
from trainers.layers import orthogonal
from trainers.observation import Observed
from trainers.settings import NetworkSettings

FORBIDDEN = -1e8  # a finite score: where all choices are forbidden, none is preferred
BELOW_ONE = 1.0 - 2.0**-23
LEAST = 1e-30  # of a probability in an exported network: its logarithm has to be finite


class CategoricalActor(StochasticActor, SoftActor):
    """pi(c|s): for each branch a softmax over the choices that are allowed; branches are independent, given s."""

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.logits = orthogonal(self.feature_size, shape.choices, 0.01)

    def log_probs(self, obs: Tensor) -> list[Tensor]:
        """Return log pi(c|s) of every choice, (B, choices) per branch; very low where it is forbidden."""
        return masked_log_probs(self.logits(self.features(obs)), obs, self.shape)

    def parts(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return no numbers, and `log_probs`."""
        return obs.new_zeros(len(obs), 0), self.log_probs(obs)

    def scores(self, obs: Tensor) -> list[Tensor]:
        """Choices are as good as they are likely."""
        return self.log_probs(obs)

    def action(self, obs: Tensor) -> Tensor:
        """Return the likeliest choices."""
        return best(self.log_probs(obs))

    def random_action(self, obs: Tensor) -> Tensor:
        """Return a sample."""
        return draw_in_graph(self.log_probs(obs))

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """Draw choices."""
        return draw(self.log_probs(obs), noise)

    def decide(self, obs: Tensor, noise: Tensor) -> Decision:
        """Draw choices; there are no numbers."""
        log_probs = self.log_probs(obs)
        return Decision(draw(log_probs, noise), obs.new_zeros(len(obs)), log_probs)

    def command(self, act: Tensor) -> Tensor:
        """Return the choices as they are."""
        return act

    def log_prob_and_entropy(self, obs: Tensor, act: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over the branches."""
        log_probs = self.log_probs(obs)
        return log_prob_of(log_probs, act), entropy_of(log_probs)


class HybridActor(StochasticActor):
    """pi(a, c|s) = N(mean(s), diag(std^2)) times the categorical distributions of the branches, from one encoder."""

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.mean = orthogonal(self.feature_size, shape.continuous, 0.01)
        self.log_std = nn.Parameter(torch.zeros(shape.continuous))
        self.logits = orthogonal(self.feature_size, shape.choices, 0.01)

    def parts(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the mean, (B, continuous), and the branches' log-probabilities, (B, choices) each."""
        features = self.features(obs)
        return self.mean(features), masked_log_probs(self.logits(features), obs, self.shape)

    def scores(self, obs: Tensor) -> list[Tensor]:
        """Choices are as good as they are likely."""
        return self.parts(obs)[1]

    def action(self, obs: Tensor) -> Tensor:
        """Return the mean as the robot gets it, and the likeliest choices."""
        mean, log_probs = self.parts(obs)
        return torch.cat((to_env(mean), best(log_probs)), dim=-1)

    def random_action(self, obs: Tensor) -> Tensor:
        """Return a sample as the robot gets it."""
        mean, log_probs = self.parts(obs)
        numbers = mean + torch.randn_like(mean) * self.log_std.exp()
        return torch.cat((to_env(numbers), draw_in_graph(log_probs)), dim=-1)

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """Draw numbers, before the clamp, and choices."""
        mean, log_probs = self.parts(obs)
        size = self.shape.continuous
        numbers = torch.addcmul(mean, noise[:, :size], self.log_std.exp())
        return torch.cat((numbers, draw(log_probs, noise[:, size:])), dim=-1)

    def command(self, act: Tensor) -> Tensor:
        """Clamp and scale the numbers to [-1, 1]; leave the choices."""
        size = self.shape.continuous
        return torch.cat((to_env(act[..., :size]), act[..., size:]), dim=-1)

    def log_prob_and_entropy(self, obs: Tensor, act: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums over both parts."""
        mean, log_probs = self.parts(obs)
        size = self.shape.continuous
        logp = gaussian_log_prob(mean, self.log_std, act[:, :size]) + log_prob_of(log_probs, act[:, size:])
        return logp, gaussian_entropy(self.log_std) + entropy_of(log_probs)


class SquashedHybridActor(SoftActor):
    """pi(a, c|s): the squashed Gaussian of `SquashedGaussianActor` times the branches' distributions, independent."""

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__(observed, shape, settings)
        self.mean = orthogonal(self.feature_size, shape.continuous, 0.01)
        self.log_std = orthogonal(self.feature_size, shape.continuous, 0.01)
        self.logits = orthogonal(self.feature_size, shape.choices, 0.01)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return mean and log std before the squashing, (B, C), and the branches' log-probabilities, (B, choices)."""
        features = self.features(obs)
        log_std = self.log_std(features).clamp(*LOG_STD_RANGE)
        return self.mean(features), log_std, masked_log_probs(self.logits(features), obs, self.shape)

    def scores(self, obs: Tensor) -> list[Tensor]:
        """Choices are as good as they are likely."""
        return list(self(obs)[2])

    def action(self, obs: Tensor) -> Tensor:
        """Return the mean as the robot gets it, and the likeliest choices."""
        mean, _, log_probs = self(obs)
        return torch.cat((torch.tanh(mean), best(log_probs)), dim=-1)

    def random_action(self, obs: Tensor) -> Tensor:
        """Return a sample."""
        mean, log_std, log_probs = self(obs)
        numbers = torch.tanh(mean + torch.randn_like(mean) * log_std.exp())
        return torch.cat((numbers, draw_in_graph(log_probs)), dim=-1)

    def imitation(self, obs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the mean as the robot gets it, and the branches' log-probabilities."""
        mean, _, log_probs = self(obs)
        return torch.tanh(mean), log_probs

    def decide(self, obs: Tensor, noise: Tensor) -> Decision:
        """Draw numbers and choices."""
        mean, log_std, log_probs = self(obs)
        numbers, logp = squashed_sample(mean, log_std, noise[:, : self.shape.continuous])
        choices = draw(log_probs, noise[:, self.shape.continuous :])
        return Decision(torch.cat((numbers, choices), dim=-1), logp, log_probs)


def make_soft_actor(observed: Observed, shape: ActionShape, settings: NetworkSettings) -> SoftActor:
    """Make the policy of a soft actor-critic that fits the kind of actions, with new weights."""
    kinds: dict[str, type[SoftActor]] = {
        "continuous": SquashedGaussianActor,
        "discrete": CategoricalActor,
        "hybrid": SquashedHybridActor,
    }
    return kinds[shape.kind](observed, shape, settings)


def make_stochastic_actor(observed: Observed, shape: ActionShape, settings: NetworkSettings) -> StochasticActor:
    """Make the policy that fits the kind of actions, with new weights."""
    kinds: dict[str, type[StochasticActor]] = {
        "continuous": GaussianActor,
        "discrete": CategoricalActor,
        "hybrid": HybridActor,
    }
    return kinds[shape.kind](observed, shape, settings)


def masked(scores: Tensor, obs: Tensor, shape: ActionShape) -> list[Tensor]:
    """Split scores of all choices, (B, M), into branches, those that obs forbids far below all others.

    Args:
        scores: logits or action values.
        obs: (B, D + M), with 1 for every allowed choice at its end.
        shape: of the actions.
    """
    allowed = obs[..., -shape.choices :] > 0.5
    return list(torch.split(torch.where(allowed, scores, FORBIDDEN), list(shape.branches), dim=-1))


def masked_log_probs(logits: Tensor, obs: Tensor, shape: ActionShape) -> list[Tensor]:
    """Return the log-probabilities of the branches, (B, choices) each: log softmax over what is allowed."""
    return [part.log_softmax(dim=-1) for part in masked(logits, obs, shape)]


def best(scores: Sequence[Tensor]) -> Tensor:
    """Return the best choice of every branch, (B, branches), as floats."""
    return torch.stack([part.argmax(dim=-1) for part in scores], dim=-1).float()


def draw(log_probs: Sequence[Tensor], noise: Tensor) -> Tensor:
    """Draw a choice per branch, (B, branches), as floats, from standard normal noise of that shape.

    Phi(noise) is uniform; the choice is the first whose cumulated probability is above it. One of probability 0 adds
    nothing to the sum, and so is never the first.
    """
    chosen = []
    for part, number in zip(log_probs, torch.special.ndtr(noise).unbind(dim=-1), strict=True):
        cumulated = part.exp().cumsum(dim=-1)
        threshold = number.clamp(max=BELOW_ONE) * cumulated[:, -1]
        chosen.append((cumulated <= threshold[:, None]).sum(dim=-1))
    return torch.stack(chosen, dim=-1).float()


def draw_evenly(obs: Tensor, shape: ActionShape, generator: torch.Generator) -> Tensor:
    """Draw a choice per branch, (B, branches), as floats, uniformly from what obs, (B, D + M), allows."""
    even = masked_log_probs(torch.zeros(len(obs), shape.choices), obs, shape)
    return draw(even, torch.randn((len(obs), len(shape.branches)), generator=generator))


def draw_in_graph(log_probs: Sequence[Tensor]) -> Tensor:
    """Draw a choice per branch, (B, branches), as floats, by ONNX's own Multinomial."""
    return torch.cat([torch.multinomial(part.exp().clamp_min(LEAST), 1) for part in log_probs], dim=-1).float()


def log_prob_of(log_probs: Sequence[Tensor], choices: Tensor) -> Tensor:
    """Return the log-probability of choices, (B, branches), summed over the branches; (B,)."""
    columns = choices.long().unbind(dim=-1)
    taken = [part.gather(-1, column[:, None]) for part, column in zip(log_probs, columns, strict=True)]
    return torch.cat(taken, dim=-1).sum(dim=-1)


def entropy_of(log_probs: Sequence[Tensor]) -> Tensor:
    """Return the branches' entropies, in nats, summed; mean over the batch, ()."""
    return torch.stack([of.mean() for of in entropies(log_probs)]).sum()


def entropies(log_probs: Sequence[Tensor]) -> list[Tensor]:
    """Return every branch's entropy -sum p log p, in nats, (B,) each."""
    return [-(part.exp() * part).sum(dim=-1) for part in log_probs]


def most_entropies(obs: Tensor, shape: ActionShape) -> list[Tensor]:
    """Return the entropy of each branch where all that obs, (B, D + M), allows is as likely, log n in nats; (B,)."""
    allowed = torch.split(obs[..., -shape.choices :] > 0.5, list(shape.branches), dim=-1)
    return [part.sum(dim=-1).clamp_min(1).log() for part in allowed]
