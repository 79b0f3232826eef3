"""A behavior's part of ML-Agents' messages, as its Unity package writes and reads them."""

from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto

from unity_env.link.agent_messages import AgentWriter, announcement


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
        self._writer = AgentWriter(spec)

    def announcement(self) -> BrainParametersProto:
        """Return what the client needs to know of the behavior."""
        brain = announcement(self._name, self._spec)
        brain.is_training = True
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
        obs = [sensor[index] for sensor in records.obs]
        self._writer.fill(agent, records.agent_id[index], obs, records.reward[index])
