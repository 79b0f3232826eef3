"""What a person sees while a run goes on: a live bar on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from trainers.evaluate import Evaluation


class _StepRate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("-- steps/s" if speed is None else f"{speed:,.0f} steps/s", style="cyan")


class Display:
    """Prints a run's course; use it as a context around the run.

    Args:
        console: where to print.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, course: Mapping[str, tuple[int, int]]) -> None:
        """Show the live bars, on a terminal; behavior -> (step, max_steps)."""
        self._bars = dict.fromkeys(course, TaskID(0))
        if not self.console.is_terminal:
            return
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f} / {task.total:,.0f}"),
            _StepRate(),
            TextColumn("[green]success {task.fields[success]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            expand=True,
        )
        for name, (step, max_steps) in course.items():
            self._bars[name] = self._progress.add_task(name, total=max_steps, completed=step, success="--")
        self._progress.start()

    def join(self, name: str, step: int, max_steps: int) -> None:
        """Show a bar for one more behavior."""
        self._bars[name] = TaskID(0)
        if self._progress is not None:
            self._bars[name] = self._progress.add_task(name, total=max_steps, completed=step, success="--")
        self.note(f"{escape(name)} has appeared in the scene and joins the training")

    def stop(self) -> None:
        """Take the live bar down."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def progress(self, name: str, step: int) -> None:
        """Move a behavior's bar."""
        if self._progress is not None:
            self._progress.update(self._bars[name], completed=step)

    def summary(self, name: str, step: int, metrics: Mapping[str, float]) -> None:
        """Print a line of training metrics."""
        parts = [self._at(name, step)]
        for label, key, form in (
            ("return", "environment/episode_return", "8.2f"),
            ("success", "environment/success", "4.0%"),
            ("length", "environment/episode_length", "6.1f"),
            ("kl", "policy/kl", "6.4f"),
            ("entropy", "policy/entropy", "6.2f"),
            ("epsilon", "policy/epsilon", "4.2f"),
            ("q", "value/q_mean", "7.2f"),
            ("steps/s", "time/steps_per_second", "7,.0f"),
        ):
            if key in metrics:
                parts.append(f"{label} {metrics[key]:{form}}")
        self.note("  ".join(parts))

    def evaluation(self, name: str, step: int, result: Evaluation, *, is_best: bool) -> None:
        """Print what an evaluation came to."""
        success = "" if result.success is None else f"success [bold]{result.success:.1%}[/]  "
        if result.joint_success is not None:
            success += f"joint success [bold]{result.joint_success:.1%}[/]  "
        best = "  [green]best so far[/]" if is_best else ""
        costs = "".join(
            f"  {escape(cost)} [{'red' if of.excess else 'green'}]{of.mean:.3g}[/] (limit {of.limit:g})"
            for cost, of in result.costs.items()
        )
        self.note(
            f"{self._at(name, step)}  [cyan]evaluation[/] of {len(result.returns)} episodes: "
            f"{success}return {result.returns.mean():.2f}  length {result.lengths.mean():.1f}{costs}{best}"
        )
        if self._progress is not None and result.success is not None:
            self._progress.update(self._bars[name], success=f"{result.success:.1%}")

    def checkpoint(self, name: str, step: int, path: Path) -> None:
        """Say that a checkpoint was written."""
        self.note(f"{self._at(name, step)}  [dim]checkpoint {escape(str(path))}[/]")

    def _at(self, name: str, step: int) -> str:
        """Begin a line: the behavior where there are several, the step."""
        return f"{escape(name)}  step {step:>9,}" if len(self._bars) > 1 else f"step {step:>9,}"

    def lesson(self, step: int, text: str) -> None:
        """Say that a lesson has begun."""
        self.note(f"step {step:>9,}  [magenta]{escape(text)}[/]")

    def note(self, text: str) -> None:
        """Print a line, as long as it is."""
        self.console.print(text, soft_wrap=True)

    def reward_table(self, behavior: str, rows: Sequence[tuple[str, str, str, str, str]], digest: str) -> None:
        """Print the terms of a reward, and the start of its content hash."""
        table = Table(title=f"Reward of {behavior} ({digest[:12]})", title_justify="left", title_style="bold")
        for header in ("name", "term", "signals", "parameters"):
            table.add_column(header)
        table.add_column("weight", justify="right")
        for name, term, signals, parameters, weight in rows:
            table.add_row(name, term, signals or "-", parameters or "-", weight)
        self.console.print(table)
