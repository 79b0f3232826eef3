"""Rows of several sensors: how they are cut, encoded and normalised."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers import onnx_difference
from trainers.action_value import ActionValue
from trainers.actors import ActionShape, GaussianActor
from trainers.algorithms import ALGORITHMS, Step
from trainers.attention import EntityAttention
from trainers.choices import make_stochastic_actor
from trainers.export.parity import TOLERANCE
from trainers.export.unity_onnx import inputs_of, write_unity_onnx
from trainers.networks import Critic, Encoder
from trainers.observation import Observation, Sensor, as_observation
from trainers.settings import BehaviorSettings, MemorySettings, NetworkSettings
from trainers.vision import CONVOLUTIONS, SMALLEST, ImageEncoder

IMAGE, VECTOR, BUFFER = Sensor("camera", (3, 36, 40)), Sensor("joints", (4,)), Sensor("things", (5, 2))
ALL = Observation((BUFFER, IMAGE, VECTOR))
TINY = NetworkSettings(hidden_units=8, num_layers=1)


def network(**settings: Any) -> NetworkSettings:
    return NetworkSettings.model_validate({"hidden_units": 8, "num_layers": 1, **settings})


def rows_of(observation: Observation, batch: int = 6) -> Tensor:
    return torch.rand(batch, observation.size)


def test_rows_are_cut_as_they_were_joined() -> None:
    rng = np.random.default_rng(0)
    sent = {sensor.name: rng.random((6, *sensor.shape), np.float32) for sensor in ALL.sensors}
    rows = ALL.rows(sent, {})
    assert rows.shape == (6, 10 + 3 * 36 * 40 + 4)
    for sensor, part in zip(ALL.sensors, ALL.split(torch.from_numpy(rows)), strict=True):
        np.testing.assert_array_equal(part.numpy(), sent[sensor.name])


def test_images_with_their_channels_last_are_turned() -> None:
    pixels = np.random.default_rng(0).random((2, 20, 24, 3), np.float32)
    observation = Observation((Sensor("camera", (3, 20, 24), channels_last=True),))
    (image,) = observation.split(torch.from_numpy(observation.rows(pixels, {})))
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(pixels, 3, 1))


def test_a_single_vector_is_not_copied() -> None:
    obs = np.zeros((2, 3), np.float32)
    assert as_observation(3).rows(obs, {}) is obs


def test_signals_follow_for_critics_alone() -> None:
    observation = Observation((Sensor("observation", (2,)),), signals=3)
    signals = {"a": np.full((4, 1), 7.0), "b": np.full((4, 2), 8.0)}
    rows = observation.rows(np.ones((4, 2), np.float32), signals)
    assert rows.dtype == np.float32
    assert rows[0].tolist() == [1, 1, 7, 8, 8]
    assert (observation.size, observation.width, observation.for_critic().size) == (2, 5, 5)
    actor = GaussianActor(observation, ActionShape(1), TINY)
    changed = torch.from_numpy(rows) + torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0])
    assert torch.equal(actor(torch.from_numpy(rows)), actor(changed))
    critic = Critic(observation.for_critic(), 1, TINY)
    assert not torch.equal(critic(torch.from_numpy(rows)), critic(changed))


def test_an_observation_survives_its_state() -> None:
    observation = Observation((*ALL.sensors, Sensor("old", (1, 4, 5), channels_last=True)), signals=2)
    assert Observation.from_state(observation.state_dict()) == observation


def test_several_vectors_are_read_as_one() -> None:
    several = Observation((Sensor("a", (2,)), Sensor("b", (3,))))
    names = {name for name, _ in Encoder(several, network(normalize=True)).state_dict().items()}
    assert names == {name for name, _ in Encoder(5, network(normalize=True)).state_dict().items()}


@pytest.mark.parametrize("kind", sorted(CONVOLUTIONS))
def test_every_image_encoder_reads_its_smallest_image_and_no_smaller(kind: str) -> None:
    least = SMALLEST[kind]
    encoder = ImageEncoder((2, least, least), 7, kind)
    assert encoder(torch.rand(3, 2, least, least)).shape == (3, 7)
    if kind != "fully_connected":
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            ImageEncoder((2, least - 1, least - 1), 7, kind)


def layers(kind: str) -> list[tuple[int, ...]]:
    """(channels in, channels out, kernel, stride) of the convolutions."""
    convolutions = [part for part in CONVOLUTIONS[kind](3).modules() if isinstance(part, nn.Conv2d)]
    return [(of.in_channels, of.out_channels, of.kernel_size[0], of.stride[0]) for of in convolutions]


def test_convolutions_are_ml_agents() -> None:
    assert layers("simple") == [(3, 16, 8, 4), (16, 32, 4, 2)]
    assert layers("nature_cnn") == [(3, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]
    assert layers("match3") == [(3, 35, 3, 1), (35, 144, 3, 1)]
    resnet = layers("resnet")
    assert len(resnet) == 3 * (1 + 2 * 2)
    assert [resnet[at][:2] for at in (0, 5, 10)] == [(3, 16), (16, 32), (32, 32)]
    flat = {kind: ImageEncoder((3, 84, 84), 4, kind).dense.in_features for kind in CONVOLUTIONS}
    assert flat == {
        "fully_connected": 3 * 84 * 84, "match3": 144 * 80 * 80, "simple": 32 * 9 * 9, "nature_cnn": 64 * 7 * 7,
        "resnet": 32 * 9 * 9,
    }  # fmt: skip


def test_normalisation_touches_vectors_alone() -> None:
    encoder = Encoder(ALL, network(normalize=True))
    normalizer = encoder.normalizer()
    assert normalizer is not None
    assert normalizer.mean.shape == (4,)
    rows = rows_of(ALL, 50)
    rows[:, -4:] = torch.randn(50, 4) * 3 + 7
    encoder.update_normalizer(torch.cat((rows, torch.ones(50, 2)), dim=1))  # masks may follow
    torch.testing.assert_close(normalizer.mean, rows[:, -4:].mean(0))
    assert Encoder(Observation((IMAGE,)), network(normalize=True)).normalizer() is None


def test_many_images_are_encoded_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder, images = ImageEncoder((1, 6, 6), 4, "match3"), torch.rand(7, 1, 6, 6)
    with torch.no_grad():
        expected = encoder(images)
        monkeypatch.setattr("trainers.vision.AT_ONCE", 3)
        torch.testing.assert_close(encoder(images), expected)


@pytest.mark.parametrize("kind", sorted(CONVOLUTIONS))
def test_features_depend_on_every_sensor(kind: str) -> None:
    torch.manual_seed(0)
    encoder, rows = Encoder(ALL, network(vis_encode_type=kind)), rows_of(ALL)
    before = encoder(rows)
    assert before.shape == (6, 8)
    for place in (0, 10 + 700, 10 + 4320):
        changed = rows.clone()
        changed[:, place] += 1.0
        assert not torch.allclose(encoder(changed), before)


def test_sequences_of_rows_keep_their_axes() -> None:
    torch.manual_seed(0)
    encoder, rows = Encoder(ALL, TINY), rows_of(ALL, 6)
    torch.testing.assert_close(encoder(rows.reshape(3, 2, -1)), encoder(rows).reshape(3, 2, -1))


def attention(self_size: int = 3) -> EntityAttention:
    torch.manual_seed(0)
    return EntityAttention([4, 2], self_size)


def entities(batch: int = 5) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, 6, 4), torch.randn(batch, 3, 2)]


def test_the_order_of_entities_does_not_matter() -> None:
    net, (many, few), itself = attention(), entities(), torch.randn(5, 3)
    shuffled = [many[:, torch.randperm(6)], few[:, torch.randperm(3)]]
    torch.testing.assert_close(net(shuffled, itself), net([many, few], itself), atol=1e-5, rtol=1e-4)


def test_padding_does_not_matter() -> None:
    net, (many, few), itself = attention(), entities(), torch.randn(5, 3)
    many[:, 4:] = 0.0
    padded = [torch.cat((many, torch.zeros(5, 9, 4)), dim=1), few]
    torch.testing.assert_close(net(padded, itself), net([many[:, :4], few], itself), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("self_size", [0, 3])
def test_no_entities_at_all_are_zeros_with_a_finite_gradient(self_size: int) -> None:
    net, itself = attention(self_size), torch.randn(5, 3) if self_size else None
    nothing = [torch.zeros(5, 6, 4), torch.zeros(5, 3, 2)]
    features = net(nothing, itself)
    assert features.shape == (5, 128)
    assert not features.any()
    features.sum().backward()
    assert all(of.grad is None or of.grad.isfinite().all() for of in net.parameters())


def test_entities_matter_and_so_does_who_sees_them() -> None:
    net, (many, few), itself = attention(), entities(), torch.randn(5, 3)
    before = net([many, few], itself)
    assert not torch.allclose(net([many * 2, few], itself), before, atol=1e-3)
    assert not torch.allclose(net([many, few], itself + 1), before, atol=1e-4)


def test_critics_of_actions_share_the_sensors_and_one_normalizer() -> None:
    actor = GaussianActor(ALL, ActionShape(2), network(normalize=True))
    normalizer = actor.encoder.normalizer()
    critic = ActionValue(ALL, 2, network(normalize=True), 2, normalizer)
    assert critic.sensors is not None
    assert critic.sensors.normalizer is normalizer
    assert critic(rows_of(ALL), torch.rand(6, 2)).shape == (1, 2, 6)


@pytest.mark.parametrize(
    ("shape", "memory"),
    [(ActionShape(2), None), (ActionShape(0, (2, 3)), MemorySettings(memory_size=6))],
    ids=["", "memory"],
)
@pytest.mark.parametrize("sensors", [(IMAGE,), (BUFFER,), (VECTOR, Sensor("w", (2,))), ALL.sensors], ids=len)
def test_exports_have_an_input_per_sensor_and_decide_as_torch_does(
    tmp_path: Any, sensors: tuple[Sensor, ...], shape: ActionShape, memory: MemorySettings | None
) -> None:
    torch.manual_seed(0)
    actor = make_stochastic_actor(Observation(sensors), shape, network(normalize=True, memory=memory))
    actor.encoder.update_normalizer(torch.randn(100, actor.obs_size) * 3 + 2)
    write_unity_onnx(actor, tmp_path / "actor.onnx")
    assert onnx_difference(actor, tmp_path / "actor.onnx") <= TOLERANCE
    found = {name: of for name, of in inputs_of(actor).items() if name.startswith("obs_")}
    assert found == {f"obs_{index}": sensor.shape for index, sensor in enumerate(sensors)}


@pytest.mark.parametrize("kind", sorted(CONVOLUTIONS))
def test_every_image_encoder_exports_faithfully(tmp_path: Any, kind: str) -> None:
    torch.manual_seed(0)
    camera = Observation((Sensor("camera", (1, SMALLEST[kind], SMALLEST[kind])),))
    actor = GaussianActor(camera, ActionShape(1), network(vis_encode_type=kind))
    write_unity_onnx(actor, tmp_path / "actor.onnx")
    assert onnx_difference(actor, tmp_path / "actor.onnx") <= TOLERANCE


SEEN = Observation((Sensor("camera", (1, 6, 6)), Sensor("joints", (2,)), Sensor("things", (3, 2))))


@pytest.mark.parametrize("trainer", ["reinforce", "a2c", "ppo", "dqn", "ddpg", "td3", "sac"])
def test_every_trainer_learns_from_all_kinds_of_sensors(trainer: str) -> None:
    shape = ActionShape(0, (2,)) if trainer == "dqn" else ActionShape(2)
    sizes = {"reinforce": {"num_episodes": 8}, "a2c": {"buffer_size": 16}, "ppo": {"buffer_size": 16, "batch_size": 8}}
    settings = BehaviorSettings.model_validate(
        {
            "trainer_type": trainer,
            "hyperparameters": sizes.get(trainer, {"batch_size": 8, "buffer_size": 100, "steps_per_update": 4}),
            "network_settings": {"hidden_units": 8, "num_layers": 1, "vis_encode_type": "match3", "normalize": True},
        }
    )
    learner = ALGORITHMS[trainer](SEEN, shape, 4, settings, 0, torch.device("cpu"))
    before = copy.deepcopy(learner.actor.state_dict())
    rng, everyone = np.random.default_rng(0), np.ones(4, dtype=bool)

    def look() -> np.ndarray:
        return np.concatenate((rng.random((4, SEEN.size)), np.ones((4, shape.choices))), axis=1).astype(np.float32)

    for t in range(8):
        learner.act(look(), everyone)
        ends = np.full(4, t % 2 == 1)
        rew = rng.random(4).astype(np.float32)
        learner.observe(Step(rew, ends, ~everyone, look(), look() if ends.any() else None, everyone))
        if learner.ready():
            assert all(np.isfinite(value) for name, value in learner.update(0.0).items() if name.startswith("losses/"))
    changed = {name for name, value in learner.actor.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[2] for name in changed if name.startswith("encoder.0.")} >= {
        "images",
        "attention",
        "normalizer",
    }
