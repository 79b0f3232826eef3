"""Tables and lines that several commands print."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_evaluations(console: Console, results: Mapping[str, Any], which: str) -> None:
    """Print what evaluations came to, a column per behavior, with their confidence intervals."""
    console.print(f"\n[bold]{in_episodes(episodes_of(results))}, {which}[/]")
    table = Table("measure")
    for name in results:
        table.add_column(name, justify="right")
    known = [(result.summary(), result.intervals()) for result in results.values()]
    for measure in dict.fromkeys(key for summary, _ in known for key in summary):
        table.add_row(measure.replace("_", " "), *(_cell(measure, *of) for of in known))
    console.print(table)
    console.print("[dim]in parentheses: 95% bootstrap confidence intervals[/]")


def _cell(measure: str, summary: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> str:
    if measure not in summary:
        return "-"
    form = ".1%" if measure.endswith("success") else ".4g" if measure.startswith("cost/") else ".2f"
    text = f"{summary[measure]:{form}}"
    if measure not in intervals:
        return text
    low, high = intervals[measure]
    return f"{text} ({low:{form}} .. {high:{form}})"


def episodes_of(results: Mapping[str, Any]) -> int:
    """Return how many episodes were measured."""
    return len(next(iter(results.values())).returns)


def in_episodes(count: int) -> str:
    """Return a number of episodes in words."""
    return "1 episode" if count == 1 else f"{count:,} episodes"


def print_exports(console: Console, exports: Mapping[str, Any]) -> None:
    """Print where the exported actors are."""
    for export in exports.values():
        made = [("unity", export.unity_onnx)] if export.unity_onnx is not None else []
        if export.differences.keys() != {"unity"}:
            made.insert(0, ("actor", export.folder))
        for index, (what, path) in enumerate(made):
            console.print(f"{what:<10}{path}", soft_wrap=True, markup=False)
            if index == 0:
                console.print(f"{'':<10}{export.parity}", soft_wrap=True, markup=False)
