"""robotrl rewards: what reward terms there are, what a reward comes to, what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from trainers.errors import UserError
from trainers.files import check_place
from trainers.tables import in_episodes

if TYPE_CHECKING:
    from reward_shaping.lint import Finding
    from reward_shaping.recording import Recording
    from trainers.reward_file import OpenReward

app = typer.Typer(help="Reward functions: their terms, their numbers, their faults.", no_args_is_help=True)

RewardName = Annotated[
    str, typer.Argument(metavar="REWARD", help="A reward's file, a shipped reward, or a config with a reward.")
]
Config = Annotated[str | None, typer.Option(help="The config that trains with it.")]
Task = Annotated[str | None, typer.Option(help="Or the task that it is for.")]
Behavior = Annotated[str | None, typer.Option(help="Of the config or the task, where it has several.")]
Gamma = Annotated[float | None, typer.Option(min=0, max=1, help="Discount; the config's by default.")]


@app.command("list")
def list_terms() -> None:
    """List the terms that a reward may be made of."""
    from reward_shaping import RewardError  # noqa: PLC0415
    from reward_shaping.registry import all_terms  # noqa: PLC0415

    try:
        terms = all_terms()
    except RewardError as error:
        raise UserError(str(error)) from None
    console = _console()
    for name, term in terms.items():
        low, high = term.range
        unit = "" if term.unit == "1" else f" {term.unit}"
        state = ", state" if term.is_state else ""
        more = f"  sign {term.sign:+d}{', per second' if term.scales_with_period else ''}"
        console.print(f"[bold]{name:16}[/] {f'{term.kind}{state}':18} {_number(low)} .. {_number(high)}{unit}{more}")
        about = (term.function.__doc__ or "").partition("\n")[0]
        reads = f"reads {', '.join(term.inputs)}" + "".join(
            f"{'; parameters' if index == 0 else ','} {key}"
            + ("" if field.is_required() else f"={_number(field.default)}")
            for index, (key, field) in enumerate(term.parameters.model_fields.items())
        )
        console.print(Padding(Text(about), (0, 0, 0, 4), expand=False))
        console.print(Padding(Text(reads, style="dim"), (0, 0, 0, 4), expand=False))
    console.print("\nA term marked state may also be used as potential (gamma x' - x) or gain (x' - x).", style="dim")
    console.print(
        "Less is wanted of one with sign -1. With per_second: true in the reward, weights of those", style="dim"
    )
    console.print("marked per second are per second, not per step.", style="dim")


@app.command()
def show(
    reward: RewardName, config: Config = None, task: Task = None, behavior: Behavior = None, gamma: Gamma = None
) -> None:
    """Show what a reward comes to: its terms, their weights, and what each may pay in a step."""
    from reward_shaping import RewardError  # noqa: PLC0415
    from reward_shaping.lint.linter import build  # noqa: PLC0415
    from reward_shaping.lint.show import payments  # noqa: PLC0415
    from trainers.reward_file import Meant, open_reward  # noqa: PLC0415

    opened = open_reward(reward, Meant(config, task, behavior, gamma))
    try:
        built = build(opened.settings, opened.facts)
        rows = payments(built, opened.facts)
    except RewardError as error:
        raise opened.error(error.path, str(error)) from None
    table = Table(
        *(Column(name, overflow="fold") for name in ("name", "term", "kind")),
        *(Column(name, overflow="fold", justify="right") for name in ("weight", "pays per step")),
    )
    for row in rows:
        table.add_row(*row)
    console = _console()
    console.print(table)
    known = opened.facts.gamma
    console.print(f"gamma     {'not known: --config or --gamma tells' if known is None else f'{known:g}'}")
    if opened.settings.only_positive:
        console.print("total     at least 0 (only_positive)")
    if known is None and any(entry.use == "potential" for entry in built.entries):
        console.print("hash      depends on gamma")
    else:
        console.print(f"hash      {built.content_hash}", soft_wrap=True)


@app.command()
def lint(
    reward: RewardName,
    config: Config = None,
    task: Task = None,
    behavior: Behavior = None,
    gamma: Gamma = None,
    recording: Annotated[Path | None, typer.Option(help="What `rewards record` has written.")] = None,
) -> None:
    """Tell what is wrong with a reward, before a second of training; exit code 1 where there is an error."""
    from reward_shaping import RewardError  # noqa: PLC0415
    from reward_shaping.lint import lint as look  # noqa: PLC0415
    from trainers.reward_file import Meant, open_reward  # noqa: PLC0415

    opened = open_reward(reward, Meant(config, task, behavior, gamma))
    recorded = None if recording is None else _load(recording)
    try:
        findings = look(opened.settings, opened.facts, recorded)
    except RewardError as error:
        raise opened.error(error.path, str(error)) from None
    console = _console()
    for finding in findings:
        _print_finding(console, finding, opened)
    _print_verdict(console, findings, opened, recorded)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


@app.command()
def test(reward: RewardName) -> None:
    """Run the cases that a reward's file keeps; exit code 1 where one fails."""
    from reward_shaping import RewardError  # noqa: PLC0415
    from reward_shaping.cases import run_cases  # noqa: PLC0415
    from trainers.reward_file import read_cases  # noqa: PLC0415

    file, document = read_cases(reward)
    try:
        outcomes = run_cases(file)
    except RewardError as error:
        raise document.error(error.path, str(error)) from None
    named = (Column(name, overflow="fold") for name in ("case", "expected"))
    table = Table(*named, Column("got", justify="right"), "")
    for outcome in outcomes:
        verdict = Text("ok", style="green") if outcome.passed else Text("FAILED", style="bold red")
        table.add_row(outcome.case, outcome.expected, f"{outcome.got:.6g}", verdict)
    console = _console()
    console.print(table)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        line = f"{document.where(outcome.path)}: {outcome.case}: expected {outcome.expected}, got {outcome.got:.9g}"
        console.print(line, soft_wrap=True, markup=False)
    console.print(f"{len(outcomes) - len(failed)} of {len(outcomes)} expectations met")
    if failed:
        raise typer.Exit(1)


@app.command()
def record(
    target: Annotated[str, typer.Argument(help="A task, a config or a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")],
    policy: Annotated[str, typer.Option(help="random, scripted, or a run.")] = "random",
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the episodes.")] = 3_000_000,
    behavior: Behavior = None,
    results_dir: Annotated[Path | None, typer.Option(help="Where runs are kept; results by default.")] = None,
) -> None:
    """Record what an environment signals while a policy acts, for `lint --recording`."""
    from trainers.record import record as record_episodes  # noqa: PLC0415

    check_place(output)
    recording = record_episodes(target, policy, episodes, seed, behavior, results_dir)
    recording.save(output)
    solved = recording.solved
    share = "" if solved is None else f", {int(solved.sum()):,} solved"
    _console().print(
        f"recording {output}  ({in_episodes(recording.episodes)}{share}, {len(recording):,} steps, "
        f"{len(recording.transition.signals)} signals)",
        soft_wrap=True,
        markup=False,
    )


def _load(path: Path) -> "Recording":
    from reward_shaping.recording import Recording, RecordingError  # noqa: PLC0415

    try:
        return Recording.load(path)
    except OSError as error:
        raise UserError(f"--recording: {path}: {error.strerror}; robotrl rewards record writes one") from None
    except RecordingError as error:
        raise UserError(f"--recording: {error}") from None


def _print_finding(console: Console, finding: "Finding", opened: "OpenReward") -> None:
    style = "bold red" if finding.severity == "error" else "bold yellow"
    head = Text.assemble((finding.severity, style), "  ", (finding.rule, "bold"), f"  {opened.where(finding.path)}")
    console.print(head, soft_wrap=True)
    console.print(Padding(Text(f"{'.'.join(finding.path)}: {finding.what}"), (0, 0, 0, 4), expand=False))
    if finding.right:
        console.print(Padding(Text(f"right would be: {finding.right}"), (0, 0, 1, 4), expand=False))


def _print_verdict(
    console: Console, findings: list["Finding"], opened: "OpenReward", recorded: "Recording | None"
) -> None:
    facts = opened.facts
    known = [] if facts.gamma is None else [f"gamma {facts.gamma:g}"]
    known += [] if facts.signals is None else [f"{len(facts.signals)} signals"]
    known += [] if recorded is None else [f"{len(recorded):,} recorded steps"]
    errors = sum(finding.severity == "error" for finding in findings)
    text = f"{_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}" if findings else "nothing found"
    console.print(f"{text}  ({', '.join([_count(len(opened.settings.terms), 'term'), *known])})")
    if facts.gamma is None:
        console.print(
            "gamma is not known: name --config or --gamma, and what waiting and failing pay is looked at, too"
        )
    if facts.signals is None and recorded is None:
        console.print("the signals are not known: with --config or --task, they are looked at, too")


def _console() -> Console:
    return Console(highlight=False)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
