"""The world: ML-Agents environments, Unity's or embedded, behind gymnasium's interfaces."""

from unity_env.link import protobuf_finder

protobuf_finder.install()  # before anything imports mlagents_envs' messages

from unity_env.gym_env import UnityGymEnv  # noqa: E402
from unity_env.scene import UnityScene  # noqa: E402
from unity_env.vector_env import UnityVectorEnv  # noqa: E402

__all__ = ["UnityGymEnv", "UnityScene", "UnityVectorEnv"]
