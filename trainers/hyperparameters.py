"""The hyperparameters of each algorithm: ML-Agents' keys and defaults where it has the algorithm, and ours beside them.

Knobs keep ML-Agents' names here; docstrings give the literature's.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from reward_shaping.fields import Fraction
from unity_env.settings import NonNegativeFloat, PositiveFloat, PositiveInt, Settings

Schedule = Literal["linear", "constant"]
MAX_SAMPLES = 10_000_000  # of one update; beyond it memory, not learning, would decide


class PpoHyperparameters(Settings):
    """Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347).

    Attributes:
        batch_size: minibatch, samples.
        buffer_size: samples collected for one update, over all rows.
        beta: entropy coefficient c_2 of eq. 9.
        epsilon: clip range of eq. 7.
        shared_critic: actor and critic share their hidden layers.
        lambd: lambda of eq. 11, GAE.
        num_epoch: K, passes over the buffer.
        value_coefficient: c_1 of eq. 9.
        max_grad_norm: the gradient's norm is clipped to this; null leaves it.
    """

    batch_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 1024
    buffer_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 10240
    learning_rate: PositiveFloat = 3e-4
    learning_rate_schedule: Schedule = "linear"
    beta: NonNegativeFloat = 5e-3
    beta_schedule: Schedule = "linear"
    epsilon: PositiveFloat = 0.2
    epsilon_schedule: Schedule = "linear"
    lambd: Fraction = 0.95
    num_epoch: PositiveInt = 3
    shared_critic: bool = False
    value_coefficient: NonNegativeFloat = 0.5
    max_grad_norm: PositiveFloat | None = 0.5

    @model_validator(mode="before")
    @classmethod
    def _follow_learning_rate(cls, data: Any) -> Any:
        """Beta and epsilon follow the learning rate's schedule where theirs is not given, as in ML-Agents."""
        if not isinstance(data, dict):
            return data
        schedule = data.get("learning_rate_schedule", "linear")
        given = {key: value for key, value in data.items() if value is not None or not key.endswith("_schedule")}
        return {"beta_schedule": schedule, "epsilon_schedule": schedule} | given

    @model_validator(mode="after")
    def _batch_fits_buffer(self) -> "PpoHyperparameters":
        if self.batch_size > self.buffer_size:
            raise ValueError(f"batch_size {self.batch_size} is larger than buffer_size {self.buffer_size}")
        return self


TrainerType = Literal["ppo"]
Hyperparameters = PpoHyperparameters
HYPERPARAMETERS: dict[str, type[Hyperparameters]] = {"ppo": PpoHyperparameters}
