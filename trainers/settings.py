"""The YAML of a run: ML-Agents' schema with its defaults, and what this project adds to it.

Knobs keep ML-Agents' names here; docstrings give the literature's.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from reward_shaping.fields import Fraction
from reward_shaping.settings import RewardSettings
from trainers.hyperparameters import (
    HYPERPARAMETERS,
    MAX_SAMPLES,
    Hyperparameters,
    OffPolicyHyperparameters,
    TrainerType,
)
from unity_env.settings import (
    MAX_SEED,
    EngineSettings,
    EnvironmentParameter,
    EnvSettings,
    Int,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Settings,
    SignalSlice,
)

Discount = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[Int, Field(ge=0)]


def _no_self_play(value: Any) -> None:
    if value is not None:
        raise ValueError("self-play is out of scope here; without this key the agents of all teams act as in the scene")


def _no_poca(value: Any) -> Any:
    if value == "poca":
        raise ValueError(
            "poca, which trains groups of agents, is out of scope here; ppo trains each agent by its own reward"
        )
    return value


class MemorySettings(Settings):
    """A recurrent network's memory.

    Attributes:
        sequence_length: samples in a row through which gradients flow back.
        memory_size: numbers that are remembered; an LSTM's output makes half of them, its cell the other half.
    """

    sequence_length: Annotated[PositiveInt, Field(le=MAX_SAMPLES)] = 64
    memory_size: Annotated[PositiveInt, Field(le=16_384, multiple_of=2)] = 128


class NetworkSettings(Settings):
    """Shape of a network.

    Attributes:
        normalize: standardise observations by running statistics.
        memory: an LSTM behind the hidden layers; null remembers nothing.
        activation: of the hidden layers; ML-Agents knows swish only.
        dueling: dqn's action values are a state's value and the choices' advantages (Wang et al. 2016).
    """

    normalize: bool = False
    hidden_units: Annotated[PositiveInt, Field(le=16_384)] = 128
    num_layers: Annotated[PositiveInt, Field(le=64)] = 2
    vis_encode_type: Literal["fully_connected", "match3", "simple", "nature_cnn", "resnet"] = "simple"
    memory: MemorySettings | None = None
    goal_conditioning_type: Literal["hyper", "none"] = "hyper"
    deterministic: bool = False
    activation: Literal["swish", "relu", "leaky_relu", "tanh", "elu"] = "swish"
    dueling: bool = False


class ExtrinsicSettings(Settings):
    """The task's reward: discount and factor."""

    gamma: Discount = 0.99
    strength: NonNegativeFloat = 1.0
    network_settings: NetworkSettings = NetworkSettings()


class IntrinsicSettings(Settings):
    """A reward for what is new to the agent, with a value head of its own.

    Attributes:
        gamma: discount; it knows no end of an episode, so that it must be below 1.
        strength: factor of it; 0 computes, learns and logs the reward without counting it.
        network_settings: of its own networks.
        learning_rate: of its own networks.
    """

    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.99
    strength: NonNegativeFloat = 1.0
    network_settings: NetworkSettings = NetworkSettings()
    learning_rate: PositiveFloat = 3e-4

    @model_validator(mode="before")
    @classmethod
    def _read_encoding_size(cls, data: Any) -> Any:
        """Read ML-Agents' older name of hidden_units, which counts where there are no network_settings."""
        if not isinstance(data, dict) or "encoding_size" not in data:
            return data
        rest = {key: value for key, value in data.items() if key != "encoding_size"}
        return {"network_settings": {"hidden_units": data["encoding_size"]}} | rest


class RndSettings(IntrinsicSettings):
    """Random network distillation, which learns more slowly in ML-Agents."""

    learning_rate: PositiveFloat = 1e-4


class GailSettings(IntrinsicSettings):
    """A reward for what looks like the demonstrations.

    Attributes:
        gamma: discount; unlike novelty, it ends with the episode.
        demo_path: a .demo file, or a folder of them; from the working folder, as in ML-Agents.
        use_actions: the discriminator sees actions, too, and not only what was seen.
        use_vail: what it may know of them is bounded.
    """

    gamma: Discount = 0.99
    demo_path: str
    use_actions: bool = False
    use_vail: bool = False


class CloningSettings(Settings):
    """Supervised learning of what demonstrations do, beside reinforcement learning.

    Attributes:
        demo_path: as in `GailSettings`.
        strength: the learning rate, in units of the trainer's at its start; 0 has no effect.
        steps: of training, after which it has fallen to 0; 0 lets it be.
        samples_per_update: of one pass at most; 0 takes all, or a minibatch where the trainer has a replay buffer.
        num_epoch: passes after every update of the trainer; null takes the trainer's, or 1 where it has none.
        batch_size: minibatch; null takes the trainer's.
    """

    demo_path: str
    strength: NonNegativeFloat = 1.0
    steps: NonNegativeInt = 0
    samples_per_update: NonNegativeInt = 0
    num_epoch: PositiveInt | None = None
    batch_size: PositiveInt | None = None


class RewardSignals(Settings):
    """ML-Agents' reward signals.

    Attributes:
        extrinsic: the task's own; where others are given and this one is not, its strength is 0, as in ML-Agents.
        curiosity: the intrinsic curiosity module (Pathak et al. 2017, arXiv 1705.05363).
        rnd: random network distillation (Burda et al. 2018, arXiv 1810.12894).
        gail: generative adversarial imitation learning (Ho & Ermon 2016, arXiv 1606.03476).
    """

    extrinsic: ExtrinsicSettings = ExtrinsicSettings()
    curiosity: IntrinsicSettings | None = None
    rnd: RndSettings | None = None
    gail: GailSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_named(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "extrinsic" in data or all(value is None for value in data.values()):
            return data
        return {"extrinsic": {"strength": 0.0}, **data}

    @property
    def intrinsic(self) -> dict[str, IntrinsicSettings]:
        """Those that are wanted beside the task's own, by name."""
        wanted = {"curiosity": self.curiosity, "rnd": self.rnd, "gail": self.gail}
        return {name: settings for name, settings in wanted.items() if settings is not None}


class BehaviorSettings(Settings):
    """How one behavior is trained.

    Attributes:
        trainer_type: the algorithm.
        hyperparameters: of the algorithm.
        checkpoint_interval: steps between checkpoints.
        time_horizon: GAE traces are cut after so many steps.
        max_steps: steps of all rows together.
        summary_freq: steps between two lines of the log.
        behavioral_cloning: learning from demonstrations, beside the rewards.
        signals: names for parts of the observed sensors of a build that has no `signals` sensor.
        reward_shaping: the reward function, or the name of a file that holds it; left out, the
            environment's own reward.
        critic_observations: `signals` lets the critic read the signals beside what the policy sees; null does not.
        per_term_critic: one value head per reward term; the advantages are summed, and each term's share is logged.
    """

    chosen_by: ClassVar = {"hyperparameters": ("trainer_type", "ppo", HYPERPARAMETERS)}

    trainer_type: Annotated[TrainerType, BeforeValidator(_no_poca)] = "ppo"
    hyperparameters: Hyperparameters = Field(default={}, validate_default=True)  # those of the trainer
    network_settings: NetworkSettings = NetworkSettings()
    reward_signals: RewardSignals = RewardSignals()
    checkpoint_interval: PositiveInt = 500_000
    keep_checkpoints: PositiveInt = 5
    even_checkpoints: bool = False
    max_steps: PositiveInt = 500_000
    time_horizon: PositiveInt = 64
    summary_freq: PositiveInt = 50_000
    threaded: bool = False
    init_path: str | None = None
    self_play: Annotated[None, BeforeValidator(_no_self_play)] = None
    behavioral_cloning: CloningSettings | None = None
    signals: dict[str, SignalSlice] = Field(default={})
    reward_shaping: RewardSettings | None = None
    critic_observations: Literal["signals"] | None = None
    per_term_critic: bool = False

    @field_validator("hyperparameters", mode="wrap")
    @classmethod
    def _of_the_trainer(cls, value: Any, _: Any, info: ValidationInfo) -> Hyperparameters:
        kind = HYPERPARAMETERS[info.data.get("trainer_type", "ppo")]
        return value if isinstance(value, kind) else kind.model_validate(value)

    @field_validator("critic_observations")
    @classmethod
    def _critic_has_an_encoder_of_its_own(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and getattr(info.data.get("hyperparameters"), "shared_critic", False):
            raise ValueError("the policy would read the signals, too: shared_critic has to be false")
        return value

    @field_validator("per_term_critic")
    @classmethod
    def _terms_add_up(cls, value: bool, info: ValidationInfo) -> bool:
        shaping = info.data.get("reward_shaping")
        if value and shaping is not None and shaping.only_positive:
            raise ValueError(
                "a reward with only_positive is clipped, and so no sum of its terms; leave one of them out"
            )
        return value

    @model_validator(mode="after")
    def _steps_are_left_to_learn(self) -> Self:
        hyper = self.hyperparameters
        if isinstance(hyper, OffPolicyHyperparameters):
            first = hyper.buffer_init_steps + hyper.steps_per_update
            if first > self.max_steps:
                raise ValueError(
                    f"max_steps {self.max_steps} ends before anything is learned, which begins after "
                    f"buffer_init_steps + steps_per_update = {first:g}"
                )
        return self

    @model_validator(mode="after")
    def _sequences_fit_a_batch(self) -> Self:
        memory, hyper = self.network_settings.memory, self.hyperparameters
        key = "batch_size" if hasattr(hyper, "batch_size") else "buffer_size"
        size = getattr(hyper, key, None)
        if memory is not None and size is not None and memory.sequence_length > size:
            raise ValueError(
                f"network_settings.memory.sequence_length {memory.sequence_length} is longer than {key} {size}"
            )
        return self

    @model_validator(mode="after")
    def _returns_are_bounded(self) -> Self:
        bounded = getattr(self.hyperparameters, "reward_range", None) is not None
        if bounded and self.reward_signals.extrinsic.gamma == 1.0:
            raise ValueError("hyperparameters.reward_range bounds no sum of rewards without a gamma below 1")
        return self

    @property
    def save_every(self) -> int:
        """Steps between checkpoints, `even_checkpoints` taken into account."""
        return max(1, self.max_steps // self.keep_checkpoints) if self.even_checkpoints else self.checkpoint_interval


class EvaluationSettings(Settings):
    """Separate episodes that measure the deterministic policy.

    Attributes:
        interval: training steps between two evaluations.
        episodes: episodes of each, always the same ones.
        seed: of those episodes.
        success_threshold: training stops when an evaluation's success reaches this; null never stops.
        final_episodes: episodes of the evaluation after training.
        final_seed: their seed, held out from everything before.
    """

    interval: PositiveInt = 100_000
    episodes: PositiveInt = 100
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 1_000_000
    success_threshold: Fraction | None = None
    final_episodes: PositiveInt = 200
    final_seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 2_000_000


class CheckpointSettings(Settings):
    """Names and modes of a run.

    Attributes:
        load_model: ML-Agents' older name of `resume`.
        resume: go on from the run's newest checkpoint.
        train_model: of ML-Agents' older versions: training is the default.
        inference: let the policies act, and learn nothing.
    """

    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "ppo"
    initialize_from: str | None = None
    load_model: bool = False
    resume: bool = False
    force: bool = False
    train_model: bool = False
    inference: bool = False
    results_dir: str = "results"

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.resume and self.force:
            raise ValueError("resume goes on with a run, force overwrites it; leave one of them out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _read_load_model(cls, data: Any) -> Any:
        """Read ML-Agents' older name of resume."""
        return {**data, "resume": True} if isinstance(data, dict) and data.get("load_model") is True else data


class WandbSettings(Settings):
    """Weights & Biases, beside TensorBoard.

    Attributes:
        project: that the run belongs to.
        entity: whose project; null takes the user's own.
        mode: `offline` keeps the files in the run's folder, for `wandb sync`.
    """

    project: str = "unity-robot-rl"
    entity: str | None = None
    mode: Literal["online", "offline", "disabled"] = "online"


class TorchSettings(Settings):
    """Where and how torch computes.

    Attributes:
        device: cpu, cuda, cuda:1 ...; null takes cuda where there is one.
        threads: of torch's own operations; small networks lose more by waiting for a second one than it brings.
    """

    device: str | None = None
    threads: Annotated[PositiveInt, Field(le=1024)] = 1


class RunSettings(Settings):
    """One YAML file: one run.

    Attributes:
        default_settings: of behaviors that the file does not name, and below those of the others; null leaves the
            scene's other behaviors alone.
        wandb: log to Weights & Biases, too.
        debug: log more to standard error.
    """

    default_settings: BehaviorSettings | None = None
    behaviors: dict[str, BehaviorSettings] = Field(default={}, validate_default=True)
    env_settings: EnvSettings = EnvSettings()
    engine_settings: EngineSettings = EngineSettings()
    environment_parameters: dict[str, EnvironmentParameter] = Field(default={})
    checkpoint_settings: CheckpointSettings = CheckpointSettings()
    torch_settings: TorchSettings = TorchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    wandb: WandbSettings | None = None
    debug: bool = False

    @field_validator("behaviors")
    @classmethod
    def _something_is_trained(
        cls, value: dict[str, BehaviorSettings], info: ValidationInfo
    ) -> dict[str, BehaviorSettings]:
        if not value and info.data.get("default_settings") is None:
            raise ValueError("name behaviors of the scene, or give default_settings for all of them")
        return value

    def reads_signals(self, name: str) -> bool:
        """Return whether a behavior's critics read signals."""
        return self.with_behavior(name).behaviors[name].critic_observations is not None

    def with_behavior(self, name: str) -> Self:
        """Return these settings, with default_settings for a behavior that they do not name."""
        if name in self.behaviors:
            return self
        return self.model_copy(update={"behaviors": {**self.behaviors, name: self.default_settings}})
