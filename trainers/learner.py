"""A behavior's learner: the algorithm that its settings name, for what its agents see and do."""

from collections.abc import Callable
from functools import partial

import torch

from trainers.actors import ActionShape
from trainers.algorithms import ALGORITHMS, Algorithm
from trainers.heads import Role, heads_of
from trainers.observation import Observation, observation_of
from trainers.settings import BehaviorSettings, NetworkSettings, RunSettings
from trainers.vision import SMALLEST
from trainers.yaml_file import Document
from unity_env.agent_rows import AgentRows


def make_algorithm(rows: AgentRows, settings: RunSettings, name: str, document: Document) -> Algorithm:
    """Make a behavior's learner for its agents' observations and actions.

    Raises:
        UserError: a device that is not there, or observations, actions or value heads that the algorithm cannot handle.
    """
    behavior, spec = settings.behaviors[name], rows.spec.action_spec
    observation = _observation(rows, behavior, name, document)
    shape = ActionShape(spec.continuous_size, tuple(spec.discrete_branches))
    algorithm = ALGORITHMS[behavior.trainer_type]
    if shape.kind not in algorithm.kinds:
        able = _trainers(lambda of: shape.kind in of.kinds)
        raise document.error(
            ("behaviors", name, "trainer_type"),
            f"{behavior.trainer_type} is for {' and '.join(algorithm.kinds)} actions, this behavior's are {shape.kind} "
            f"({rows.single_action_space}); trainers for them: {able}",
        )
    _refuse_heads(behavior, name, document)
    _refuse_memory(behavior, name, document)
    if behavior.behavioral_cloning is not None and not algorithm.clones:
        able = _trainers(lambda of: of.clones)
        raise document.error(
            ("behaviors", name, "behavioral_cloning"),
            f"{behavior.trainer_type} clones no demonstrations; trainers that do: {able}",
        )
    return algorithm(
        observation,
        shape,
        rows.num_rows,
        behavior,
        settings.env_settings.seed,
        _device(settings, document),
    )


def _observation(rows: AgentRows, behavior: BehaviorSettings, name: str, document: Document) -> Observation:
    """Return what the behavior's networks read.

    Raises:
        UserError: images too small for their encoder, or signals that are not there, or that no critic reads.
    """
    at, with_signals = ("behaviors", name), behavior.critic_observations is not None
    observation = observation_of(rows, with_signals=with_signals)
    if with_signals and not ALGORITHMS[behavior.trainer_type].reads_signals:
        able = _trainers(lambda of: of.reads_signals)
        raise document.error(
            (*at, "critic_observations"), f"{behavior.trainer_type} has no critic for them; trainers that have: {able}"
        )
    if with_signals and not observation.signals:
        raise document.error((*at, "critic_observations"), "the environment sends no signals, and `signals` names none")
    _refuse_small_images(observation, behavior.network_settings, at, document)
    for signal, of in behavior.reward_signals.intrinsic.items():
        _refuse_small_images(observation, of.network_settings, (*at, "reward_signals", signal), document)
    return observation


def _refuse_small_images(
    observation: Observation, network: NetworkSettings, at: tuple[str, ...], document: Document
) -> None:
    kind = network.vis_encode_type
    for sensor in observation.sensors:
        if sensor.kind == "image" and min(sensor.shape[1:]) < SMALLEST[kind]:
            height, width = sensor.shape[1:]
            raise document.error(
                (*at, "network_settings", "vis_encode_type"),
                f"{kind} needs images of at least {SMALLEST[kind]} x {SMALLEST[kind]}, "
                f"{sensor.name} has {width} x {height}; for smaller ones: {_encoders_for(min(height, width))}",
            )


def _encoders_for(pixels: int) -> str:
    return ", ".join(kind for kind, least in SMALLEST.items() if least <= pixels)


def _refuse_memory(behavior: BehaviorSettings, name: str, document: Document) -> None:
    """Refuse a memory where nothing learns to use it."""
    if behavior.network_settings.memory is None:
        return
    path = ("behaviors", name, "network_settings", "memory")
    if not ALGORITHMS[behavior.trainer_type].remembers:
        able = _trainers(lambda of: of.remembers)
        raise document.error(path, f"{behavior.trainer_type} trains no memory; trainers that do: {able}")
    if behavior.behavioral_cloning is not None:
        raise document.error(path, "behavioral_cloning shows single moments, of which nothing can be remembered")
    if getattr(behavior.hyperparameters, "hindsight", None) is not None:
        raise document.error(path, "hindsight relabels single transitions, of which nothing can be remembered")


def _refuse_heads(behavior: BehaviorSettings, name: str, document: Document) -> None:
    """Refuse streams of rewards that the trainer learns no value of."""
    wanted: list[tuple[Role, tuple[str, ...], str]] = [
        ("cost", ("reward_shaping", "costs"), "no cost critics"),
        ("term", ("per_term_critic",), "no critic per term"),
    ]
    wanted += [
        ("intrinsic", ("reward_signals", of), "no value head for it") for of in behavior.reward_signals.intrinsic
    ]
    there = {head.role for head in heads_of(behavior)} | {"intrinsic"}
    for role, path, lack in wanted:
        if role in there and role not in ALGORITHMS[behavior.trainer_type].head_roles:
            able = _trainers(partial(_has_heads, role))
            raise document.error(
                ("behaviors", name, *path), f"{behavior.trainer_type} has {lack}; trainers that have: {able}"
            )


def _has_heads(role: Role, algorithm: type[Algorithm]) -> bool:
    return role in algorithm.head_roles


def _trainers(able: Callable[[type[Algorithm]], bool]) -> str:
    """Return the names of those that are able, for a message."""
    return ", ".join(trainer for trainer, algorithm in ALGORITHMS.items() if able(algorithm))


def _device(settings: RunSettings, document: Document) -> torch.device:
    wanted = settings.torch_settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise document.error(("torch_settings", "device"), f"{wanted}: no such device here; cpu always is") from None
    return device
