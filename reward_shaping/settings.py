"""The YAML form of a reward: named terms with weights."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class TermSettings(BaseModel):
    """One named term of a reward.

    Attributes:
        term: a key of `reward_shaping.terms.TERMS`.
        signal: the signal it reads, or argument name -> signal where it reads several; left out, each
            argument reads the signal of its own name.
        parameters: the term's numbers, as its function names them.
        weight: factor of the term in the total; its sign says whether the term is wanted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    term: str
    signal: str | dict[str, str] | None = None
    parameters: dict[str, Any] = {}
    weight: float = Field(allow_inf_nan=False)


class RewardSettings(BaseModel):
    """A reward function; the total is the weighted sum of its terms."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    terms: dict[str, TermSettings] = Field(min_length=1)


ENV_REWARD_ONLY = RewardSettings(terms={"env_reward": TermSettings(term="env_reward", weight=1.0)})
