"""A behavior's part of ML-Agents' messages, as its Unity package writes and reads them."""

from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto


class BehaviorMessages:
    """Announces a behavior, reads its actions, writes its agents.

    Args:
        behavior: its name.
        spec: its specification, vector sensors only.
        agents: how many it has.
    """

    def __init__(self, behavior: str, spec: BehaviorSpec, agents: int) -> None:
        self.behavior, self._spec, self._agents = behavior, spec, agents
        self._name = f"{behavior}?team=0"
        self._blank = _blank_agent(spec)

    def announcement(self) -> BrainParametersProto:
        """Return what the client needs to know of the behavior."""
        brain = BrainParametersProto(brain_name=self._name, is_training=True)
        brain.action_spec.num_continuous_actions = self._spec.action_spec.continuous_size
        brain.action_spec.num_discrete_actions = self._spec.action_spec.discrete_size
        brain.action_spec.discrete_branch_sizes.extend(self._spec.action_spec.discrete_branches)
        return brain

    def actions(self, rl_input: UnityRLInputProto) -> ActionTuple:
        """Read the actions; agents for which none came get zeros, as in Unity."""
        actions: ActionTuple = self._spec.action_spec.empty_action(self._agents)
        for row, action in enumerate(rl_input.agent_actions[self._name].value):
            actions.continuous[row] = action.continuous_actions
            actions.discrete[row] = action.discrete_actions
        return actions

    def write(self, output: UnityRLOutputProto, decisions: DecisionSteps, terminals: TerminalSteps) -> None:
        """Write the agents whose episodes ended, then those that wait for an action."""
        agents = output.agentInfos[self._name].value
        for index in range(len(terminals)):
            agent = agents.add()
            self._fill(agent, terminals, index)
            agent.done, agent.max_step_reached = True, terminals.interrupted[index]
        for index in range(len(decisions)):
            self._fill(agents.add(), decisions, index)

    def _fill(self, agent: AgentInfoProto, records: DecisionSteps | TerminalSteps, index: int) -> None:
        agent.CopyFrom(self._blank)
        agent.id, agent.reward = records.agent_id[index], records.reward[index]
        for obs, values in zip(agent.observations, records.obs, strict=True):
            obs.float_data.data.extend(values[index].tolist())


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
