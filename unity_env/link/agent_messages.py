"""A behavior and its agents in ML-Agents' messages, as its Unity package writes them."""

from collections.abc import Sequence

import numpy as np
from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto


def announcement(name: str, spec: BehaviorSpec) -> BrainParametersProto:
    """Return what ML-Agents tells of a behavior; its sensors are told by its agents."""
    brain = BrainParametersProto(brain_name=name)
    brain.action_spec.num_continuous_actions = spec.action_spec.continuous_size
    brain.action_spec.num_discrete_actions = spec.action_spec.discrete_size
    brain.action_spec.discrete_branch_sizes.extend(spec.action_spec.discrete_branches)
    return brain


class AgentWriter:
    """Writes agents of one behavior.

    Args:
        spec: of the behavior, vector sensors only.
    """

    def __init__(self, spec: BehaviorSpec) -> None:
        self._blank = _blank_agent(spec)

    def fill(self, agent: AgentInfoProto, agent_id: int, obs: Sequence[np.ndarray], rew: float) -> None:
        """Write what an agent sees, (size,) per sensor, and the reward since its last message."""
        agent.CopyFrom(self._blank)
        agent.id, agent.reward = agent_id, rew
        for sensor, values in zip(agent.observations, obs, strict=True):
            sensor.float_data.data.extend(values.tolist())


def _blank_agent(spec: BehaviorSpec) -> AgentInfoProto:
    """Return an agent with its sensors described and no values."""
    blank = AgentInfoProto()
    for sensor in spec.observation_specs:
        obs = blank.observations.add()
        obs.name = sensor.name
        obs.shape.extend(sensor.shape)
        obs.dimension_properties.extend(int(prop) for prop in sensor.dimension_property)
        obs.observation_type = sensor.observation_type.value
    return blank
