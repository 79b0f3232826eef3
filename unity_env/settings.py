"""env_settings, engine_settings and environment_parameters: ML-Agents' keys and defaults, and a few of ours."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)


class Settings(BaseModel):
    """Strict and frozen: an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Int = Annotated[int, BeforeValidator(_whole)]
MAX_SEED = 2**31 - 1  # what ML-Agents' protocol can carry
Seed = Annotated[Int, Field(ge=-1, le=MAX_SEED)]
PositiveInt = Annotated[int, BeforeValidator(_whole), Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class EnvSettings(Settings):
    """What simulates, and how many copies of it.

    Attributes:
        env_path: `sim:<task>` for the embedded simulation, else a Unity player.
        num_envs: simulations side by side; with `sim:` they are rows of one batch.
        base_port: of the first player; null finds free ports (5004 for the Editor).
        num_areas: agents in one simulation.
        seed: -1 draws one.
        task: the described task whose sensors the player has; `sim:<task>` knows its own.
        side_channels: one's own, as package.module:Class, of the Python path or the current folder.
        sim_threads: threads of the embedded simulation, 0 for all cores; results do not depend on it.
    """

    env_path: str | None = None
    env_args: list[str] | None = None
    base_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    num_envs: Annotated[PositiveInt, Field(le=1024)] = 1
    num_areas: Annotated[PositiveInt, Field(le=65_536)] = 1
    timeout_wait: PositiveInt = 60
    seed: Seed = -1
    max_lifetime_restarts: Annotated[int, Field(ge=-1)] = 10
    restarts_rate_limit_n: Annotated[int, Field(ge=-1)] = 1
    restarts_rate_limit_period_s: PositiveInt = 60
    task: str | None = None
    side_channels: list[str] = []
    sim_threads: Annotated[int, Field(ge=0, le=1024)] = 0

    @property
    def sim_task(self) -> str | None:
        """Name of the embedded task, None where env_path means a Unity player."""
        return self.env_path.removeprefix("sim:") if self.env_path and self.env_path.startswith("sim:") else None


class EngineSettings(Settings):
    """Unity's rendering and clock."""

    width: PositiveInt = 84
    height: PositiveInt = 84
    quality_level: Annotated[int, Field(ge=0, le=5)] = 5
    time_scale: PositiveFloat = 20
    target_frame_rate: Annotated[int, Field(ge=-1)] = -1
    capture_frame_rate: Annotated[int, Field(ge=0)] = 60
    no_graphics: bool = False
    no_graphics_monitor: bool = False


class SignalSlice(Settings):
    """A named part of a build's vector sensor, for builds that have no `signals` sensor.

    Attributes:
        sensor: name of the sensor.
        start: index of the first value.
        size: number of values.
    """

    sensor: str
    start: Annotated[int, Field(ge=0)] = 0
    size: PositiveInt = 1


class ConstantParameters(Settings):
    """One value."""

    value: Finite = 0.0
    seed: Seed = -1


class UniformParameters(Settings):
    """Uniform on [min_value, max_value]."""

    min_value: Finite = 0.0
    max_value: Finite = 1.0
    seed: Seed = -1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_value > self.max_value:
            raise ValueError(f"min_value {self.min_value:g} is above max_value {self.max_value:g}")
        return self


class GaussianParameters(Settings):
    """Normal."""

    mean: Finite = 1.0
    st_dev: NonNegativeFloat = 1.0
    seed: Seed = -1


def _ascending(interval: list[float]) -> list[float]:
    low, high = interval
    if low > high:
        raise ValueError(f"the interval [{low:g}, {high:g}] begins above its end")
    return interval


Range = Annotated[list[Finite], Field(min_length=2, max_length=2), AfterValidator(_ascending)]


class MultiRangeUniformParameters(Settings):
    """Uniform on a union of intervals; overlaps count twice, as in ML-Agents."""

    intervals: Annotated[list[Range], Field(min_length=1)] = [[0.0, 1.0]]
    seed: Seed = -1

    @model_validator(mode="after")
    def _have_width(self) -> Self:
        if all(low == high for low, high in self.intervals):
            raise ValueError("the intervals have no width, so that none can be chosen by it")
        return self


class ConstantSampler(Settings):
    """ML-Agents' `constant`."""

    sampler_type: Literal["constant"]
    sampler_parameters: ConstantParameters = ConstantParameters()


class UniformSampler(Settings):
    """ML-Agents' `uniform`."""

    sampler_type: Literal["uniform"]
    sampler_parameters: UniformParameters = UniformParameters()


class GaussianSampler(Settings):
    """ML-Agents' `gaussian`."""

    sampler_type: Literal["gaussian"]
    sampler_parameters: GaussianParameters = GaussianParameters()


class MultiRangeUniformSampler(Settings):
    """ML-Agents' `multirangeuniform`."""

    sampler_type: Literal["multirangeuniform"]
    sampler_parameters: MultiRangeUniformParameters = MultiRangeUniformParameters()


Sampler = Annotated[
    ConstantSampler | UniformSampler | GaussianSampler | MultiRangeUniformSampler, Field(discriminator="sampler_type")
]


def _value_kind(value: Any) -> str:
    return "sampler" if isinstance(value, dict | Settings) else "number"


Value = Annotated[Annotated[Finite, Tag("number")] | Annotated[Sampler, Tag("sampler")], Discriminator(_value_kind)]


class CompletionCriteria(Settings):
    """When a lesson is over: when its measure is above the threshold.

    Attributes:
        behavior: whose training is measured.
        measure: `reward`: the mean return of the last min_lesson_length episodes; `success` (ours): the part of
            them that was solved; `progress`: steps done over max_steps.
        min_lesson_length: episodes that the lesson takes at least.
        signal_smoothing: weigh the measure 0.75, and what it came to the time before 0.25; not for `progress`.
        threshold: a fraction for `success` and `progress`.
        require_reset: begin all episodes anew when the next lesson begins.
    """

    behavior: str
    measure: Literal["reward", "progress", "success"] = "reward"
    min_lesson_length: Annotated[Int, Field(ge=0, le=1_000_000_000)] = 0
    signal_smoothing: bool = True
    threshold: Finite = 0.0
    require_reset: bool = False

    @model_validator(mode="after")
    def _threshold_can_be_passed(self) -> Self:
        if self.measure != "reward" and not 0.0 <= self.threshold < 1.0:
            raise ValueError(f"threshold {self.threshold:g}: {self.measure} is a fraction, and has to get above it")
        return self


class Lesson(Settings):
    """One step of a curriculum; all but the last need completion criteria."""

    name: str
    value: Value
    completion_criteria: CompletionCriteria | None = None


class Curriculum(Settings):
    """Lessons in order."""

    curriculum: Annotated[list[Lesson], Field(min_length=1)]


def _parameter_kind(value: Any) -> str:
    if isinstance(value, Curriculum) or (isinstance(value, dict) and "curriculum" in value):
        return "curriculum"
    return _value_kind(value)


EnvironmentParameter = Annotated[
    Annotated[Finite, Tag("number")] | Annotated[Sampler, Tag("sampler")] | Annotated[Curriculum, Tag("curriculum")],
    Discriminator(_parameter_kind),
]
