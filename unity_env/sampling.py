"""ML-Agents' samplers of environment parameters.

Their `seed` is for Unity players. In the embedded simulation an episode draws from its own random numbers, so
that it is a function of the environment's seed, its row and its number, whatever was drawn before.
"""

import numpy as np

from unity_env.settings import (
    ConstantSampler,
    GaussianSampler,
    MultiRangeUniformSampler,
    Sampler,
    UniformSampler,
)


def draw(value: float | Sampler, rng: np.random.Generator) -> float:
    """Draw a parameter's value for one episode; a number is itself."""
    match value:
        case UniformSampler(sampler_parameters=of):
            return float(rng.uniform(of.min_value, of.max_value))
        case GaussianSampler(sampler_parameters=of):
            return float(rng.normal(of.mean, of.st_dev))
        case MultiRangeUniformSampler(sampler_parameters=of):
            widths = [high - low for low, high in of.intervals]
            at = float(rng.uniform(0.0, sum(widths)))
            for (low, _), width in zip(of.intervals[:-1], widths, strict=False):
                if at < width:
                    return low + at
                at -= width
            return min(of.intervals[-1][0] + at, of.intervals[-1][1])
        case ConstantSampler(sampler_parameters=of):
            return of.value
    return value


def support(value: float | Sampler) -> tuple[float, float]:
    """Return the smallest interval that holds every value `draw` can return; a Gaussian's is its mean alone.

    A Gaussian has no bounds: whoever uses its values must clip them.
    """
    match value:
        case UniformSampler(sampler_parameters=of):
            return of.min_value, of.max_value
        case GaussianSampler(sampler_parameters=of):
            return of.mean, of.mean
        case MultiRangeUniformSampler(sampler_parameters=of):
            ends = [end for interval in of.intervals for end in interval]
            return min(ends), max(ends)
        case ConstantSampler(sampler_parameters=of):
            return of.value, of.value
    return value, value
