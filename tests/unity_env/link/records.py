"""Messages as a Unity player sends them, of every kind, written with the official protobuf classes."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mlagents_envs.base_env import (
    ActionSpec,
    BehaviorSpec,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.observation_pb2 import PNG, ObservationProto
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from PIL import Image

BEHAVIOR = "Robot?team=0"
Array = np.ndarray


def float_observation(values: Array, name: str = "sensor") -> ObservationProto:
    """Any shape: a vector, a stack of them, a buffer of rank 2, an uncompressed image."""
    obs = ObservationProto(name=name, shape=values.shape)
    obs.float_data.data.extend(values.ravel().tolist())
    obs.dimension_properties.extend([int(DimensionProperty.NONE)] * values.ndim)
    return obs


def png(pixels: Array) -> bytes:
    """Encode (height, width, 3) uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def image_observation(
    images: Sequence[Array], shape: Sequence[int], mapping: Sequence[int] = (), name: str = "camera"
) -> ObservationProto:
    """One or several PNGs, one behind the other."""
    return ObservationProto(
        name=name,
        shape=shape,
        compression_type=PNG,
        compressed_data=b"".join(map(png, images)),
        compressed_channel_mapping=mapping,
    )


def agent(number: int, observations: Sequence[ObservationProto], **fields: Any) -> AgentInfoProto:
    """One agent's record."""
    return AgentInfoProto(id=number, observations=observations, **fields)


def spec_of(first: AgentInfoProto, actions: ActionSpec | None = None) -> BehaviorSpec:
    """Return the specification that fits an agent's observations."""
    sensors = [
        ObservationSpec(
            tuple(obs.shape), (DimensionProperty.UNSPECIFIED,) * len(obs.shape), ObservationType.DEFAULT, obs.name
        )
        for obs in first.observations
    ]
    return BehaviorSpec(sensors, actions or ActionSpec(2, ()))


def observations_message(
    agents: Sequence[AgentInfoProto], behavior: str = BEHAVIOR, announce: ActionSpec | None = None
) -> UnityMessageProto:
    """Return what a player sends in a step; with the behavior's action space where it announces it."""
    message = UnityMessageProto()
    message.header.status = 200
    message.unity_output.rl_output.agentInfos[behavior].value.extend(agents)
    if announce is not None:
        parameters = message.unity_output.rl_initialization_output.brain_parameters.add(brain_name=behavior)
        parameters.action_spec.num_continuous_actions = announce.continuous_size
        parameters.action_spec.num_discrete_actions = announce.discrete_size
        parameters.action_spec.discrete_branch_sizes.extend(announce.discrete_branches)
    return message


def _vector(rng: np.random.Generator) -> ObservationProto:
    return float_observation(rng.standard_normal(7).astype(np.float32))


def _buffer(rng: np.random.Generator) -> ObservationProto:
    return float_observation(rng.standard_normal((5, 3)).astype(np.float32), "buffer")


def _raw_image(rng: np.random.Generator) -> ObservationProto:
    return float_observation(rng.random((4, 5, 3)).astype(np.float32), "raw")


def _pixels(rng: np.random.Generator) -> Array:
    return rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def _color(rng: np.random.Generator) -> ObservationProto:
    return image_observation([_pixels(rng)], (6, 8, 3))


def _grayscale(rng: np.random.Generator) -> ObservationProto:
    return image_observation([_pixels(rng)], (6, 8, 1))


def _several_unmapped(rng: np.random.Generator) -> ObservationProto:
    return image_observation([_pixels(rng), _pixels(rng)], (6, 8, 4))


def _several_mapped(rng: np.random.Generator) -> ObservationProto:
    return image_observation([_pixels(rng), _pixels(rng)], (6, 8, 3), mapping=(0, 0, 0, 1, 2, -1))


def _stacked_gray(rng: np.random.Generator) -> ObservationProto:
    return image_observation([_pixels(rng) for _ in range(3)], (6, 8, 3), mapping=(0, 0, 0, 1, 1, 1, 2, 2, 2))


KINDS: dict[str, Callable[[np.random.Generator], ObservationProto]] = {
    "vector": _vector,
    "buffer": _buffer,
    "raw_image": _raw_image,
    "color": _color,
    "grayscale": _grayscale,
    "several_unmapped": _several_unmapped,
    "several_mapped": _several_mapped,
    "stacked_gray": _stacked_gray,
}
