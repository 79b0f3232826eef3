"""robotrl unity: the Unity project; and what `robotrl tasks verify` does."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from trainers.errors import RunError, UserError

app = typer.Typer(help="The Unity project: its descriptions, its Editor, its players.", no_args_is_help=True)

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

    folder = project or PROJECT
    if not (folder / "Assets").is_dir():
        raise UserError(f"{folder}: no Unity project there (no Assets folder)")
    changed = [*write_descriptions(folder), *write_metas(folder)]
    for path in changed:
        print(f"wrote     {path}" if path.exists() else f"removed   {path}")
    if not changed:
        print(f"{folder} is up to date")
