"""Times ML-Agents clients against the stand-in player; runs under every Python that a client needs."""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", nargs="+", choices=tuple(CLIENTS), required=True)
    parser.add_argument("--ports", type=int, nargs="+", required=True, help="one for each client")
    parser.add_argument("--steps", type=int, required=True, help="of a turn")
    parser.add_argument("--turns", type=int, default=5, help="of each client, one after the other")
    arguments = parser.parse_args()
    opened = [CLIENTS[name](port) for name, port in zip(arguments.clients, arguments.ports, strict=True)]
    seconds = timed([step for step, _ in opened], arguments.steps, arguments.turns)
    print(json.dumps(dict(zip(arguments.clients, seconds, strict=True))), flush=True)
    for _, close in opened:
        close()


def stock(port: int) -> tuple[Step, Step]:
    """The official client: set_actions, step, get_steps; and how to close it."""
    from mlagents_envs.environment import UnityEnvironment

    return env_step(UnityEnvironment(None, base_port=port))


def ours(port: int) -> tuple[Step, Step]:
    """This project's client, likewise."""
    import unity_env  # noqa: F401
    from unity_env.link.environment import UnityPlayer

    return env_step(UnityPlayer(None, base_port=port))


def env_step(env: Any) -> tuple[Step, Step]:
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

    return step, env.close


def echo(port: int) -> tuple[Step, Step]:
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
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    reply = bytes(64)
    received.get()

    def step() -> None:
        replies.put(reply)
        received.get()

    def close() -> None:
        replies.put(b"")
        server.stop(0.1)

    for _ in range(3):
        step()
    return step, close


CLIENTS: dict[str, Callable[[int], tuple[Step, Step]]] = {"echo": echo, "ours": ours, "stock": stock}


def timed(clients: list[Step], steps: int, turns: int) -> list[list[float]]:
    """Return, for each client, seconds per step of each of its turns."""
    times: list[list[float]] = [[] for _ in clients]
    for turn in range(turns + 1):
        for step, mine in zip(clients, times, strict=True):
            started = time.perf_counter()
            for _ in range(steps if turn else -(-steps // 4)):  # the first turn is for warming up
                step()
            if turn:
                mine.append((time.perf_counter() - started) / steps)
    return times


if __name__ == "__main__":
    main()
