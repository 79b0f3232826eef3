"""How many agent-steps a second an ML-Agents client moves: ours, the official ones, and the floor.

All clients talk to the same stand-in player (benchmarks/link_parts/player.py), which replays recorded bytes: 40 floats
observed, 6 continuous actions. The official clients run in virtual environments that this command makes:

- official best: mlagents-envs 1.1.0 on Python 3.10 with protobuf 3.20 in C++;
- pip default: mlagents-envs 0.28.0 on this Python with protobuf 3.20.3, which pip has no C++ build of.
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from unity_env.link.environment import UnityPlayer
from unity_env.link.pool import PlayerPool, RestartLimits

PARTS = Path(__file__).parent / "link_parts"
AGENTS = (1, 64, 256)
STEPS = {"echo": 150, "ours": 150, "official best": 60, "pip default": 8}
TURNS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="the clients take turns this many times; the best counts")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "robotrl_link_bench")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    pythons = clients(arguments.venvs)
    table: dict[str, dict[str, float]] = {name: {} for name in pythons}
    for agents in AGENTS:
        seconds: dict[str, list[float]] = {name: [] for name in pythons}
        for _ in range(arguments.rounds):
            for name, python in pythons.items():
                seconds[name].append(measure(name, python, agents))
        for name, values in seconds.items():
            table[name][str(agents)] = min(values)
    overhead, players = measure_overhead(), measure_players()
    report(table, overhead, players)
    if arguments.json:
        figures = {"seconds_per_step": table, "one_agent_over_echo": overhead, "players": players}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def clients(folder: Path) -> dict[str, str]:
    """Return client -> Python that runs it, in the order in which they take turns."""
    found = {"echo": sys.executable, "ours": sys.executable}
    python310 = find_python310()
    if python310 is None:
        print("official best: left out, no Python 3.10 here")
    else:
        wanted = ["--ignore-requires-python", "mlagents-envs==1.1.0", "protobuf>=3.20,<3.21", "numpy<1.24"]
        found["official best"] = make_venv(folder / "best", python310, wanted)
    wanted = ["mlagents-envs==0.28.0", "protobuf==3.20.3", "numpy>=2"]
    found["pip default"] = make_venv(folder / "default", sys.executable, wanted)
    return found


def find_python310() -> str | None:
    """Return a Python 3.10 that runs: the one on the path, or pyenv's."""
    candidates = ["python3.10", *map(str, Path.home().glob(".pyenv/versions/3.10.*/bin/python"))]
    for candidate in filter(shutil.which, candidates):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def make_venv(folder: Path, python: str, packages: list[str]) -> str:
    """Make a virtual environment once; returns its Python."""
    inside = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {' '.join(packages)} ...", flush=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        install = [str(inside), "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return str(inside)


def measure(name: str, python: str, agents: int) -> float:
    """Return seconds per step of one client's best turn: what else the machine does only ever adds to it."""
    kind = name if name in ("echo", "ours") else "stock"
    return min(run_clients(python, [kind], agents, STEPS[name], TURNS)[kind])


def measure_overhead(turns: int = 60, steps: int = 50) -> list[float]:
    """Return our time over the echo's with one agent, turn by turn.

    Both live in one process and take turns of some 50 ms, each waiting while the other runs: on a machine whose
    speed drifts within a second, nothing coarser says which of two clients is the slower one.
    """
    times = run_clients(sys.executable, ["echo", "ours"], 1, steps, turns)
    return sorted(mine / floor for floor, mine in zip(times["echo"], times["ours"], strict=True))


def run_clients(python: str, kinds: list[str], agents: int, steps: int, turns: int) -> dict[str, list[float]]:
    """Let clients in one process take turns, each with a player of its own; kind -> seconds per step of each turn."""
    ports = [str(free_port()) for _ in kinds]
    command = [python, str(PARTS / "client.py"), "--clients", *kinds, "--ports", *ports]
    command += ["--steps", str(steps), "--turns", str(turns)]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    players = [start_player(int(port), agents, 0.0) for port in ports]
    try:
        output, _ = client.communicate(timeout=120)
    finally:
        client.kill()
        for player in players:
            player.kill()
            player.wait()
    times: dict[str, list[float]] = json.loads(output.splitlines()[-1])
    return times


def start_player(port: int, agents: int, think_ms: float) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(PARTS / "player.py"), "--port", str(port), "--agents", str(agents)]
    return subprocess.Popen([*command, "--think-ms", str(think_ms)])


def _editor_player(ports: list[int], index: int) -> UnityPlayer:
    return UnityPlayer(None, base_port=ports[index])


def measure_players(turns: int = 8, steps: int = 50) -> dict[str, float]:
    """Return agent-steps/s of the best turn of one player and of four, 16 agents each, 5 ms of think time."""
    times: dict[int, list[float]] = {1: [], 4: []}
    for _ in range(turns):
        for count, seconds in times.items():
            seconds.append(time_players(count, steps))
    return {str(count): count * 16 / min(seconds) for count, seconds in times.items()}


def time_players(count: int, steps: int) -> float:
    """Return seconds per step of `count` players side by side."""
    ports = [free_port() for _ in range(count)]
    players = [start_player(port, 16, 5.0) for port in ports]
    pool = PlayerPool(partial(_editor_player, ports), count, RestartLimits())
    try:
        pool.reset()
        for _ in range(50):
            pool.step()
        started = time.perf_counter()
        for _ in range(steps):
            pool.step()
        return (time.perf_counter() - started) / steps
    finally:
        pool.close()
        for player in players:
            player.kill()
            player.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(table: dict[str, dict[str, float]], overhead: list[float], players: dict[str, float]) -> None:
    print(f"{'ms per step (agent-steps/s)':>28}" + "".join(f"{f'{agents} agents':>24}" for agents in AGENTS))
    for name, row in table.items():
        cells = (f"{row[str(n)] * 1e3:.2f} ({n / row[str(n)]:,.0f})" for n in AGENTS)
        print(f"{name:>28}" + "".join(f"{cell:>24}" for cell in cells))
    ours = table["ours"]
    for other in (name for name in table if name != "ours"):
        ratios = (f"{table[other][str(n)] / ours[str(n)]:.2f}" for n in AGENTS)
        print(f"{f'{other} / ours':>28}" + "".join(f"{ratio:>24}" for ratio in ratios))
    quarter = len(overhead) // 4
    print(
        f"1 agent, turn by turn: {statistics.median(overhead):.2f} times the echo "
        f"(half of {len(overhead)} turns within {overhead[quarter]:.2f} .. {overhead[-quarter]:.2f})"
    )
    ratio = players["4"] / players["1"]
    print(f"players of 16 agents, 5 ms each: 1: {players['1']:,.0f}/s   4: {players['4']:,.0f}/s   ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
