"""robotrl unity: the Unity project; and what `robotrl tasks verify` does."""

import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from trainers.errors import RunError, UserError

app = typer.Typer(help="The Unity project: its descriptions, its Editor, its players.", no_args_is_help=True)

VERIFY_STEPS, VERIFY_TIMEOUT_S = 200, 60

Project = Annotated[Path | None, typer.Argument(help="A Unity project; the one that comes along by default.")]


def verify_player(env: str, task: str | None, steps: int, timeout_s: int) -> bool:
    """Compare a player with one task, or with each in turn; print what was compared; return whether all agrees.

    Raises:
        UserError: unknown task, or no such player.
        RunError: the player did not start, or failed.
    """
    from mlagents_envs.exception import UnityException  # noqa: PLC0415  # numpy and MuJoCo load in a second

    from unity_env.sim.role import all_roles, roles_of  # noqa: PLC0415
    from unity_env.sim.verify import open_player, verify  # noqa: PLC0415

    differences = 0
    try:
        for name in [task] if task else sorted(all_roles()):
            roles_of(name)
            print(f"{name}: {env}", flush=True)
            with closing(open_player(env, name, timeout_s)) as player:
                for line in verify(player, name, steps):
                    print(f"  {line}", flush=True)
                    differences += not line.agrees
    except ValueError as error:
        raise UserError(str(error)) from None
    except UnityException as error:
        raise RunError(str(error)) from None
    print("no differences" if differences == 0 else f"{differences} difference{'s' if differences > 1 else ''}")
    return differences == 0


@app.command()
def describe(project: Project = None) -> None:
    """Write the robots' descriptions and the .meta files into the Unity project."""
    from unity_env.unity import PROJECT  # noqa: PLC0415
    from unity_env.unity.describe import write_descriptions  # noqa: PLC0415
    from unity_env.unity.metas import write_metas  # noqa: PLC0415

    folder = _existing(project or PROJECT)
    changed = [*write_descriptions(folder), *write_metas(folder)]
    for path in changed:
        print(f"wrote     {path}" if path.exists() else f"removed   {path}")
    if not changed:
        print(f"{folder} is up to date")


@app.command()
def doctor(
    project: Project = None,
    build: Annotated[bool, typer.Option("--build", help="Build the player, then verify all tasks with it.")] = False,
    target: Annotated[str, typer.Option(help="Linux, LinuxServer, Windows or MacOS.")] = "Linux",
    hub: Annotated[
        Path | None, typer.Option(help="Folder of Unity Hub's files; where the Hub keeps them by default.")
    ] = None,
) -> None:
    """Check a Unity project, find its Editor, print the build command; exit code 1 where something is missing."""
    from unity_env.unity import PROJECT  # noqa: PLC0415
    from unity_env.unity.doctor import examine  # noqa: PLC0415
    from unity_env.unity.editor import TARGETS, build_command, hub_folder, runs_here  # noqa: PLC0415
    from unity_env.unity.editor import build as build_player  # noqa: PLC0415

    folder = _existing(project or PROJECT)
    if target not in TARGETS:
        raise UserError(f"--target {target}: unknown, known are {', '.join(TARGETS)}")
    findings, editor = examine(folder, hub or hub_folder())
    for finding in findings:
        print(finding)
    if editor is None:
        raise typer.Exit(1)
    command, player = build_command(editor, folder, target), folder / TARGETS[target]
    print(f"build     {shlex.join(command)}")
    print(f"verify    robotrl tasks verify --env {shlex.quote(str(player))}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
    if build:
        player.parent.mkdir(parents=True, exist_ok=True)
        log = player.parent / "build.log"
        print(f"building, this takes minutes; the Editor's output: {log}", flush=True)
        fault = build_player(command, player, log)
        if fault:
            raise RunError(fault)
        if not runs_here(target):
            print(f"built {player}; verify it on the system that it is for")
            return
        raise typer.Exit(0 if verify_player(str(player), None, VERIFY_STEPS, VERIFY_TIMEOUT_S) else 1)


def _existing(project: Path) -> Path:
    if not (project / "Assets").is_dir():
        raise UserError(f"{project}: no Unity project there (no Assets folder)")
    return project
