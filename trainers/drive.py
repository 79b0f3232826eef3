"""The embedded simulation, driven by exported actors as a robot would be: through the edge runtime, or over UDP."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from trainers.actors import ActionShape
from trainers.config import load_settings
from trainers.edge import ActorRunner, Bundle, EdgeError, read_bundle
from trainers.edge.bench import quantiles
from trainers.edge.messages import SAFE, pack_request, unpack_answer
from trainers.errors import RunError, UserError
from trainers.evaluate import Evaluation, evaluate_world
from trainers.export.edge_app import NAME as APP
from trainers.inspect_run import best_policies
from trainers.policy import Policy
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from trainers.stage import open_target
from trainers.world import EVALUATION_ROWS, World, make_world
from trainers.world_errors import run_errors
from trainers.yaml_file import Document

Array = np.ndarray
Transport = Literal["direct", "udp"]
PATIENCE_S = 10.0
SIMULATED = {"watchdog_periods": 1e6}  # the simulation's clock is not the wall's


@dataclass(frozen=True)
class Driven:
    """What became of exported actors.

    Attributes:
        evaluations: behavior -> its episodes.
        latencies: behavior -> what is measured -> p50, p95, p99, max in microseconds.
    """

    evaluations: Mapping[str, Evaluation]
    latencies: Mapping[str, Mapping[str, Mapping[str, float]]]


class RunnerPolicy:
    """Acts by one runtime per row, in this process.

    Args:
        folder: of the bundle.
        rows: N.

    Attributes:
        latencies_us: what is measured -> microseconds of each action.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self._runners = [
            ActorRunner(folder, safety=SIMULATED, clock=lambda: 0.0, rate_hz=_rate(folder)) for _ in range(rows)
        ]
        bundle = self._runners[0].bundle
        self._shape = ActionShape(bundle.continuous, bundle.branches)
        self.latencies_us: dict[str, list[float]] = {"action": []}

    def __call__(self, obs: Array, infos: Mapping[str, Any]) -> Any:
        """Act in every row; see `Policy`."""
        actions = np.empty((len(obs), self._shape.size), np.float32)
        obs = _seen(obs, self._runners[0].bundle)
        for row, runner in enumerate(self._runners):
            if infos["first"][row]:
                runner.reset()
            start = time.perf_counter()
            actions[row] = runner.act(obs[row])
            self.latencies_us["action"].append((time.perf_counter() - start) * 1e6)
            if runner.reason:
                raise RunError(f"{runner.bundle.folder}: {runner.reason}")
        return self._shape.for_env(torch.from_numpy(actions))


class UdpPolicy:
    """Acts by datagrams to a runtime in another process, one row.

    Args:
        bundle: what the other process runs.
        address: of its socket.

    Attributes:
        latencies_us: as `RunnerPolicy`; `transport` is what a round trip takes beyond the action.
    """

    def __init__(self, bundle: Bundle, address: tuple[str, int]) -> None:
        self._bundle, self._address = bundle, address
        self._shape = ActionShape(bundle.continuous, bundle.branches)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._sequence = 0
        self.latencies_us: dict[str, list[float]] = {"action": [], "round trip": [], "transport": []}

    def __call__(self, obs: Array, infos: Mapping[str, Any]) -> Any:
        """Send the row's observation, wait for its action."""
        self._sequence += 1
        start = time.perf_counter()
        try:
            self._socket.sendto(
                pack_request(_seen(obs, self._bundle)[0], self._sequence, reset=infos["first"][0]), self._address
            )
            answer = unpack_answer(self._socket.recv(65_535))
            while answer.sequence != self._sequence:
                answer = unpack_answer(self._socket.recv(65_535))
        except OSError as error:
            raise RunError(f"{self._bundle.folder}: no answer over UDP: {error}") from None
        round_trip = (time.perf_counter() - start) * 1e6
        if answer.status >= SAFE:
            raise RunError(f"{self._bundle.folder}: the runtime did not let the policy act; its log says why")
        measured = (answer.computed_us, round_trip, round_trip - answer.computed_us)
        for latencies, value in zip(self.latencies_us.values(), measured, strict=True):
            latencies.append(value)
        return self._shape.for_env(torch.from_numpy(answer.action[None].copy()))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def drive(
    actors: Sequence[Path],
    run: Path | None,
    episodes: int,
    seed: int,
    transport: Transport = "direct",
    rows: int = EVALUATION_ROWS,
) -> Driven:
    """Measure exported actors in the scene that they were trained in.

    Args:
        actors: bundles, one for each behavior; those of the run act for behaviors that have none.
        run: folder of the run whose settings make the scene; the first bundle's own by default.
        episodes: how many.
        seed: of the episodes.
        transport: `direct` runs a runtime per row in this process; `udp` one in another process, for one row.
        rows: at most, of the embedded simulation; other numbers of rows have other episodes.

    Raises:
        UserError: a behavior has no actor, or an actor does not fit.
        EdgeError: a bundle is damaged.
        RunError: the runtime failed on the way.
    """
    bundles = {bundle.behavior: bundle for bundle in map(read_bundle, actors)}
    settings, document, folder = _scene(next(iter(bundles.values())), run)
    wanted = None
    if settings.env_settings.sim_task:
        wanted = 1 if transport == "udp" else min(rows, episodes)
    with ExitStack() as opened, run_errors(settings, document):
        world = opened.enter_context(closing(make_world(settings, document, evaluation=True, rows=wanted)))
        edge = {name: _policy(bundle, world, transport, opened) for name, bundle in bundles.items()}
        policies: dict[str, Policy] = dict(edge)
        policies |= _others(folder, settings, document, world, policies)
        evaluations = evaluate_world(world, policies, episodes, seed)
    latencies = {
        name: {what: quantiles(values) for what, values in policy.latencies_us.items()} for name, policy in edge.items()
    }
    return Driven(evaluations, latencies)


def _scene(bundle: Bundle, run: Path | None) -> tuple[RunSettings, Document, RunFolder | None]:
    if run is not None:
        return *load_settings(RunFolder(run).configuration), RunFolder(run)
    if (bundle.folder / "configuration.yaml").is_file():
        return *load_settings(bundle.folder / "configuration.yaml"), None
    if bundle.card["task"] is None:
        raise UserError(f"{bundle.folder}: the bundle knows no task; name the run whose scene it is to drive")
    settings, document, _ = open_target(bundle.card["task"])
    return settings, document, None


def _policy(bundle: Bundle, world: World, transport: Transport, opened: ExitStack) -> RunnerPolicy | UdpPolicy:
    if bundle.behavior not in world.rows:
        raise UserError(f"{bundle.folder}: an actor for {bundle.behavior}; the scene has {', '.join(world.rows)}")
    rows = world.rows[bundle.behavior]
    spec = rows.spec.action_spec
    wanted = (world.observations[bundle.behavior].size, spec.continuous_size, tuple(spec.discrete_branches))
    found = (bundle.obs_size, bundle.continuous, bundle.branches)
    if wanted != found:
        raise UserError(
            f"{bundle.folder}: the actor has (observations, continuous actions, branches) {found}, the scene {wanted}"
        )
    if transport == "direct":
        return RunnerPolicy(bundle.folder, rows.num_rows)
    if rows.num_rows != 1:
        raise UserError("--transport udp: drives one robot; the scene has several of them")
    address = opened.enter_context(_server(bundle))
    return opened.enter_context(closing(UdpPolicy(bundle, address)))


def _others(
    folder: RunFolder | None, settings: RunSettings, document: Document, world: World, known: Mapping[str, Policy]
) -> dict[str, Policy]:
    missing = [name for name in world.rows if name not in known]
    if not missing:
        return {}
    if folder is None:
        raise UserError(
            f"no --actor for {', '.join(missing)}; give one for each, or name the run to act for the others"
        )
    best = best_policies(folder, settings, document, world)
    return {name: best[name] for name in missing}


def _seen(obs: Array, bundle: Bundle) -> Array:
    """Return what actors read of rows, (N, D + M): signals, which critics alone read, lie between."""
    size, masks = bundle.obs_size, obs.shape[1] - bundle.choices
    return obs if masks == size else np.concatenate((obs[:, :size], obs[:, masks:]), axis=1)


def _rate(folder: Path) -> float | None:
    """Return a rate where the training named none: the simulation steps by itself."""
    return None if read_bundle(folder).period_s else 1.0


@contextmanager
def _server(bundle: Bundle) -> Iterator[tuple[str, int]]:
    """Run the bundle's own runtime in another process; yields the address that it listens on."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as safety, ExitStack() as stack:
        json.dump(SIMULATED, safety)
        safety.flush()
        app = [sys.executable, str(bundle.folder / APP), "run", str(bundle.folder), "--safety", safety.name]
        rate = ["--rate", "1"] if bundle.period_s is None else []
        command = [*app, *rate, "--transport", "udp", "--listen", "127.0.0.1:0"]
        process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        stack.callback(process.terminate)
        assert process.stderr is not None
        line = process.stderr.readline()
        if not line.startswith("ready"):
            raise EdgeError(f"{bundle.folder}: the runtime did not start: {line.strip().removeprefix('error: ')}")
        host, _, port = line.split()[-1].partition(":")
        yield host, int(port)
