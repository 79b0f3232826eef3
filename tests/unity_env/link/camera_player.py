"""A player whose agents have a camera: which half of its image is bright says which of two choices is right.

As a program it takes a Unity build's command line, and in --images how images travel: png, raw, or last (raw, with
their channels last). Every agent has an image of 20 x 20 pixels, a vector of noise, a buffer of 0 to 3 entities of
noise and a sensor `signals` that says which choice is right; every decision is an episode, paid 1 where it is right.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import unity_env  # noqa: F401  # before mlagents_envs' messages are imported

from mlagents_envs.base_env import ActionSpec, DimensionProperty  # isort: skip
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto  # isort: skip
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto  # isort: skip
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto  # isort: skip

from tests.unity_env.link.records import (  # isort: skip
    BEHAVIOR,
    agent,
    float_observation,
    image_observation,
    observations_message,
)
from tests.unity_env.link.stand_in import Player  # isort: skip

AGENTS, SIZE, ENTITIES = 16, 20, 3
CHOICES = ActionSpec(0, (2,))
NONE, PIXELS = DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE
SENSORS = {"camera": (3, SIZE, SIZE), "pose": (2,), "signals": (1,), "things": (ENTITIES, 2)}

Array = np.ndarray


def with_properties(obs: ObservationProto, *properties: DimensionProperty) -> ObservationProto:
    obs.ClearField("dimension_properties")
    obs.dimension_properties.extend(int(of) for of in properties)
    return obs


def image(pixels: Array, how: str) -> ObservationProto:
    """The observation of an image, (height, width, 3) uint8."""
    if how == "png":
        return with_properties(image_observation([pixels], (3, SIZE, SIZE)), NONE, PIXELS, PIXELS)
    values = pixels.astype(np.float32) / 255
    if how == "last":
        return with_properties(float_observation(values, "camera"), PIXELS, PIXELS, NONE)
    return with_properties(float_observation(np.moveaxis(values, 2, 0), "camera"), NONE, PIXELS, PIXELS)


class CameraPlayer(Player):
    """Plays."""

    def __init__(self, port: int, images: str) -> None:
        super().__init__(port)
        self._images = images
        self._rng = np.random.default_rng(0)
        self._right = np.zeros(AGENTS, dtype=np.int64)

    def report(self, answer: UnityMessageProto) -> UnityMessageProto:
        """End every agent's episode by its choice, and ask for the next one."""
        actions = answer.unity_input.rl_input.agent_actions[BEHAVIOR].value
        ended = []
        for number, action in enumerate(actions):
            paid = float(action.discrete_actions[0] == self._right[number])
            ended.append(self._agent(number, reward=paid, done=True))
        self._right = self._rng.integers(2, size=AGENTS)
        asking = [self._agent(number) for number in range(AGENTS)]
        return observations_message([*ended, *asking], announce=CHOICES if self.steps == 0 else None)

    def _agent(self, number: int, **fields: object) -> AgentInfoProto:
        right, rng = int(self._right[number]), self._rng
        pixels = rng.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
        half = SIZE // 2
        pixels[:, right * half : (right + 1) * half] += 150
        things = rng.standard_normal((ENTITIES, 2)) * (np.arange(ENTITIES) < rng.integers(ENTITIES + 1))[:, None]
        sensors = [
            image(pixels, self._images),
            float_observation(rng.standard_normal(2), "pose"),
            float_observation(np.array([right]), "signals"),
            with_properties(float_observation(things, "things"), DimensionProperty.VARIABLE_SIZE, NONE),
        ]
        return agent(number, sensors, **fields)


def write_build(folder: Path) -> str:
    """Write a program that the environment can launch as a Unity build."""
    build = folder / "camera.x86_64"
    root = Path(__file__).parents[3]
    build.write_text(
        f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m tests.unity_env.link.camera_player "$@"\n'
    )
    build.chmod(0o755)
    return str(folder / "camera")


def main(args: Sequence[str]) -> None:
    """Follow the command line of a build."""
    Path(args[args.index("-logFile") + 1]).write_text(" ".join(args))
    player = CameraPlayer(int(args[args.index("--mlagents-port") + 1]), args[args.index("--images") + 1])
    player.introduce()
    player.play(player.wait_for_reset())


if __name__ == "__main__":
    main(sys.argv[1:])
