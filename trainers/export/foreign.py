"""Actors that Stable-Baselines3 or rsl_rl have trained, exported as our own are.

A short YAML stands beside the state dict:

    library: stable_baselines3          # or rsl_rl
    weights: policy.pth                 # torch.save of the state dict; rsl_rl's model_<n>.pt as it is
    behavior: RobotArm
    task: arm_reach                     # optional: names, units and order of what goes in and out
    activation: tanh                    # of the hidden layers; the library's default where it is left out
    clip: 1.0                           # actions are clipped to this and divided by it; needed for rsl_rl
    branches: [9]                       # where the actions are choices
    observation: {mean: [..], var: [..], epsilon: 1.0e-8, clip: 10.0}      # VecNormalize's, where it was used
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from trainers.actors import ActionShape, Actor
from trainers.choices import best, masked
from trainers.edge.bundle import sha256
from trainers.errors import UserError
from trainers.export import card as cards
from trainers.export.bundle import Export, Options, Trained, write_bundle
from trainers.networks import ACTIVATIONS, Encoder
from trainers.settings import NetworkSettings
from trainers.yaml_file import Document, read_yaml, validate
from unity_env.settings import PositiveFloat, PositiveInt, Settings

Squash = Literal["clip", "tanh"]
Activation = Literal["swish", "relu", "leaky_relu", "tanh", "elu"]
RSL_RL_EPSILON = 1e-2  # what its EmpiricalNormalization adds to the standard deviation

# what a network has beside a multilayer perceptron: convolutions, a memory
OTHER_PARTS = re.compile(r"(.*\.)?((pi_)?features_extractor|lstm_actor|memory_[as]|rnn|(actor_)?cnns?)\..*")


class Layout(NamedTuple):
    """How a library names the layers of an actor.

    Attributes:
        pattern: of the layers before the last.
        last: name of the last one; None where it is the last of the pattern.
        squash: how actions are bounded.
        activation: the library's default.
        numbers: tensor that only actors have whose actions are numbers; "" where all are, None where none is.
    """

    pattern: str
    last: str | None
    squash: Squash
    activation: Activation
    numbers: str | None = ""


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "stable_baselines3": (
        Layout(r"mlp_extractor\.policy_net\.(\d+)", "action_net", "clip", "tanh", "log_std"),  # PPO, A2C
        Layout(r"actor\.latent_pi\.(\d+)", "actor.mu", "tanh", "relu"),  # SAC
        Layout(r"actor\.mu\.(\d+)", None, "tanh", "relu"),  # TD3, DDPG
        Layout(r"q_net\.q_net\.(\d+)", None, "clip", "relu", None),  # DQN
    ),
    "rsl_rl": (Layout(r"actor\.(\d+)", None, "clip", "elu"), Layout(r"mlp\.(\d+)", None, "clip", "elu")),
}


class ObservationStatistics(Settings):
    """(x - mean) / sqrt(var + epsilon), clipped."""

    mean: list[float]
    var: list[Annotated[float, Field(ge=0)]]
    epsilon: PositiveFloat = 1e-8
    clip: PositiveFloat = 10.0


class ForeignSettings(Settings):
    """What a state dict does not say of itself.

    Attributes:
        library: that trained it.
        weights: file of the state dict, from the YAML's folder.
        behavior: ML-Agents' name for it.
        task: of ours that it solves; null where it is another.
        activation: of the hidden layers; null takes the library's default.
        clip: actions are clipped to this and divided by it; null takes 1 where the library clips to the action space.
        branches: number of choices of each branch; none where actions are numbers.
        observation: statistics that observations are standardised with; null leaves them.
    """

    library: Literal["stable_baselines3", "rsl_rl"]
    weights: str
    behavior: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    task: str | None = None
    activation: Activation | None = None
    clip: PositiveFloat | None = None
    branches: list[PositiveInt] = Field(default=[])
    observation: ObservationStatistics | None = None


class Standardizer(nn.Module):
    """clamp((x - mean) * factor, -clip, clip), with constants."""

    mean: Tensor
    factor: Tensor

    def __init__(self, mean: Tensor, factor: Tensor, clip: float) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("factor", factor)
        self.clip = clip

    def forward(self, obs: Tensor) -> Tensor:
        """Standardise (..., D)."""
        return ((obs - self.mean) * self.factor).clamp(-self.clip, self.clip)


class ForeignEncoder(Encoder):
    """The hidden layers, of any widths."""

    def __init__(self, layers: list[nn.Module], obs_size: int, output_size: int) -> None:
        nn.Sequential.__init__(self, *layers)
        self.obs_size, self.output_size = obs_size, output_size


class ForeignActor(Actor):
    """A multilayer perceptron that decides without randomness."""

    def __init__(self, encoder: ForeignEncoder, last: nn.Linear, shape: ActionShape, clip: float | None) -> None:
        super().__init__(encoder.obs_size, shape, NetworkSettings(hidden_units=1, num_layers=1))
        self.encoder, self.last, self.clip = encoder, last, clip

    def scores(self, obs: Tensor) -> list[Tensor]:
        """Return logits or action values."""
        return masked(self.last(self.encoder(obs)), obs, self.shape) if self.shape.branches else []

    def action(self, obs: Tensor) -> Tensor:
        """Return the mean within its bounds, or the best choices."""
        if self.shape.branches:
            return best(self.scores(obs))
        mean: Tensor = self.last(self.encoder(obs))
        return torch.tanh(mean) if self.clip is None else mean.clamp(-self.clip, self.clip) / self.clip

    def random_action(self, obs: Tensor) -> Tensor:
        """Return the same: how it explored is not imported."""
        return self.action(obs)


def export_foreign(path: Path, output: Path | None, options: Options) -> Export:
    """Export what a YAML file describes.

    Args:
        path: of the YAML.
        output: folder of the bundle; by default one of the YAML's name beside it.
        options: what to export.

    Raises:
        UserError: the YAML or the state dict is not what is described here.
        RunError: the export failed.
    """
    document = read_yaml(path)
    settings = validate(ForeignSettings, document.data, document)
    weights = path.parent / settings.weights
    actor = make_actor(settings, _load(weights, document), weights, document)
    try:
        card = cards.base_card(settings.behavior, actor, settings.task)
    except ValueError as error:
        raise document.error(("task",), str(error)) from None
    _check_sizes(card, actor, document)
    made = cards.made_now() | {"library": settings.library, "weights": weights.name}
    card |= {"success_measured": None, "provenance": made | {"weights_sha256": sha256(weights)}}
    target = output or path.with_suffix("")
    unity = target.parent / f"{settings.behavior}.onnx"
    return write_bundle(Trained(actor.eval(), card, weights), target, unity, options)


def _load(path: Path, document: Document) -> dict[str, Tensor]:
    if not path.is_file():
        raise document.error(("weights",), f"no such file: {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise UserError(
            f"{path}: not a state dict that torch reads with weights_only ({type(error).__name__})"
        ) from None
    for key in ("model_state_dict", "actor_state_dict"):  # rsl_rl's checkpoints
        if isinstance(state, dict) and isinstance(state.get(key), Mapping):
            state = {**state[key], **_prefixed(state.get("obs_norm_state_dict"))}
    tensors = _tensors(state)
    if not tensors:
        raise UserError(f"{path}: not a state dict: there are no tensors in it")
    return tensors


def _tensors(state: Any) -> dict[str, Tensor]:
    if not isinstance(state, dict):
        return {}
    return {name: of for name, of in state.items() if isinstance(name, str) and isinstance(of, Tensor)}


def _prefixed(state: Any) -> dict[str, Any]:
    return {f"obs_normalizer.{key}": value for key, value in state.items()} if isinstance(state, Mapping) else {}


def make_actor(settings: ForeignSettings, state: Mapping[str, Tensor], path: Path, document: Document) -> ForeignActor:
    """Build the network that a state dict is of.

    Raises:
        UserError: it is not the actor of such a library, or has layers that do not follow each other.
    """
    weights, layout = _layers(settings.library, state, path)
    linears = [_linear(state, name, path) for name in weights]
    for (first, name), (second, after) in pairwise(zip(linears, weights, strict=True)):
        if first.out_features != second.in_features:
            raise UserError(
                f"{path}: {name} has {first.out_features} outputs, {after} {second.in_features} inputs; not a plain MLP"
            )
    size, last = linears[0].in_features, linears[-1]
    if not settings.branches and (layout.numbers is None or layout.numbers not in {"", *state}):
        raise document.error(("library",), f"branches is missing: the {last.out_features} outputs are choices")
    if settings.branches and sum(settings.branches) != last.out_features:
        raise document.error(
            ("branches",), f"{sum(settings.branches)} choices in all, {weights[-1]} has {last.out_features}"
        )
    shape = ActionShape(0, tuple(settings.branches)) if settings.branches else ActionShape(last.out_features)
    layers: list[nn.Module] = _standardizer(settings, state, size, document)
    for linear in linears[:-1]:
        layers += [linear, ACTIVATIONS[settings.activation or layout.activation]()]
    clip = None if layout.squash == "tanh" else settings.clip
    if layout.squash == "clip" and clip is None:
        if settings.library == "rsl_rl" and not settings.branches:
            raise document.error(("library",), "clip is missing: the largest action that the robot was trained with")
        clip = 1.0
    return ForeignActor(ForeignEncoder(layers, size, last.in_features), last, shape, clip)


def _layers(library: str, state: Mapping[str, Tensor], path: Path) -> tuple[list[str], Layout]:
    """Return the names of the layers, in order, and their layout."""
    other = next((name for name in state if OTHER_PARTS.fullmatch(name)), None)
    if other is not None:
        raise UserError(f"{path}: {other}: not a plain MLP; convolutions and memories are not imported")
    for layout in LAYOUTS[library]:
        found = (re.fullmatch(rf"({layout.pattern})\.weight", name) for name in state)
        hidden = sorted((int(match[2]), match[1]) for match in found if match)
        names = [name for _, name in hidden]
        if names and layout.last is None:
            return names, layout
        if names and f"{layout.last}.weight" in state:
            return [*names, str(layout.last)], layout
    raise UserError(f"{path}: not an MLP actor of {library}: it has {', '.join(list(state)[:4])} ...")


def _linear(state: Mapping[str, Tensor], name: str, path: Path) -> nn.Linear:
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    if weight.ndim != 2:
        raise UserError(f"{path}: {name}.weight has {weight.ndim} axes; only fully connected layers are imported")
    if not weight.numel() or (bias is not None and bias.shape != weight.shape[:1]):
        biases = "no" if bias is None else list(bias.shape)
        raise UserError(f"{path}: {name}.weight is {list(weight.shape)}, {biases} biases; not a layer")
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data = weight.float()
    linear.bias.data = torch.zeros(weight.shape[0]) if bias is None else bias.float()
    return linear


def _standardizer(
    settings: ForeignSettings, state: Mapping[str, Tensor], size: int, document: Document
) -> list[nn.Module]:
    given = settings.observation
    if given is not None:
        mean, var = torch.tensor(given.mean), torch.tensor(given.var)
        if len(mean) != size or len(var) != size:
            raise document.error(
                ("observation",), f"mean has {len(mean)} numbers and var {len(var)}, the network reads {size}"
            )
        return [Standardizer(mean, (var + given.epsilon).rsqrt(), given.clip)]
    for prefix in ("actor_obs_normalizer.", "obs_normalizer."):
        if f"{prefix}_mean" in state:
            mean, std = (state[f"{prefix}{name}"].reshape(-1).float() for name in ("_mean", "_std"))
            return [Standardizer(mean, 1.0 / (std + RSL_RL_EPSILON), float("inf"))]
    return []


def _check_sizes(card: Mapping[str, Any], actor: Actor, document: Document) -> None:
    """Refuse a network that is not the task's."""
    described = sum(part["size"] for part in card["observation"])
    if described != actor.obs_size:
        raise document.error(("task",), f"its observation has {described} numbers, the network reads {actor.obs_size}")
    if actor.shape.continuous:
        commands = sum(part["size"] for part in card["action"])
        if commands != actor.shape.continuous:
            raise document.error(("task",), f"its action has {commands} numbers, the network {actor.shape.continuous}")
