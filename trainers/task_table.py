"""A task's description as tables on the terminal."""

from rich.console import Console
from rich.table import Table

from unity_env.sim.role import Role, environment_parameters
from unity_env.spaces import Component


def print_task(console: Console, role: Role) -> None:
    """Print what a robot observes, commands and signals in a task, and its numbers."""
    robot, task = role.robot, role.task
    console.print(f"[bold]{role.task_name}[/]: {task.meaning}")
    console.print(f"robot {robot.name}: {robot.meaning}")
    console.print(
        f"behavior {task.behavior}, decision every {robot.control.period_s:g} s "
        f"({role.control.substeps} physics steps), time limit {task.episode_s:g} s\n"
    )
    console.print(_components("observation", role.sensors["observation"]))
    console.print(_components("action", role.action))
    console.print(_components("signals", role.sensors["signals"]))
    numbers = Table("parameter", "value", title="parameters", title_justify="left", title_style="bold")
    for key, value in task.parameters.items():
        numbers.add_row(key, f"{value:g}" if isinstance(value, float) else ", ".join(f"{v:g}" for v in value))
    console.print(numbers)


def print_environment_parameters(console: Console, roles: tuple[Role, ...]) -> None:
    """Print what a training may set, sample or schedule in a task."""
    table = Table("name", "default", "range", "unit", "meaning")
    table.title, table.title_justify, table.title_style = "environment parameters", "left", "bold"
    for name, entry in environment_parameters(roles).items():
        low, high = entry.range
        table.add_row(name, f"{entry.default:g}", f"{low:g} .. {high:g}", entry.unit, entry.meaning)
    console.print(table)


def _components(title: str, components: tuple[Component, ...]) -> Table:
    size = sum(part.size for part in components)
    table = Table(title=f"{title} ({size} values)", title_justify="left", title_style="bold")
    for header in ("at", "name", "unit", "frame", "limit", "meaning"):
        table.add_column(header)
    start = 0
    for part in components:
        at = f"{start}" if part.size == 1 else f"{start}-{start + part.size - 1}"
        low, high = part.limit
        table.add_row(at, part.name, part.unit, part.frame, f"{low:g} .. {high:g}", part.meaning)
        start += part.size
    return table
