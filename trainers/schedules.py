"""Values that change with training progress."""

from typing import Literal

# ML-Agents' floors: a linear schedule ends here, not at zero
EPSILON_FLOOR = 0.1
BETA_FLOOR = 1e-5
LEARNING_RATE_FLOOR = 1e-10


def scheduled(initial: float, schedule: Literal["linear", "constant"], progress: float, floor: float) -> float:
    """Return the value at `progress` in [0, 1]: constant, or linear from `initial` to `floor`.

    An initial value below the floor stays as it is.
    """
    if schedule == "constant" or initial <= floor:
        return initial
    return initial + (floor - initial) * min(progress, 1.0)
