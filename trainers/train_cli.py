"""robotrl train: mlagents-learn's options, and a few of ours."""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console

from trainers.errors import UserError
from trainers.tables import print_evaluations, print_exports

if TYPE_CHECKING:
    from trainers.settings import RunSettings
    from trainers.yaml_file import Document

ENV_ARGS = "--env-args"
PLAYERS, ENGINE = "Environment", "Unity's engine"
HIDDEN = "of ML-Agents' older versions"
PACKAGES = ("trainers", "unity_env", "reward_shaping")


class Option(NamedTuple):
    """An option that sets a setting: its name, the setting, the type of its value (bool: a flag), help, panel."""

    name: str
    setting: str
    kind: type
    help: str
    panel: str | None = None


OPTIONS = (
    Option("run-id", "checkpoint_settings.run_id", str, "Name of the run; the config's name by default."),
    Option("resume", "checkpoint_settings.resume", bool, "Continue the run from its last checkpoint."),
    Option("force", "checkpoint_settings.force", bool, "Overwrite a run of the same id."),
    Option("initialize-from", "checkpoint_settings.initialize_from", str, "Start from the networks of this run id."),
    Option("inference", "checkpoint_settings.inference", bool, "Let policies act and learn nothing; with --resume."),
    Option("seed", "env_settings.seed", int, "Seed of everything; -1 draws one."),
    Option("results-dir", "checkpoint_settings.results_dir", str, "Where runs are kept; results by default."),
    Option("torch-device", "torch_settings.device", str, "cpu, cuda, cuda:1 ..."),
    Option("debug", "debug", bool, "Log more."),
    Option("env", "env_settings.env_path", str, "sim:<task>, or a Unity player.", PLAYERS),
    Option("num-envs", "env_settings.num_envs", int, "Simulations side by side.", PLAYERS),
    Option("num-areas", "env_settings.num_areas", int, "Training areas in each of them.", PLAYERS),
    Option("base-port", "env_settings.base_port", int, "Port of the first player; free ones by default.", PLAYERS),
    Option("timeout-wait", "env_settings.timeout_wait", int, "Seconds to wait for a player.", PLAYERS),
    Option("max-lifetime-restarts", "env_settings.max_lifetime_restarts", int, "-1: no limit.", PLAYERS),
    Option("restarts-rate-limit-n", "env_settings.restarts_rate_limit_n", int, "Likewise in a period.", PLAYERS),
    Option("restarts-rate-limit-period-s", "env_settings.restarts_rate_limit_period_s", int, "The period, s.", PLAYERS),
    Option("width", "engine_settings.width", int, "Of the window, pixels.", ENGINE),
    Option("height", "engine_settings.height", int, "Of the window, pixels.", ENGINE),
    Option("quality-level", "engine_settings.quality_level", int, "0 to 5.", ENGINE),
    Option("time-scale", "engine_settings.time_scale", float, "Unity's time scale.", ENGINE),
    Option("target-frame-rate", "engine_settings.target_frame_rate", int, "-1: Unity's default.", ENGINE),
    Option("capture-frame-rate", "engine_settings.capture_frame_rate", int, "Frames a second.", ENGINE),
    Option("no-graphics", "engine_settings.no_graphics", bool, "Without graphics.", ENGINE),
    Option("no-graphics-monitor", "engine_settings.no_graphics_monitor", bool, "Graphics for player 0 only.", ENGINE),
    Option("load", "checkpoint_settings.resume", bool, HIDDEN),
    Option("train", "checkpoint_settings.train_model", bool, HIDDEN),
)


def train(
    config: Annotated[
        str | None, typer.Argument(help="YAML file or the name of a shipped config; left out with --resume.")
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="In inference, act without the policy's randomness.")
    ] = False,
    env_args: Annotated[
        list[str] | None,
        typer.Option(ENV_ARGS, metavar="...", help="All that follows goes to the player.", rich_help_panel=PLAYERS),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key, by its dotted path.")
    ] = None,
    torch: Annotated[bool, typer.Option("--torch", hidden=True)] = False,
    tensorflow: Annotated[bool, typer.Option("--tensorflow", hidden=True)] = False,
    **options: Any,
) -> None:
    """Train, evaluate, export."""
    from trainers.config import acting_deterministically, load_settings  # noqa: PLC0415  # torch loads in seconds

    if tensorflow:
        raise UserError("--tensorflow: networks are PyTorch's, as in mlagents-learn since release 18; leave it out")
    given = {of.setting: value for of in OPTIONS if (value := options[_parameter(of)]) not in (None, False)}
    given |= {"env_settings.env_args": env_args} if env_args else {}
    settings, document = load_settings(_config_path(config, given), given, overrides or [])
    if deterministic:
        settings = acting_deterministically(settings)
    if settings.debug:
        _log_more()
    console = Console(highlight=False)
    if torch:
        console.print("--torch has no effect: networks are PyTorch's")
    (_infer if settings.checkpoint_settings.inference else _train)(settings, document, console)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with a parameter for each of OPTIONS in the place of its `**options`."""
    own = list(inspect.signature(command).parameters.values())[:-1]
    made = []
    for of in OPTIONS:
        flag = of.kind is bool
        shown = typer.Option(f"--{of.name}", help=of.help, hidden=of.help == HIDDEN, rich_help_panel=of.panel)
        wanted: Any = of.kind if flag else of.kind | None
        kind: Any = Annotated[wanted, shown]
        default = False if flag else None
        made.append(inspect.Parameter(_parameter(of), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind))

    def run(**arguments: Any) -> None:
        command(**arguments)

    run.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
    run.__annotations__ = {of.name: of.annotation for of in (*own, *made)}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def _parameter(option: Option) -> str:
    return option.name.replace("-", "_")


def spread_env_args(arguments: Sequence[str]) -> list[str]:
    """Return the command line with every argument behind --env-args as one of its own, as argparse's REMAINDER."""
    if ENV_ARGS not in arguments:
        return list(arguments)
    at = arguments.index(ENV_ARGS)
    return [*arguments[:at], *(f"{ENV_ARGS}={argument}" for argument in arguments[at + 1 :])]


def _train(settings: "RunSettings", document: "Document", console: Console) -> None:
    from trainers.display import Display  # noqa: PLC0415
    from trainers.train import train as train_run  # noqa: PLC0415

    try:
        with Display(console) as display:
            result = train_run(settings, document, display)
    except KeyboardInterrupt:
        console.print(f"stopped at once; {_how_to_go_on(settings)}", soft_wrap=True, markup=False)
        raise typer.Exit(130) from None
    if not result.exports:
        console.print(f"stopped at step {result.step:,}; {_how_to_go_on(settings)}", soft_wrap=True, markup=False)
        raise typer.Exit(130)
    if result.evaluations:
        print_evaluations(console, result.evaluations, "held out from training")
    print_exports(console, result.exports)
    console.print(f"run       {result.folder.root}", soft_wrap=True, markup=False)
    console.print(f"curves    tensorboard --logdir {result.folder.root}", soft_wrap=True, markup=False)


def _how_to_go_on(settings: "RunSettings") -> str:
    chosen = settings.checkpoint_settings
    if not any((Path(chosen.results_dir) / chosen.run_id).glob("*/checkpoint.pt")):
        return "there is no checkpoint yet"
    elsewhere = f" --results-dir {chosen.results_dir}" if chosen.results_dir != "results" else ""
    return f"continue with --resume --run-id {chosen.run_id}{elsewhere}"


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


def _config_path(config: str | None, given: Mapping[str, Any]) -> Path:
    from trainers.config import find_config  # noqa: PLC0415

    if config is not None:
        return find_config(config)
    run_id = given.get("checkpoint_settings.run_id")
    if not (given.get("checkpoint_settings.resume") and run_id):
        raise UserError("name a config, for example: robotrl train arm_reach_ppo; or --resume with a --run-id")
    path = Path(given.get("checkpoint_settings.results_dir", "results"), run_id, "configuration.yaml")
    if not path.is_file():
        raise UserError(f"--resume: no {path}; check --run-id and --results-dir")
    return path
