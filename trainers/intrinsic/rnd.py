"""Random network distillation (Burda et al. 2018, arXiv 1810.12894).

A predictor f_hat learns what a fixed, random network f makes of observations; where it has learned little, the
agent has seldom been:

    r_t = |f_hat(x) - f(x)|^2,  x = clip((s_{t+1} - mean) / std, -5, 5)         (section 2.2, whitening of 2.4)
"""

from torch import Tensor, nn

from trainers.actors import ActionShape
from trainers.intrinsic.transitions import Transitions
from trainers.networks import Encoder
from trainers.normalizer import RowNormalizer
from trainers.observation import Observed
from trainers.settings import NetworkSettings


class Rnd(nn.Module):
    """Novelty of the states that actions lead to.

    Args:
        observed: D, or the sensors that are seen.
        shape: of the actions; not used: a state is new or not, however it was reached.
        settings: shape of both networks, whose last layer makes the features. Vectors go in standardised, whatever
            `normalize` says: a random network cannot adapt to their scale.
    """

    def __init__(self, observed: Observed, shape: ActionShape, settings: NetworkSettings) -> None:
        super().__init__()
        del shape
        plain = settings.model_copy(update={"normalize": False})
        self.normalizer = RowNormalizer(observed)
        self.target = Encoder(observed, plain).requires_grad_(False)
        self.predictor = Encoder(observed, plain)

    def reward(self, transitions: Transitions) -> Tensor:
        """Return |f_hat(x) - f(x)|^2, (...)."""
        x = self.normalizer(transitions.next_obs)
        error: Tensor = (self.predictor(x) - self.target(x)).square().sum(dim=-1)
        return error

    def losses(self, transitions: Transitions) -> dict[str, Tensor]:
        """Return the predictor's error, which is the reward itself."""
        return {"rnd": self.reward(transitions).mean()}
