"""A task's description as tables on the terminal."""

from rich.console import Console
from rich.table import Table

from unity_env.sim.description import RobotDescription, TaskDescription
from unity_env.spaces import Component


def print_task(console: Console, name: str, robot: RobotDescription, task: TaskDescription) -> None:
    """Print what a task observes, commands and signals, and its numbers."""
    console.print(f"[bold]{name}[/]: {task.meaning}")
    console.print(f"robot {robot.name}: {robot.meaning}")
    console.print(
        f"behavior {task.behavior}, decision every {robot.control.period_s:g} s "
        f"({robot.control.substeps} physics steps), time limit {task.episode_s:g} s\n"
    )
    action = tuple(part.named(action) for action, part in robot.action.items())
    console.print(_components("observation", robot.select(task.observation)))
    console.print(_components("action", action))
    console.print(_components("signals", robot.select(task.signals)))
    numbers = Table("parameter", "value", title="parameters", title_justify="left", title_style="bold")
    for key, value in task.parameters.items():
        numbers.add_row(key, f"{value:g}" if isinstance(value, float) else " .. ".join(f"{v:g}" for v in value))
    console.print(numbers)


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
