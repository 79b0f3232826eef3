"""The algorithms, by their `trainer_type`."""

from trainers.algorithms.algorithm import Algorithm, Step
from trainers.algorithms.ppo import Ppo

ALGORITHMS: dict[str, type[Algorithm]] = {
    "ppo": Ppo,
}

__all__ = ["ALGORITHMS", "Algorithm", "Step"]
