"""The hyperparameters of each algorithm: ML-Agents' keys and defaults where it has the algorithm, and ours beside them.

Knobs keep ML-Agents' names here; docstrings give the literature's.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from reward_shaping.fields import Finite, Fraction
from unity_env.settings import NonNegativeFloat, PositiveFloat, PositiveInt, Settings

Schedule = Literal["linear", "constant"]
MAX_SAMPLES = 10_000_000  # of one update; beyond it memory, not learning, would decide


class ActorCriticHyperparameters(Settings):
    """What a policy with a value function learns by, L = L_pi + c_v L_v - c_e H.

    Attributes:
        buffer_size: samples collected for one update, over all rows.
        beta: entropy coefficient c_e.
        lambd: lambda of GAE: 1 is Monte Carlo, 0 the temporal difference.
        shared_critic: actor and critic share their hidden layers.
        value_coefficient: c_v.
        max_grad_norm: the gradient's norm is clipped to this; null leaves it.
    """

    buffer_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)]
    learning_rate: PositiveFloat
    learning_rate_schedule: Schedule = "linear"
    beta: NonNegativeFloat
    beta_schedule: Schedule = "linear"
    lambd: Fraction = 0.95
    shared_critic: bool = False
    value_coefficient: NonNegativeFloat = 0.5
    max_grad_norm: PositiveFloat | None = 0.5

    @model_validator(mode="before")
    @classmethod
    def _follow_learning_rate(cls, data: Any) -> Any:
        """Let other schedules be the learning rate's where they are not given, as in ML-Agents; none can adapt."""
        if not isinstance(data, dict):
            return data
        schedule = data.get("learning_rate_schedule", "linear")
        schedule = "constant" if schedule == "adaptive" else schedule
        others = {name for name in cls.model_fields if name.endswith("_schedule")} - {"learning_rate_schedule"}
        given = {key: value for key, value in data.items() if value is not None or not key.endswith("_schedule")}
        return dict.fromkeys(others, schedule) | given


class PpoHyperparameters(ActorCriticHyperparameters):
    """Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347).

    Attributes:
        batch_size: minibatch, samples.
        learning_rate_schedule: `adaptive` keeps the KL divergence near kl_target instead, as rsl_rl does: within
            1e-5 to 1e-2, a step that went beyond twice the target is followed by a smaller one.
        num_epoch: K, passes over the buffer.
        objective: `clip`, eq. 7, or `kl`, the penalty of eq. 8.
        epsilon: clip range of eq. 7.
        kl_coefficient: beta of eq. 8 in the first update; it adapts. 0 stays 0: plain importance sampling, eq. 6.
        kl_target: d_targ of section 4, nats.
        value_clipping: values are clipped like the policy, to epsilon around those of the rollout.
    """

    batch_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 1024
    buffer_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 10240
    learning_rate: PositiveFloat = 3e-4
    learning_rate_schedule: Literal["linear", "constant", "adaptive"] = "linear"  # type: ignore[assignment]  # wider
    beta: NonNegativeFloat = 5e-3
    epsilon: PositiveFloat = 0.2
    epsilon_schedule: Schedule = "linear"
    num_epoch: PositiveInt = 3
    objective: Literal["clip", "kl"] = "clip"
    kl_coefficient: NonNegativeFloat = 1.0
    kl_target: PositiveFloat = 0.01
    value_clipping: bool = False

    @model_validator(mode="after")
    def _batch_fits_buffer(self) -> Self:
        if self.batch_size > self.buffer_size:
            raise ValueError(f"batch_size {self.batch_size} is larger than buffer_size {self.buffer_size}")
        return self


class A2cHyperparameters(ActorCriticHyperparameters):
    """Advantage actor-critic: one RMSprop step per rollout (Mnih et al. 2016, arXiv 1602.01783).

    Attributes:
        rms_decay: alpha of RMSprop.
        rms_epsilon: added to the root of its mean square.
        normalize_advantage: to mean 0 and standard deviation 1 in every rollout, as PPO does; the paper does not.
    """

    buffer_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 512
    learning_rate: PositiveFloat = 7e-4
    beta: NonNegativeFloat = 0.01
    rms_decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    rms_epsilon: PositiveFloat = 1e-5
    normalize_advantage: bool = False


class A3cHyperparameters(A2cHyperparameters):
    """Asynchronous advantage actor-critic (Mnih et al. 2016, arXiv 1602.01783): A2C in several processes.

    Attributes:
        buffer_size: of each worker.
        rms_epsilon: added under the root, as in the paper.
        num_workers: processes with a simulation of their own each; null: one per CPU.
    """

    num_workers: Annotated[PositiveInt, Field(le=1024)] | None = None


class ReinforceHyperparameters(Settings):
    """Policy gradient with whole episodes (Williams 1992).

    Attributes:
        num_episodes: N of one update, rounded up to a multiple of the rows.
        variant: what an action's log-probability is multiplied by. `plain`: the episode's return. `baseline`: less
            the mean of the other episodes. `reward_to_go`: only what came after the action, less the same baseline.
            `discounted`: likewise, with the discount gamma.
        max_grad_norm: the gradient's norm is clipped to this; null leaves it.
    """

    num_episodes: Annotated[PositiveInt, Field(le=1_000_000)] = 64
    variant: Literal["plain", "baseline", "reward_to_go", "discounted"] = "discounted"
    learning_rate: PositiveFloat = 1e-3
    learning_rate_schedule: Schedule = "linear"
    max_grad_norm: PositiveFloat | None = None


class HindsightSettings(Settings):
    """Hindsight experience replay (Andrychowicz et al. 2017, arXiv 1707.01495), for tasks with a described goal.

    Attributes:
        strategy: of section 4.5: the new goal is what is achieved in a `future` step of the same episode, or in the
            `final` one.
        goals: k of section 4.5: k of k + 1 sampled transitions get a new goal.
    """

    strategy: Literal["future", "final"] = "future"
    goals: PositiveInt = 4


class OffPolicyHyperparameters(Settings):
    """What all learners from a replay buffer have in common.

    Attributes:
        batch_size: minibatch, transitions.
        buffer_size: transitions kept, of all rows together.
        buffer_init_steps: transitions of uniformly random actions before anything is learned.
        tau: the target networks' share of the learned ones after each gradient step.
        steps_per_update: transitions, of all rows together, for one gradient step.
        save_replay_buffer: the newest checkpoint holds the buffer, so that --resume is exact; false in ML-Agents.
        reward_signal_steps_per_update: transitions for one gradient step of what intrinsic rewards are learned by; null
            takes steps_per_update.
        reward_signal_num_update: the same, in ML-Agents' documentation.
        hindsight: relabel transitions with goals that were reached; null does not.
    """

    batch_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 128
    buffer_size: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 50_000
    buffer_init_steps: Annotated[int, Field(ge=0)] = 0
    learning_rate: PositiveFloat = 3e-4
    learning_rate_schedule: Schedule = "constant"
    tau: Annotated[float, Field(gt=0, le=1)] = 0.005
    steps_per_update: PositiveFloat = 1.0
    save_replay_buffer: bool = True
    reward_signal_steps_per_update: PositiveFloat | None = None
    reward_signal_num_update: PositiveFloat | None = None
    hindsight: HindsightSettings | None = None

    @property
    def steps_per_signal_update(self) -> float:
        """Transitions, of all rows together, for one gradient step of every intrinsic reward."""
        return self.reward_signal_steps_per_update or self.reward_signal_num_update or self.steps_per_update

    @model_validator(mode="after")
    def _buffer_is_large_enough(self) -> Self:
        for name, wanted in (("batch_size", self.batch_size), ("buffer_init_steps", self.buffer_init_steps)):
            if wanted > self.buffer_size:
                raise ValueError(f"{name} {wanted} is larger than buffer_size {self.buffer_size}")
        return self


class NoiseSettings(Settings):
    """Noise that a deterministic policy explores with.

    Attributes:
        type: drawn anew in every step, or a process that remembers.
        std: standard deviation of what is drawn in a step; actions reach from -1 to 1.
        theta: how much of it an Ornstein-Uhlenbeck process forgets in a step.
        random_share: of the steps, a uniformly random action takes the place of policy and noise in so many
            (Andrychowicz et al. 2017, section 4.1; 0.3 in Plappert et al. 2018, arXiv 1802.09464).
    """

    type: Literal["gaussian", "ornstein_uhlenbeck"] = "gaussian"
    std: NonNegativeFloat = 0.1
    theta: Annotated[float, Field(gt=0, le=1)] = 0.15
    random_share: Fraction = 0.0


class DdpgHyperparameters(OffPolicyHyperparameters):
    """Deep deterministic policy gradient (Lillicrap et al. 2015, arXiv 1509.02971).

    Attributes:
        noise: what is added to the policy's actions while it learns.
        reward_range: the least and the most that a step pays, times the reward's strength; the critic's targets are
            clipped to what an endless sum of these comes to, [low, high] / (1 - gamma), as section A of Andrychowicz
            et al. 2017 does. null leaves them as they are.
        action_penalty: c of what the actor minimises beside -Q, c mean(mu(s)^2), which keeps tanh from saturating;
            1 in Plappert et al. 2018, arXiv 1802.09464.
    """

    noise: NoiseSettings = NoiseSettings()
    reward_range: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = None
    action_penalty: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _range_has_a_least_and_a_most(self) -> Self:
        if self.reward_range is not None and self.reward_range[0] > self.reward_range[1]:
            raise ValueError(f"reward_range {self.reward_range}: the least comes first")
        return self


class Td3Hyperparameters(DdpgHyperparameters):
    """Twin delayed DDPG (Fujimoto et al. 2018, arXiv 1802.09477).

    Attributes:
        policy_delay: d of algorithm 1: gradient steps of the critics for one of the actor.
        target_noise_std: sigma tilde, of the noise on the target policy's actions.
        target_noise_clip: c, the most of it.
    """

    policy_delay: PositiveInt = 2
    target_noise_std: NonNegativeFloat = 0.2
    target_noise_clip: NonNegativeFloat = 0.5


class SacHyperparameters(OffPolicyHyperparameters):
    """Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905), of choices as in Christodoulou 2019, 1910.07207.

    Attributes:
        init_entcoef: alpha to begin with, the factor of every entropy, that of the numbers and those of the branches;
            each is then learned.
    """

    init_entcoef: PositiveFloat = 1.0


class PrioritySettings(Settings):
    """Prioritised replay (Schaul et al. 2016, arXiv 1511.05952), the proportional variant.

    Attributes:
        alpha: how much priority counts, eq. 1; 0 samples uniformly.
        beta: exponent of the importance weights to begin with, section 3.4; at the end of training it is 1.
    """

    alpha: Fraction = 0.6
    beta: Fraction = 0.4


class DqnHyperparameters(OffPolicyHyperparameters):
    """Deep Q-network (Mnih et al. 2015, doi 10.1038/nature14236); dueling is one of the network_settings.

    Attributes:
        tau: the target network's share of the learned one whenever it follows; 1 copies.
        target_update_interval: C of algorithm 1, gradient steps for which the target network is frozen.
        exploration_initial_eps: epsilon, the share of random actions, to begin with.
        exploration_final_eps: epsilon to end with.
        exploration_fraction: share of max_steps in which epsilon falls.
        loss: `huber` clips the error of an action value to [-1, 1], as in the paper; or half its `square`.
        max_grad_norm: the gradient's norm is clipped to this; null leaves it.
        double: the learned network chooses the action that the target network values (van Hasselt et al. 2015).
        n_step: rewards that are summed before the value of what follows is taken (Sutton 1988).
        prioritized: sample what was surprising more often; null samples uniformly.
    """

    tau: Annotated[float, Field(gt=0, le=1)] = 1.0
    target_update_interval: PositiveInt = 1000
    exploration_initial_eps: Fraction = 1.0
    exploration_final_eps: Fraction = 0.05
    exploration_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
    loss: Literal["huber", "square"] = "huber"
    max_grad_norm: PositiveFloat | None = 10.0
    double: bool = False
    n_step: Annotated[PositiveInt, Field(le=1000)] = 1
    prioritized: PrioritySettings | None = None

    @model_validator(mode="after")
    def _one_goal_at_a_time(self) -> Self:
        if self.hindsight is not None and self.n_step > 1:
            raise ValueError(f"hindsight relabels single transitions: n_step has to be 1, not {self.n_step}")
        return self


TrainerType = Literal["reinforce", "a2c", "a3c", "ppo", "dqn", "ddpg", "td3", "sac"]
Hyperparameters = (
    ReinforceHyperparameters
    | A2cHyperparameters
    | A3cHyperparameters
    | PpoHyperparameters
    | DqnHyperparameters
    | DdpgHyperparameters
    | Td3Hyperparameters
    | SacHyperparameters
)
HYPERPARAMETERS: dict[str, type[Hyperparameters]] = {
    "reinforce": ReinforceHyperparameters,
    "a2c": A2cHyperparameters,
    "a3c": A3cHyperparameters,
    "ppo": PpoHyperparameters,
    "dqn": DqnHyperparameters,
    "ddpg": DdpgHyperparameters,
    "td3": Td3Hyperparameters,
    "sac": SacHyperparameters,
}
