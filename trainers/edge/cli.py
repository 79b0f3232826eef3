"""robotrl-edge: run, measure and check an exported actor."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any, List, Optional, Tuple

from .errors import EdgeError
from .networks import BACKENDS
from .runner import ActorRunner
from .transports import TRANSPORTS

PORT = 5600


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        options.command(options)
    except EdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="robotrl-edge", description="Run an exported actor on the robot.")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND")
    commands.required = True
    run = commands.add_parser("run", help="answer observations by actions, until interrupted")
    run.add_argument("--transport", choices=TRANSPORTS, default="stdin", help="where observations come from")
    run.add_argument("--listen", metavar="HOST:PORT", default=f"127.0.0.1:{PORT}", help="for udp and zmq; %(default)s")
    run.add_argument("--seconds", type=_positive, help="end after so long")
    run.set_defaults(command=_run)
    bench = commands.add_parser("bench", help="measure an action's latency, and the clock's jitter")
    bench.add_argument("--calls", type=int, default=10_000, help="actions to measure; %(default)s")
    bench.add_argument("--seconds", type=_positive, default=5.0, help="of measuring the jitter; %(default)s")
    bench.add_argument("--json", action="store_true", help="print JSON instead of a table")
    bench.set_defaults(command=_bench)
    check = commands.add_parser("check", help="verify hashes, and replay recorded observations")
    check.set_defaults(command=_check)
    for command in (run, bench, check):
        command.add_argument("bundle", type=Path, help="folder that robotrl export made")
        command.add_argument("--backend", choices=BACKENDS, default="numpy", help="what computes; %(default)s")
    for command in (run, bench):
        command.add_argument("--rate", type=_positive, metavar="HZ", help="decisions per second; the training's own")
        command.add_argument("--safety", type=Path, metavar="FILE", help="JSON that replaces entries of `safety`")
    return parser


def _runner(options: argparse.Namespace) -> ActorRunner:
    runner = ActorRunner(options.bundle, options.backend, options.rate, _safety(options.safety))
    trained = runner.bundle.period_s
    if trained is not None and abs(runner.period_s - trained) > 0.01 * trained:
        rates = f"{1 / trained:g} Hz, this is {1 / runner.period_s:g} Hz"
        logging.getLogger("robotrl.edge").warning("the policy was trained at %s: it may act otherwise", rates)
    return runner


def _safety(path: Optional[Path]) -> Optional[Any]:
    if path is None:
        return None
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EdgeError(f"{path}: not JSON: {error}") from None
    if not isinstance(entries, dict):
        raise EdgeError(f"{path}: expected a JSON object of entries of `safety`, as in actor.json")
    return entries


def _run(options: argparse.Namespace) -> None:
    from .bench import quantiles
    from .server import Server
    from .transports import open_transport

    runner = _runner(options)
    transport = open_transport(options.transport, _address(options.listen))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    described = f"{runner.bundle.behavior} at {1 / runner.period_s:g} Hz, {options.backend}, on {transport.where}"
    print(f"ready     {described}", file=sys.stderr, flush=True)
    try:
        served = Server(runner, transport).run(options.seconds)
    finally:
        transport.close()
    line = f"served    {served.actions} actions, {served.safe} safe ones, {served.refused} observations refused"
    if served.computed_us:
        found = quantiles(served.computed_us)
        line += f"; computed in {found['p50']:.0f} us (p50), {found['p99']:.0f} us (p99)"
    print(line, file=sys.stderr)


def _address(text: str) -> Tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise EdgeError(f"--listen {text}: expected HOST:PORT, 0.0.0.0:{PORT} for example")
    return host, int(port)


def _bench(options: argparse.Namespace) -> None:
    from .bench import jitter_us, latency_us, quantiles

    if options.calls < 1:
        raise EdgeError(f"--calls {options.calls}: at least 1")
    runner = _runner(options)
    latency = quantiles(latency_us(runner, options.calls))
    runner.reset()
    jitter = quantiles(jitter_us(runner, options.seconds))
    about = {"behavior": runner.bundle.behavior, "backend": options.backend, "rate_hz": 1 / runner.period_s}
    if options.json:
        print(json.dumps({**about, "calls": options.calls, "latency_us": latency, "jitter_us": jitter}))
        return
    print("{behavior}, {backend}, {rate_hz:g} Hz".format(**about))
    print(f"{'microseconds':<22}" + "".join(f"{name:>10}" for name in latency))
    print(f"{'latency of an action':<22}" + "".join(f"{value:>10.1f}" for value in latency.values()))
    print(f"{'jitter of the clock':<22}" + "".join(f"{value:>10.1f}" for value in jitter.values()))


def _check(options: argparse.Namespace) -> None:
    from .check import check_bundle

    for line in check_bundle(options.bundle, options.backend):
        print(f"ok        {line}")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a number") from None
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def entry() -> None:
    """End the process with the exit code."""
    sys.exit(main())
