"""A reward's file, and what is known of the training that it is meant for."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from reward_shaping import ENV_REWARD_ONLY, RewardSettings
from reward_shaping.cases import RewardFile
from reward_shaping.lint import Facts, SignalFacts
from trainers.config import CONFIGS_DIR, find_config, load_settings
from trainers.errors import UserError
from trainers.record import choose_behavior
from trainers.settings import RunSettings
from trainers.yaml_file import Document, Key, read_yaml, validate
from unity_env.sim.role import Role, find_role, roles_of
from unity_env.spaces import SIGNALS_SENSOR

REWARDS_DIR = CONFIGS_DIR / "rewards"


@dataclass(frozen=True)
class Meant:
    """What the command line says of the training that a reward is meant for.

    Attributes:
        config: a config that trains with it.
        task: or an embedded task.
        behavior: of either; may be left out where there is one.
        gamma: discount, instead of the config's.
    """

    config: str | None = None
    task: str | None = None
    behavior: str | None = None
    gamma: float | None = None


@dataclass(frozen=True)
class OpenReward:
    """A reward to look at.

    Attributes:
        settings: the reward.
        document: the file in which it stands, for messages.
        at: keys under which it stands there.
        facts: what is known of its training.
    """

    settings: RewardSettings
    document: Document
    at: Key
    facts: Facts

    def where(self, path: tuple[str, ...]) -> str:
        """Return file:line of a setting of the reward."""
        return self.document.where((*self.at, *path))

    def error(self, path: tuple[str, ...], message: str) -> UserError:
        """Return an error that points at a setting of the reward."""
        return self.document.error((*self.at, *path), message)


def open_reward(name: str, meant: Meant) -> OpenReward:
    """Open a reward's file, or the reward of a config's behavior.

    Args:
        name: a file, a shipped reward or a shipped config, with or without .yaml.
        meant: for which training.

    Raises:
        UserError: there is no such thing, or it does not fit its schema.
    """
    path = find_reward(name)
    document = read_yaml(path, "terms")
    if "behaviors" in document.data and "terms" not in document.data:
        settings, document = load_settings(path)
        behavior = choose_behavior(settings, meant.behavior)
        shaping = settings.behaviors[behavior].reward_shaping or ENV_REWARD_ONLY
        return OpenReward(
            shaping,
            document,
            ("behaviors", behavior, "reward_shaping"),
            _of_config(settings, behavior, document, meant),
        )
    return OpenReward(validate(RewardFile, document.data, document), document, (), _facts(meant, path))


def read_cases(name: str) -> tuple[RewardFile, Document]:
    """Read a reward's file with its cases.

    Raises:
        UserError: there is no such file, it does not fit its schema, or it has no cases.
    """
    document = read_yaml(find_reward(name), "terms")
    file = validate(RewardFile, document.data, document)
    if not file.cases:
        raise document.error((), "has no cases; expected cases: name -> signals, next_signals, expect, better_than ...")
    return file, document


def find_reward(name: str) -> Path:
    """Return the file called `name`, or the shipped reward or config of that name, with or without .yaml.

    Raises:
        UserError: there is none.
    """
    given = Path(name)
    if given.is_file():
        return given
    for shipped in (REWARDS_DIR / name, REWARDS_DIR / f"{name}.yaml", CONFIGS_DIR / f"{name}.yaml", CONFIGS_DIR / name):
        if shipped.is_file():
            here = Path.cwd()
            return shipped.relative_to(here) if shipped.is_relative_to(here) else shipped
    known = ", ".join(str(path.relative_to(REWARDS_DIR).with_suffix("")) for path in shipped_rewards())
    raise UserError(f"{name}: no such file, and not one of the shipped rewards: {known}")


def shipped_rewards() -> list[Path]:
    """Return the files of all shipped rewards, the bad ones last."""
    return sorted(REWARDS_DIR.rglob("*.yaml"), key=lambda path: (len(path.parts), path))


def _facts(meant: Meant, path: Path) -> Facts:
    if meant.config is not None:
        if meant.task is not None:
            raise UserError("--task: the config has an environment of its own; expected one of --config and --task")
        settings, document = load_settings(find_config(meant.config))
        behavior = meant.behavior or _trained_with(path, settings, document)
        return _of_config(settings, choose_behavior(settings, behavior), document, meant)
    if meant.task is not None:
        return replace(_of_role(_role(meant.task, meant.behavior)), gamma=meant.gamma)
    return Facts(gamma=meant.gamma)


def _trained_with(path: Path, settings: RunSettings, document: Document) -> str | None:
    """Return the behavior whose reward stands in a file; None where there is none."""
    files = {name: document.included.get(("behaviors", name, "reward_shaping")) for name in settings.behaviors}
    return next((name for name, of in files.items() if of and Path(of.source).samefile(path)), None)


def _of_config(settings: RunSettings, name: str, document: Document, meant: Meant) -> Facts:
    """Return what a config says of a behavior's training, as `trainers.world` has it."""
    behavior, world = settings.behaviors[name], settings.env_settings
    named = {signal: SignalFacts(part.size) for signal, part in behavior.signals.items()}
    gamma = behavior.reward_signals.extrinsic.gamma if meant.gamma is None else meant.gamma
    task = world.sim_task or world.task
    if task is None:
        return Facts(signals=named or None, gamma=gamma)
    try:
        facts = _of_role(find_role(task, name))
    except ValueError as error:
        raise document.error(("behaviors", name), str(error)) from None
    return replace(
        facts,
        signals={**(facts.signals or {}), **named},
        observed={*(facts.observed or ()), *named},
        gamma=gamma,
    )


def _role(task: str, behavior: str | None) -> Role:
    try:
        roles = {role.behavior: role for role in roles_of(task)}
    except ValueError as error:
        raise UserError(f"--task: {error}") from None
    if behavior is None and len(roles) == 1:
        return next(iter(roles.values()))
    if behavior not in roles:
        raise UserError(f"--behavior: {behavior or 'is missing'}; expected one of {', '.join(roles)}")
    return roles[behavior]


def _of_role(role: Role) -> Facts:
    signals = {part.name: SignalFacts(part.size, part.limit, part.unit) for part in role.sensors[SIGNALS_SENSOR]}
    observed = {part.name for sensor, parts in role.sensors.items() if sensor != SIGNALS_SENSOR for part in parts}
    period = role.control.period_s
    return Facts(
        signals=signals,
        observed=observed,
        period_s=period,
        episode_steps=math.ceil(role.task.episode_s / period),
        action_size=len(role.choices) or role.command_size,
        ends=role.task.ends,
    )
