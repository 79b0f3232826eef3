"""The algorithms, by their `trainer_type`."""

from trainers.algorithms.a2c import A2c
from trainers.algorithms.a3c import A3c
from trainers.algorithms.algorithm import Algorithm, Step
from trainers.algorithms.ddpg import Ddpg
from trainers.algorithms.dqn import Dqn
from trainers.algorithms.ppo import Ppo
from trainers.algorithms.reinforce import Reinforce
from trainers.algorithms.sac import Sac
from trainers.algorithms.td3 import Td3

ALGORITHMS: dict[str, type[Algorithm]] = {
    "reinforce": Reinforce,
    "a2c": A2c,
    "a3c": A3c,
    "ppo": Ppo,
    "dqn": Dqn,
    "ddpg": Ddpg,
    "td3": Td3,
    "sac": Sac,
}

__all__ = ["ALGORITHMS", "Algorithm", "Step"]
