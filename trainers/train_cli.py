"""robotrl train: mlagents-learn's options, and a few of ours."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from trainers.errors import UserError
from trainers.tables import print_evaluations, print_exports

if TYPE_CHECKING:
    from trainers.settings import RunSettings
    from trainers.yaml_file import Document

ENV_ARGS = "--env-args"
PLAYERS, ENGINE = "Environment", "Unity's engine"
PACKAGES = ("trainers", "unity_env", "reward_shaping")


def train(
    config: Annotated[
        str | None, typer.Argument(help="YAML file or the name of a shipped config; left out with --resume.")
    ] = None,
    run_id: Annotated[str | None, typer.Option(help="Name of the run; the config's name by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run from its last checkpoint.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a run of the same id.")] = False,
    initialize_from: Annotated[
        str | None, typer.Option(metavar="RUN_ID", help="Start from the networks of this run.")
    ] = None,
    inference: Annotated[
        bool, typer.Option("--inference", help="Let the policies act and learn nothing; with --resume.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="In inference, act without the policy's randomness.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of everything; -1 draws one.")] = None,
    results_dir: Annotated[Path | None, typer.Option(help="Where runs are kept; results by default.")] = None,
    torch_device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log more.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key, by its dotted path.")
    ] = None,
    env: Annotated[str | None, typer.Option(help="sim:<task>, or a Unity player.", rich_help_panel=PLAYERS)] = None,
    env_args: Annotated[
        list[str] | None,
        typer.Option(ENV_ARGS, metavar="...", help="All that follows goes to the player.", rich_help_panel=PLAYERS),
    ] = None,
    num_envs: Annotated[int | None, typer.Option(help="Simulations side by side.", rich_help_panel=PLAYERS)] = None,
    num_areas: Annotated[
        int | None, typer.Option(help="Training areas in each of them.", rich_help_panel=PLAYERS)
    ] = None,
    base_port: Annotated[
        int | None, typer.Option(help="Port of the first player; free ones by default.", rich_help_panel=PLAYERS)
    ] = None,
    timeout_wait: Annotated[
        int | None, typer.Option(help="Seconds to wait for a player.", rich_help_panel=PLAYERS)
    ] = None,
    max_lifetime_restarts: Annotated[
        int | None, typer.Option(help="Restarts of a player that dies; -1: no limit.", rich_help_panel=PLAYERS)
    ] = None,
    restarts_rate_limit_n: Annotated[
        int | None, typer.Option(help="The same within a period; -1: no limit.", rich_help_panel=PLAYERS)
    ] = None,
    restarts_rate_limit_period_s: Annotated[
        int | None, typer.Option(help="That period, seconds.", rich_help_panel=PLAYERS)
    ] = None,
    width: Annotated[int | None, typer.Option(help="Of the window, pixels.", rich_help_panel=ENGINE)] = None,
    height: Annotated[int | None, typer.Option(help="Of the window, pixels.", rich_help_panel=ENGINE)] = None,
    quality_level: Annotated[int | None, typer.Option(help="0 to 5.", rich_help_panel=ENGINE)] = None,
    time_scale: Annotated[float | None, typer.Option(help="Unity's time scale.", rich_help_panel=ENGINE)] = None,
    target_frame_rate: Annotated[int | None, typer.Option(help="-1: Unity's default.", rich_help_panel=ENGINE)] = None,
    capture_frame_rate: Annotated[int | None, typer.Option(help="Frames a second.", rich_help_panel=ENGINE)] = None,
    no_graphics: Annotated[
        bool, typer.Option("--no-graphics", help="Without graphics.", rich_help_panel=ENGINE)
    ] = False,
    no_graphics_monitor: Annotated[
        bool, typer.Option("--no-graphics-monitor", help="Graphics for player 0 only.", rich_help_panel=ENGINE)
    ] = False,
    load_model: Annotated[bool, typer.Option("--load", hidden=True)] = False,
    train_model: Annotated[bool, typer.Option("--train", hidden=True)] = False,
    torch_wanted: Annotated[bool, typer.Option("--torch", hidden=True)] = False,
    tensorflow_wanted: Annotated[bool, typer.Option("--tensorflow", hidden=True)] = False,
) -> None:
    """Train, evaluate, export."""
    from trainers.config import acting_deterministically, load_settings  # noqa: PLC0415  # torch loads in seconds: not for --help

    if tensorflow_wanted:
        raise UserError("--tensorflow: networks are PyTorch's, as in mlagents-learn since release 18; leave it out")
    options = {
        "checkpoint_settings.run_id": run_id,
        "checkpoint_settings.resume": resume or load_model or None,
        "checkpoint_settings.force": force or None,
        "checkpoint_settings.initialize_from": initialize_from,
        "checkpoint_settings.inference": inference or None,
        "checkpoint_settings.train_model": train_model or None,
        "checkpoint_settings.results_dir": None if results_dir is None else str(results_dir),
        "torch_settings.device": torch_device,
        "debug": debug or None,
        "env_settings.env_path": env,
        "env_settings.env_args": env_args or None,
        "env_settings.seed": seed,
        "env_settings.num_envs": num_envs,
        "env_settings.num_areas": num_areas,
        "env_settings.base_port": base_port,
        "env_settings.timeout_wait": timeout_wait,
        "env_settings.max_lifetime_restarts": max_lifetime_restarts,
        "env_settings.restarts_rate_limit_n": restarts_rate_limit_n,
        "env_settings.restarts_rate_limit_period_s": restarts_rate_limit_period_s,
        "engine_settings.width": width,
        "engine_settings.height": height,
        "engine_settings.quality_level": quality_level,
        "engine_settings.time_scale": time_scale,
        "engine_settings.target_frame_rate": target_frame_rate,
        "engine_settings.capture_frame_rate": capture_frame_rate,
        "engine_settings.no_graphics": no_graphics or None,
        "engine_settings.no_graphics_monitor": no_graphics_monitor or None,
    }
    path = _config_path(config, run_id, results_dir, resume=resume or load_model)
    given = {key: value for key, value in options.items() if value is not None}
    settings, document = load_settings(path, given, overrides or [])
    if deterministic:
        settings = acting_deterministically(settings)
    if settings.debug:
        _log_more()
    console = Console(highlight=False)
    if torch_wanted:
        console.print("--torch has no effect: networks are PyTorch's")
    (_infer if settings.checkpoint_settings.inference else _train)(settings, document, console)


def spread_env_args(arguments: Sequence[str]) -> list[str]:
    """Return the command line with every argument behind --env-args as one of its own, as argparse's REMAINDER."""
    if ENV_ARGS not in arguments:
        return list(arguments)
    at = arguments.index(ENV_ARGS)
    return [*arguments[:at], *(f"{ENV_ARGS}={argument}" for argument in arguments[at + 1 :])]


def _train(settings: "RunSettings", document: "Document", console: Console) -> None:
    from trainers.display import Display  # noqa: PLC0415
    from trainers.train import train as train_run  # noqa: PLC0415

    with Display(console) as display:
        result = train_run(settings, document, display)
    if not result.exports:
        console.print(f"stopped at step {result.step:,}; continue with --resume --run-id {result.folder.root.name}")
        raise typer.Exit(130)
    if result.evaluations:
        print_evaluations(console, result.evaluations, "held out from training")
    print_exports(console, result.exports)
    console.print(f"run       {result.folder.root}", soft_wrap=True, markup=False)
    console.print(f"curves    tensorboard --logdir {result.folder.root}", soft_wrap=True, markup=False)


def _infer(settings: "RunSettings", document: "Document", console: Console) -> None:
    from trainers.display import Display  # noqa: PLC0415
    from trainers.inference import infer  # noqa: PLC0415

    with Display(console) as display:
        done = infer(settings, document, display)
    steps = ", ".join(f"{name} {count:,}" for name, count in done.steps.items())
    console.print(f"{'stopped' if done.stopped else 'done':<10}{steps} steps, nothing learned", soft_wrap=True)
    console.print(f"log       {done.log}", soft_wrap=True, markup=False)


def _log_more() -> None:
    """Let this project's packages log to standard error whatever they have to say."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.setLevel(logging.DEBUG)
        logger.handlers = [handler]


def _config_path(config: str | None, run_id: str | None, results_dir: Path | None, *, resume: bool) -> Path:
    from trainers.config import find_config  # noqa: PLC0415

    if config is not None:
        return find_config(config)
    if not (resume and run_id):
        raise UserError("name a config, for example: robotrl train arm_reach_ppo; or --resume with a --run-id")
    path = (results_dir or Path("results")) / run_id / "configuration.yaml"
    if not path.is_file():
        raise UserError(f"--resume: no {path}; check --run-id and --results-dir")
    return path
