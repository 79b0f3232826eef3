"""Potential-based shaping: advice that cannot change which policy is best.

    F = gamma Phi(s', t') - Phi(s, t)

(Ng, Harada & Russell 1999; with a potential that changes over time, Devlin & Kudenko 2012). Four rules keep the
promise: gamma is the learner's own, Phi(s') is 0 where the task ended, Phi(s') is kept where an episode was merely
cut, and F is never clipped. Phi may also read the action that led to a state: it is then advice about actions, of
the look-back kind of Wiewiora, Cottrell & Elkan 2003.
"""

from reward_shaping.term import Array, Known, Score, Source


class Potential:
    """Pays gamma w' Phi(s') - w Phi(s), Phi = offset + x.

    Args:
        x: scores 2 N states, those before and those after.
        gamma: discount of the learner.
        offset: c.

    Attributes:
        weight: w', with which Phi counts in the states that are reached now.
        ENDED: what it reads beside x.
    """

    ENDED: Source = ("terminated", "")

    def __init__(self, x: Score, gamma: float, offset: float) -> None:
        self._x, self._gamma, self._offset = x, gamma, offset
        self.weight = self._weight_before = 0.0

    def advance(self, weight: float) -> None:
        """Let Phi count with another weight from the next step on; what was reached keeps the one it had."""
        self._weight_before, self.weight = self.weight, weight

    def restart(self, weight: float) -> None:
        """Let Phi count with this weight in all states, whatever it was."""
        self._weight_before = self.weight = weight

    def __call__(self, known: Known) -> Array:
        """Score N transitions, (N,), weighted."""
        phi = self._x(known) + self._offset
        half = len(phi) // 2
        discounted = (self._gamma * self.weight) * phi[half:] * ~known[self.ENDED]
        shaped: Array = discounted - self._weight_before * phi[:half]
        return shaped


class Gain:
    """Pays Phi(s') - Phi(s): what a stage is worth when it is reached, charged when it is lost.

    This is F for gamma = 1 without the rule about ends. Over an episode it sums to Phi(s_T) - Phi(s_0), so that it
    does change what is best: towards ending in a state of large Phi.
    """

    def __init__(self, x: Score) -> None:
        self._x = x

    def __call__(self, known: Known) -> Array:
        """Score N transitions, (N,)."""
        x = self._x(known)
        half = len(x) // 2
        gain: Array = x[half:] - x[:half]
        return gain
