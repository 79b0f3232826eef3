"""A stand-in player that replays recorded bytes: what it costs is little more than gRPC itself."""

import argparse
import time

import grpc

import unity_env  # noqa: F401  # lets the messages import

# isort: split
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto

OBS_SIZE, ACTION_SIZE = 40, 6
QUIT_BYTES = 8  # a reply that carries nothing but a status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--agents", type=int, required=True)
    parser.add_argument("--think-ms", type=float, default=0.0, help="time the player takes for a step")
    arguments = parser.parse_args()
    options = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
    with grpc.insecure_channel(f"127.0.0.1:{arguments.port}", options=options) as channel:
        exchange = channel.unary_unary("/communicator_objects.UnityToExternalProto/Exchange")
        first, step = step_message(arguments.agents, announce=True), step_message(arguments.agents, announce=False)
        try:
            exchange(hello(), wait_for_ready=True, timeout=60)
            exchange(status_only())
            reply = exchange(first)
            while len(reply) > QUIT_BYTES:
                if arguments.think_ms:
                    time.sleep(arguments.think_ms / 1000)
                reply = exchange(step)
        except grpc.RpcError:
            pass  # the client has gone


def status_only() -> bytes:
    message = UnityMessageProto()
    message.header.status = 200
    return bytes(message.SerializeToString())


def hello() -> bytes:
    message = UnityMessageProto()
    message.header.status = 200
    offer = message.unity_output.rl_initialization_output
    offer.name, offer.communication_version, offer.package_version = "stand-in", "1.5.0", "4.0.0"
    for capability in offer.capabilities.DESCRIPTOR.fields:
        setattr(offer.capabilities, capability.name, True)
    return bytes(message.SerializeToString())


def step_message(agents: int, *, announce: bool) -> bytes:
    message = UnityMessageProto()
    message.header.status = 200
    if announce:
        brain = message.unity_output.rl_initialization_output.brain_parameters.add()
        brain.brain_name, brain.is_training = "Agent?team=0", True
        brain.action_spec.num_continuous_actions = ACTION_SIZE
    for agent_id in range(agents):
        agent = message.unity_output.rl_output.agentInfos["Agent?team=0"].value.add()
        agent.id, agent.reward = agent_id, 0.5
        obs = agent.observations.add()
        obs.name = "observation"
        obs.shape.append(OBS_SIZE)
        obs.dimension_properties.append(1)
        obs.float_data.data.extend(0.01 * (agent_id + i) for i in range(OBS_SIZE))
    return bytes(message.SerializeToString())


if __name__ == "__main__":
    main()
