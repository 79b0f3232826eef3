"""Exploration noise has the variance and the memory of its process."""

import numpy as np
import pytest
import torch

from trainers.hyperparameters import NoiseSettings
from trainers.noise import Noise

STD, THETA = 0.2, 0.15


def series(kind: str, steps: int, rows: int = 400) -> np.ndarray:
    """(steps, rows)."""
    noise = Noise(NoiseSettings.model_validate({"type": kind, "std": STD, "theta": THETA}), rows, 1)
    generator = torch.Generator().manual_seed(0)
    return np.stack([noise.draw(generator)[:, 0].clone().numpy() for _ in range(steps)])


def test_ornstein_uhlenbeck_noise_tends_to_its_stationary_variance() -> None:
    late = series("ornstein_uhlenbeck", 400)[100:]
    assert late.var() == pytest.approx(STD**2 / (1 - (1 - THETA) ** 2), rel=0.02)
    assert late.mean() == pytest.approx(0, abs=0.01)


def test_ornstein_uhlenbeck_noise_forgets_theta_of_itself_in_a_step() -> None:
    late = series("ornstein_uhlenbeck", 400)[100:]
    assert (late[1:] * late[:-1]).mean() / late.var() == pytest.approx(1 - THETA, abs=0.01)


def test_an_episodes_noise_begins_with_one_draw() -> None:
    assert series("ornstein_uhlenbeck", 1, rows=100_000).std() == pytest.approx(STD, rel=0.02)


def test_gaussian_noise_remembers_nothing() -> None:
    drawn = series("gaussian", 400)
    assert drawn.std() == pytest.approx(STD, rel=0.01)
    assert (drawn[1:] * drawn[:-1]).mean() == pytest.approx(0, abs=0.001)


def test_only_the_rows_that_restart_forget() -> None:
    noise = Noise(NoiseSettings(type="ornstein_uhlenbeck", std=1.0, theta=0.5), 2, 1)
    before = noise.draw(torch.Generator().manual_seed(0))[:, 0].tolist()
    noise.restart(torch.tensor([True, False]))
    after = noise.draw(torch.Generator().manual_seed(1))[:, 0].tolist()
    fresh = torch.randn(2, 1, generator=torch.Generator().manual_seed(1))[:, 0].tolist()
    assert after == pytest.approx([fresh[0], fresh[1] + 0.5 * before[1]])
