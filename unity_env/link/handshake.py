"""How a player introduces itself, and what to suspect when it falls silent."""

import os
import re
from enum import Enum

from mlagents_envs.communicator_objects.unity_rl_initialization_input_pb2 import UnityRLInitializationInputProto
from mlagents_envs.environment import UnityEnvironment

from unity_env.link.errors import IncompatibleVersionError

API_VERSION: str = UnityEnvironment.API_VERSION


class Stage(Enum):
    """What the player was expected to do next: in words, then the likely causes where it does not."""

    CONNECT = (
        "connect",
        "the player listens to another port: a build takes it from --mlagents-port, the Editor always uses 5004",
        "no scene with an agent is loaded, or the build waits for somebody to click",
        "the machine has no display: pass no_graphics=True",
    )
    CONFIRM = (
        "accept our answer to its introduction (it did connect)",
        "the package in Unity refuses this API version or the reported package version (see its log)",
    )
    FIRST_OBSERVATIONS = (
        "send its first observations (the handshake was complete)",
        "no agent requests decisions: add a DecisionRequester beside the agent",
        "the agents' Behavior Type is not Default, so they do not ask Python",
        "the scene has no active agent, or takes longer to load than timeout_wait",
        "the package in Unity refuses the reported package version (see its log)",
    )
    OBSERVATIONS = (
        "send its next observations (it had sent some before)",
        "the simulation hangs, or is paused: an Editor out of focus, time scale 0",
        "no agent requests decisions any more",
        "a step takes longer than timeout_wait",
    )

    def __init__(self, expected: str, *causes: str) -> None:
        self.expected = expected
        self.causes = causes


def likely_causes(stage: Stage, in_editor: bool) -> list[str]:
    """Return what usually keeps a player from doing what `stage` expects."""
    causes = list(stage.causes)
    if stage is Stage.CONNECT:
        if in_editor:
            causes.insert(0, "Play was not pressed in the Unity Editor")
        proxies = [name for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy") if os.environ.get(name)]
        if proxies:
            causes.append(f"a proxy stands between player and Python: unset {', '.join(proxies)}")
    return causes


def initialization(seed: int, num_areas: int, package_version: str) -> bytes:
    """Return what Python tells a player about itself: a UnityRLInitializationInputProto."""
    parameters = UnityRLInitializationInputProto(
        seed=seed,
        communication_version=API_VERSION,
        package_version=package_version,
        num_areas=num_areas,
        capabilities=UnityEnvironment._get_capabilities_proto(),
    )
    return bytes(parameters.SerializeToString())


def check_version(theirs: str, their_package: str) -> None:
    """Raise unless a player's API version goes with ours: equal major, before 1.0 equal minor too.

    Raises:
        IncompatibleVersionError: it does not, or is no version at all.
    """
    ours = _major_minor(API_VERSION)
    found = _major_minor(theirs)
    if found is None or ours is None or found[0] != ours[0] or (found[0] == 0 and found != ours):
        raise IncompatibleVersionError(
            f"the player speaks communication API {theirs or '(none given)'} (Unity package "
            f"{their_package or 'unknown'}), this side {API_VERSION}: the first number must be the same; update the "
            "com.unity.ml-agents package in the Unity project and build it again"
        )


def _major_minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
