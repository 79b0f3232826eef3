"""robotrl: the command line."""

import io
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from trainers.edge.errors import EdgeError
from trainers.errors import RunError, UserError
from trainers.files import check_place
from trainers.rewards_cli import app as rewards_app
from trainers.tables import episodes_of, in_episodes, print_evaluations, print_exports
from trainers.train_cli import spread_env_args, train, with_options
from trainers.unity_cli import VERIFY_STEPS, VERIFY_TIMEOUT_S, verify_player
from trainers.unity_cli import app as unity_app

app = typer.Typer(
    help="Train robot policies in ML-Agents simulations and export the trained actors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
tasks_app = typer.Typer(help="The tasks of the embedded simulation.", no_args_is_help=True)
app.add_typer(tasks_app, name="tasks")
app.add_typer(rewards_app, name="rewards")
app.command()(with_options(train))
app.add_typer(unity_app, name="unity")

Run = Annotated[Path, typer.Argument(help="A run's folder, or its id below --results-dir.")]
ResultsDir = Annotated[Path | None, typer.Option(help="Where runs are kept; results by default.")]


@app.command("eval")
def evaluate(
    run: Annotated[
        Path | None, typer.Argument(help="A run's folder, or its id below --results-dir; may be left out with --actor.")
    ] = None,
    results_dir: ResultsDir = None,
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the episodes.")] = 2_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    video: Annotated[Path | None, typer.Option(help="Also film some of the episodes to this MP4 file.")] = None,
    video_episodes: Annotated[int, typer.Option(min=1, help="How many to film.")] = 4,
    actor: Annotated[
        list[Path] | None,
        typer.Option(help="Let this exported actor act, through the robot's runtime; one a behavior."),
    ] = None,
    transport: Annotated[
        Literal["direct", "udp"], typer.Option(help="How the runtime is reached; udp: in a process of its own.")
    ] = "direct",
) -> None:
    """Measure a run's best policy, or an exported actor, on held-out episodes."""
    if actor:
        if video is not None:
            raise UserError("--video: films a run's own policy; leave out --actor")
        _drive(actor, None if run is None else _run_folder(run, results_dir), episodes, seed, transport, as_json)
        return
    if run is None:
        raise UserError("name a run to measure, or an exported --actor")
    from trainers.inspect_run import evaluate_run  # noqa: PLC0415

    folder = _run_folder(run, results_dir)
    if video is not None:
        from trainers.video import check_video  # noqa: PLC0415

        check_video(video)
    results = evaluate_run(folder, episodes, seed)
    if as_json:
        _print_json(results, seed)
    else:
        print_evaluations(Console(highlight=False), results, f"seed {seed}")
    if video is not None:
        _film(folder, video, video_episodes, seed, sys.stderr if as_json else sys.stdout)


@app.command()
def export(
    run: Annotated[
        Path | None, typer.Argument(help="A run's folder or id; or a YAML file that describes another library's actor.")
    ] = None,
    results_dir: ResultsDir = None,
    behavior: Annotated[str | None, typer.Option(help="Whose, where the run has several; all by default.")] = None,
    formats: Annotated[
        Literal["unity", "onnx", "pt2", "numpy", "all"], typer.Option("--format", help="Which networks.")
    ] = "all",
    quantize: Annotated[
        Literal["int8", "fp16"] | None, typer.Option(help="Store the robot's matrices in fewer bits.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for another library's actor.")] = None,
    check: Annotated[Path | None, typer.Option(help="Judge an ONNX file by Unity's rules, and export nothing.")] = None,
) -> None:
    """Export a run's best policy for Unity and for the robot, checked against the trained network."""
    if check is not None:
        _check_for_unity(check)
        return
    from trainers.export.bundle import FORMATS, Options  # noqa: PLC0415

    if run is None:
        raise UserError("name a run to export, or --check a file")
    wanted = FORMATS if formats == "all" else (formats,)
    options = Options(wanted, quantize)
    if run.suffix in (".yaml", ".yml"):
        from trainers.export.foreign import export_foreign  # noqa: PLC0415

        exports = {run.stem: export_foreign(run, output, options)}
    else:
        from trainers.inspect_run import export_run  # noqa: PLC0415

        if output is not None:
            raise UserError("--output: a run's actor goes into the run's own folder; leave it out")
        exports = export_run(_run_folder(run, results_dir), behavior, options)
    print_exports(Console(highlight=False), exports)


@app.command()
def play(
    target: Annotated[str, typer.Argument(help="A run's folder or id; or a config or task, to watch it untrained.")],
    results_dir: ResultsDir = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page on this machine.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the episodes.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
) -> None:
    """Watch a policy at work in the browser; drag its goal, push the robot."""
    try:
        from trainers.play.server import play as serve  # noqa: PLC0415  # an optional extra
        from trainers.play.session import Session  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in ("viser", "mjviser"):
            raise
        raise UserError(f"play needs {error.name}: pip install 'unity-robot-rl[lab]'") from None
    from trainers.stage import open_stage  # noqa: PLC0415

    with closing(open_stage(target, results_dir)) as stage:
        serve(Session(stage, seed), host, port, seconds, browser=browser)


@app.command()
def record(
    target: Annotated[str, typer.Argument(help="A task, a config or a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .demo file to write.")],
    policy: Annotated[str, typer.Option(help="scripted, random, keyboard, or a run.")] = "scripted",
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the episodes.")] = 3_000_000,
    behavior: Annotated[str | None, typer.Option(help="Whose, where the scene has several.")] = None,
    keyboard: Annotated[bool, typer.Option("--keyboard", help="Drive yourself, by the keys of this terminal.")] = False,
    speed: Annotated[float, typer.Option(min=0.01, help="With --keyboard: simulated seconds a second.")] = 1.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --keyboard: of the picture; 0: none.")] = 8080,
    results_dir: ResultsDir = None,
) -> None:
    """Record demonstrations, for behavioral_cloning and GAIL here and in ML-Agents."""
    from trainers.imitation.driving import record_by_keyboard  # noqa: PLC0415
    from trainers.imitation.recorder import record_demonstrations  # noqa: PLC0415

    check_place(output)
    if keyboard or policy == "keyboard":
        written = record_by_keyboard(target, output, episodes, seed, behavior, results_dir, speed, port or None)
        print()
    else:
        written = record_demonstrations(target, output, policy, episodes, seed, behavior, results_dir)
    solved = "" if written.solved is None else f", {written.solved:,} solved"
    length = f"{in_episodes(written.episodes)}{solved}, {written.decisions:,} steps"
    print(f"demos     {output}  ({written.behavior}, {length})")


@tasks_app.command("list")
def list_tasks() -> None:
    """List the tasks."""
    from unity_env.sim.role import all_roles  # noqa: PLC0415

    table = Table("task", "robot", "behavior", "meaning")
    for name, roles in all_roles().items():
        for role in roles:
            table.add_row(name, role.robot.name, role.behavior, role.task.meaning)
    Console(highlight=False).print(table)


@tasks_app.command("show")
def show_task(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    picture: Annotated[Path | None, typer.Option(help="Also render it to this PNG file.")] = None,
) -> None:
    """Show what a task observes, commands and signals."""
    from trainers.task_table import print_environment_parameters, print_task  # noqa: PLC0415
    from unity_env.sim.role import roles_of  # noqa: PLC0415

    try:
        roles = roles_of(task)
    except ValueError as error:
        raise UserError(str(error)) from None
    console = Console(highlight=False)
    for role in roles:
        print_task(console, role)
    print_environment_parameters(console, roles)
    if picture is not None:
        _render(task, picture)


@tasks_app.command("baseline")
def measure_baseline(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    controller: Annotated[str, typer.Option(help="scripted or random.")] = "scripted",
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the episodes.")] = 2_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure a hand-written controller, which learned policies stand beside."""
    from unity_env.sim.baselines.measure import CONTROLLERS, measure  # noqa: PLC0415

    if controller not in CONTROLLERS:
        raise UserError(f"--controller: {controller} is neither {' nor '.join(CONTROLLERS)}")
    try:
        results = {name: found.summary() for name, found in measure(task, controller, episodes, seed).items()}
    except ValueError as error:
        raise UserError(str(error)) from None
    if as_json:
        about = {"task": task, "controller": controller, "episodes": episodes, "seed": seed}
        print(json.dumps({**about, "behaviors": results}))
        return
    console = Console(highlight=False)
    console.print(f"\n[bold]{task}, {controller} controller: {in_episodes(episodes)}, seed {seed}[/]")
    joint = ["joint_success"] if any("joint_success" in means for means in results.values()) else []
    shares = ["success", *joint]
    table = Table("behavior", *(Column(name.replace("_", " "), justify="right") for name in (*shares, "length")))
    for name, means in results.items():
        table.add_row(name, *(f"{means[share]:.1%}" for share in shares), f"{means['length']:.1f}")
    console.print(table)


@tasks_app.command("verify")
def verify_task(
    env: Annotated[str, typer.Option(help="A Unity player, or sim:<task>.")],
    task: Annotated[str | None, typer.Argument(help="Name of the task; every task by default.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="With random actions.")] = VERIFY_STEPS,
    timeout: Annotated[int, typer.Option(min=1, help="Of the player's start and of every step, s.")] = VERIFY_TIMEOUT_S,
) -> None:
    """Compare a player with a task's description and the embedded simulation; exit code 1 where they differ."""
    raise typer.Exit(0 if verify_player(env, task, steps, timeout) else 1)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def player(context: typer.Context) -> None:
    """Serve the embedded simulation to any ML-Agents client, as a Unity build would: robotrl player --help."""
    from unity_env.sim.player import main as play  # noqa: PLC0415

    raise typer.Exit(play(context.args))


def _drive(
    actors: list[Path], run: Path | None, episodes: int, seed: int, transport: Literal["direct", "udp"], as_json: bool
) -> None:
    from trainers.drive import drive  # noqa: PLC0415

    driven = drive(actors, run, episodes, seed, transport)
    beside = drive(actors, run, episodes, seed, "direct", rows=1) if transport == "udp" else None
    if as_json:
        same = {} if beside is None else {"direct": _measured(beside.evaluations)}
        _print_json(driven.evaluations, seed, transport=transport, latencies_us=driven.latencies, **same)
        return
    console = Console(highlight=False)
    print_evaluations(console, driven.evaluations, f"seed {seed}, through the edge runtime ({transport})")
    if beside is not None:
        print_evaluations(console, beside.evaluations, "the same episodes of one row, without a transport")
    table = Table("microseconds", *(Column(name, justify="right") for name in ("p50", "p95", "p99", "max")))
    for name, latencies in driven.latencies.items():
        for what, found in latencies.items():
            table.add_row(f"{name}: {what}", *(f"{value:.0f}" for value in found.values()))
    console.print(table)


def _print_json(results: Mapping[str, Any], seed: int, **more: Any) -> None:
    print(json.dumps({"episodes": episodes_of(results), "seed": seed, "behaviors": _measured(results), **more}))


def _measured(results: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result.summary() | {"intervals": result.intervals()} for name, result in results.items()}


def _film(run: Path, path: Path, episodes: int, seed: int, out: TextIO) -> None:
    from trainers.stage import open_stage  # noqa: PLC0415
    from trainers.video import record  # noqa: PLC0415

    with closing(open_stage(str(run))) as stage:
        video = record(stage, "trained", path, episodes, seed)
    solved = f"{sum(video.solved)} of {episodes} episodes solved"
    print(f"video     {path}  ({video.seconds:.0f} s, {solved})", file=out)


def _render(task: str, path: Path) -> None:
    from unity_env.sim.render import RenderError, save_picture  # noqa: PLC0415

    try:
        save_picture(task, path)
    except RenderError as error:
        raise UserError(str(error)) from None
    print(f"picture   {path}")


def _run_folder(run: Path, results_dir: Path | None) -> Path:
    from trainers.run_folder import find_run  # noqa: PLC0415

    folder = find_run(run, results_dir)
    if folder is None:
        below = (results_dir or Path("results")) / run
        raise UserError(f"{run}: no run there (no configuration.yaml in {run} or {below})")
    return folder


def _check_for_unity(path: Path) -> None:
    from trainers.export.unity_check import check_unity_onnx  # noqa: PLC0415

    verdicts = check_unity_onnx(path)
    table = Table("", "rule", "found")
    for verdict in verdicts:
        table.add_row("[green]pass[/]" if verdict.passed else "[red]FAIL[/]", Text(verdict.rule), Text(verdict.found))
    console = Console(highlight=False)
    console.print(table)
    failed = sum(not verdict.passed for verdict in verdicts)
    console.print(f"{path}: {len(verdicts) - failed} of {len(verdicts)} rules hold", soft_wrap=True, markup=False)
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; errors that a user can mend are one line, not a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts us with & has the first ignored
        signal.signal(number, signal.default_int_handler)  # the second, too, lets players and files be cleared away
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows another
    sys.path.append("")  # modules that the YAML names may lie in the folder from which robotrl is called
    try:
        app(spread_env_args(sys.argv[1:]))
    except (UserError, RunError, EdgeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ValueError as error:
        from unity_env.sim.description import DescriptionError  # noqa: PLC0415

        if not isinstance(error, DescriptionError):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except OSError as error:
        print(f"error: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(RunError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
