"""Times one ML-Agents client against the stand-in player; runs under every Python that a client needs."""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=("ours", "stock", "echo"), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    times = {"ours": time_ours, "stock": time_stock, "echo": time_echo}[arguments.client](arguments)
    print(json.dumps({"seconds_per_step": sorted(times)[len(times) // 2]}), flush=True)


def time_stock(arguments: argparse.Namespace) -> list[float]:
    from mlagents_envs.environment import UnityEnvironment

    return time_env(UnityEnvironment(None, base_port=arguments.port), arguments)


def time_ours(arguments: argparse.Namespace) -> list[float]:
    import unity_env  # noqa: F401
    from unity_env.link.environment import UnityPlayer

    return time_env(UnityPlayer(None, base_port=arguments.port), arguments)


def time_env(env: Any, arguments: argparse.Namespace) -> list[float]:
    """Return seconds per step of each turn: set_actions, step, get_steps."""
    from mlagents_envs.base_env import ActionTuple

    env.reset()
    name = next(iter(env.behavior_specs))
    agents = len(env.get_steps(name)[0])
    actions = np.random.default_rng(0).uniform(-1, 1, (agents, 6)).astype(np.float32)

    def step() -> None:
        env.set_actions(name, ActionTuple(continuous=actions))
        env.step()
        decisions, _ = env.get_steps(name)
        assert decisions.obs[0].shape == (agents, 40)

    times = timed(step, arguments)
    env.close()
    return times


def time_echo(arguments: argparse.Namespace) -> list[float]:
    """The floor: the same bytes through gRPC, neither decoded nor encoded."""
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    import grpc

    received: SimpleQueue[bytes] = SimpleQueue()
    replies: SimpleQueue[bytes] = SimpleQueue()

    def exchange(request: bytes, _: object) -> bytes:
        received.put(request)
        return replies.get()

    handlers = {"Exchange": grpc.unary_unary_rpc_method_handler(exchange)}
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("communicator_objects.UnityToExternalProto", handlers)]
    )
    server.add_insecure_port(f"127.0.0.1:{arguments.port}")
    server.start()
    reply = bytes(64)
    received.get()

    def step() -> None:
        replies.put(reply)
        received.get()

    for _ in range(3):
        step()
    times = timed(step, arguments)
    replies.put(b"")
    server.stop(0.1)
    return times


def timed(step: Callable[[], None], arguments: argparse.Namespace) -> list[float]:
    for _ in range(arguments.steps // 4):
        step()
    times = []
    for _ in range(arguments.turns):
        started = time.perf_counter()
        for _ in range(arguments.steps):
            step()
        times.append((time.perf_counter() - started) / arguments.steps)
    return times


if __name__ == "__main__":
    main()
