"""Curiosity, RND and GAIL where more than vectors is seen."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers import difference
from trainers.actors import ActionShape
from trainers.imitation.demonstrations import Shown
from trainers.imitation.gail import Gail
from trainers.intrinsic import IntrinsicReward, Transitions
from trainers.normalizer import Normalizer, RowNormalizer
from trainers.observation import Observation, Sensor
from trainers.settings import BehaviorSettings

CPU = torch.device("cpu")
IMAGE, THINGS = Sensor("camera", (1, 20, 20)), Sensor("things", (2, 3))
ALL = Observation((IMAGE, Sensor("pose", (2,)), THINGS, Sensor("speed", (1,))), signals=3)
VECTORS = torch.tensor([400, 401, 408])
NAMES = ["rnd", "curiosity", "gail"]


pytestmark = pytest.mark.usefixtures("one_thread")


def make(name: str, observed: Observation = ALL, **more: Any) -> IntrinsicReward:
    signal = {"network_settings": {"hidden_units": 16, "num_layers": 1}, "learning_rate": 3e-3} | more
    if name == "gail":
        signal |= {"demo_path": "a.demo", "use_actions": True}
    settings = BehaviorSettings.model_validate({"reward_signals": {name: signal}}).reward_signals.intrinsic[name]
    torch.manual_seed(0)
    return IntrinsicReward(name, observed, ActionShape(2), 4, settings, 0, CPU)


def rows(seed: int, steps: int = 8, *, bright: bool = False) -> Tensor:
    """(T, 4, D): noisy images, of which the left half is bright or not, vectors, and one or two things."""
    rng = torch.Generator().manual_seed(seed)
    image = 0.2 * torch.rand(steps, 4, 20, 20, generator=rng)
    image[..., :10] += 0.6 * bright
    rest = 50.0 + 10.0 * torch.randn(steps, 4, 9, generator=rng)
    rest[..., 2:8] = 0.1 * rest[..., 2:8] - 5.0  # things go in as they are
    rest[..., 5:8] *= torch.rand(steps, 4, 1, generator=rng).round()
    return torch.cat((image.flatten(2), rest), dim=-1)


def rollout(seed: int, **more: Any) -> Transitions:
    return Transitions(rows(seed, **more), torch.zeros(*rows(seed, **more).shape[:2], 2), rows(seed + 1000, **more))


def flat(rollout: Transitions) -> Transitions:
    return Transitions(*(part.flatten(0, 1) for part in rollout))


def images(rollout: Transitions) -> Transitions:
    return rollout._replace(obs=rollout.obs[..., :400], next_obs=rollout.next_obs[..., :400])


def test_vectors_alone_are_standardised_and_what_is_absent_stays_absent() -> None:
    seen, normalizer, plain = rows(0).flatten(0, 1), RowNormalizer(ALL), Normalizer(3)
    normalizer.update(seen)
    plain.update(seen[:, VECTORS])
    standard = normalizer(seen)
    assert torch.equal(standard[:, VECTORS], plain(seen[:, VECTORS]))
    kept = torch.ones(409, dtype=torch.bool)
    kept[VECTORS] = False
    assert torch.equal(standard[:, kept], seen[:, kept])
    assert normalizer.state_dict().keys() == plain.state_dict().keys()


def test_rows_of_vectors_are_standardised_as_ever() -> None:
    seen, normalizer, plain = torch.randn(6, 3) * 5 + 2, RowNormalizer(3), Normalizer(3)
    for of in (normalizer, plain):
        of.update(seen)
    assert torch.equal(normalizer(seen), plain(seen))
    assert difference(normalizer.state_dict(), plain.state_dict()) == ""


@pytest.mark.parametrize("name", ["rnd", "curiosity"])
def test_novelty_falls_where_the_camera_has_looked_and_stays_elsewhere(name: str) -> None:
    signal = make(name, Observation((IMAGE,)))
    dark, bright = images(rollout(1)), images(rollout(2, bright=True))
    signal.reward(dark, torch.ones(8, 4, dtype=torch.bool))
    with torch.no_grad():
        new = float(signal.model.reward(dark).mean())
    for seed in range(10, 40):
        signal.update(images(flat(rollout(seed))), batch_size=32, num_epoch=2)
    with torch.no_grad():
        known, still_new = (float(signal.model.reward(part).mean()) for part in (dark, bright))
    assert known < 0.1 * new
    assert still_new > 10 * known


def test_a_discriminator_tells_by_the_image_what_was_shown() -> None:
    signal = make("gail")
    assert isinstance(signal.model, Gail)
    shown, policy = flat(rollout(3, steps=32, bright=True)), rollout(4, steps=32)
    signal.model.show(Shown(*shown[:2]), CPU)
    for _ in range(12):
        signal.reward(policy, torch.ones(32, 4, dtype=torch.bool))
        signal.update(flat(policy), batch_size=64, num_epoch=2)
    with torch.no_grad():
        paid = [float(signal.model.reward(rollout(seed, bright=seed == 5)).mean()) for seed in (5, 6)]
    assert paid[0] > 2 * paid[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sensors", [(IMAGE,), (THINGS,)], ids=["image", "things"])
def test_without_any_vector_there_is_a_reward_and_something_to_learn(name: str, sensors: tuple[Sensor, ...]) -> None:
    signal = make(name, Observation(sensors))
    where = slice(0, 400) if sensors[0] is IMAGE else slice(402, 408)
    seen = rollout(0)
    seen = seen._replace(obs=seen.obs[..., where], next_obs=seen.next_obs[..., where])
    if isinstance(signal.model, Gail):
        signal.model.show(Shown(*flat(seen)[:2]), CPU)
    rew = signal.reward(seen, torch.ones(8, 4, dtype=torch.bool))
    assert rew.shape == (8, 4)
    assert rew.isfinite().all()
    assert all(math.isfinite(loss) for loss in signal.update(flat(seen), batch_size=16, num_epoch=1).values())
