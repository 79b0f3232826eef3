"""What learners from a replay buffer have in common: acting, remembering, and how many gradient steps are due."""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from trainers.action_value import ActionValue
from trainers.actors import ActionShape
from trainers.algorithms.algorithm import Algorithm, Metrics, Step
from trainers.choices import draw_evenly
from trainers.descent import mean_metrics, set_rate
from trainers.heads import Role as HeadRole
from trainers.heads import heads_of
from trainers.hindsight import Hindsight
from trainers.hyperparameters import OffPolicyHyperparameters
from trainers.imitation.cloning import Cloning
from trainers.imitation.demonstrations import Shown
from trainers.intrinsic import ReplayRewards
from trainers.normalizer import Normalizer
from trainers.observation import Observed, as_observation
from trainers.recurrence import Remembering, Role, RowMemory
from trainers.replay import Replay
from trainers.schedules import LEARNING_RATE_FLOOR, scheduled
from trainers.sequence_replay import ROLES, SequenceBatch, SequenceReplay, draw_sequences, memory_column
from trainers.settings import BehaviorSettings, NetworkSettings

Network = TypeVar("Network", bound=nn.Module)


class Batch(NamedTuple):
    """B sampled transitions; next_obs is an ended episode's true last observation.

    Attributes:
        obs: (B, D), with signals behind it where critics read them.
        act: (B, A), as the robot got it.
        rew: what was paid into each value head, (K, B).
        next_obs: as obs.
        terminated: (B,), 1 where the task ended: nothing comes after it. A time limit ends no task.
    """

    obs: Tensor
    act: Tensor
    rew: Tensor
    next_obs: Tensor
    terminated: Tensor

    def inputs(self, network: Remembering, role: Role) -> tuple[Tensor, Tensor]:  # noqa: ARG002  # all read the same
        """Return what a network reads of the transitions' beginnings and of their ends, (B, ...) each."""
        return self.obs, self.next_obs

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of values of the transitions, (..., B); (...,)."""
        return values.mean(dim=-1)


class OffPolicy(Algorithm):
    """A learner from a replay buffer: a gradient step for every `steps_per_update` transitions.

    All networks see observations through one normaliser, the actor's; critics that read signals have one of their own.

    Attributes:
        critics: how many networks estimate Q.
        parts: names of the networks and optimisers, which `learned` holds, too.
        heads: K streams of rewards, each with a Q of its own: they are discounted apart, and the task's end ends some.
        memories: what policy and critic remember in the rows, by the networks' names; nothing where they have none.
        hindsight: relabels what is sampled; None where nothing does.
        updates: gradient steps taken.
    """

    head_roles: ClassVar[tuple[HeadRole, ...]] = ("total", "intrinsic")
    clones: ClassVar[bool] = True
    reads_signals: ClassVar[bool] = True
    critics: ClassVar[int]
    parts: ClassVar[tuple[str, ...]]

    def __init__(
        self, obs: Observed, shape: ActionShape, rows: int, settings: BehaviorSettings, seed: int, device: torch.device
    ) -> None:
        assert isinstance(settings.hyperparameters, OffPolicyHyperparameters)
        self.common, self.shape, self.device = settings.hyperparameters, shape, device
        self.gamma, self.max_steps = settings.reward_signals.extrinsic.gamma, settings.max_steps
        self.heads = heads_of(settings)
        self.gammas = torch.tensor([head.gamma for head in self.heads], device=device)
        self.episodic = torch.tensor([float(head.episodic) for head in self.heads], device=device)
        self.generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        network = settings.network_settings
        self.actor = self.make_actor(obs, shape, network).to(device)
        self.normalizer = self.actor.encoder.normalizer()
        self.make_critics(network)
        self.recurrence = network.memory
        size, roles = self.actor.memory_size, () if network.memory is None else ROLES
        self.memories: dict[Role, RowMemory] = {role: RowMemory(rows, size, device) for role in roles}
        self.hindsight: Hindsight | None = None
        observation = as_observation(obs)
        self.intrinsic = ReplayRewards(self.heads, settings, observation, shape, rows, seed, device)
        self.cloning = Cloning(self.actor, settings.behavioral_cloning, self.common, seed)
        seen = observation.width + shape.choices
        sizes = {"obs": seen, "act": shape.size, "rew": 1, "next_obs": seen, "terminated": 1}
        sizes |= {memory_column(role): size for role in self.memories}
        self.replay = self.make_replay(rows, sizes, seed)
        self.updates = 0
        self._owed = 0.0  # gradient steps
        self._act = torch.zeros(rows, shape.size)

    def make_critics(self, network: NetworkSettings) -> None:
        """Make the networks beside the actor, and the optimisers."""
        observation, shape = self.actor.observation, self.shape
        normalizer = None if observation.signals else self.normalizer
        sizes = (shape.choices, len(self.heads))
        self.critic = ActionValue(
            observation.for_critic(), shape.continuous, network, self.critics, normalizer, *sizes
        ).to(self.device)
        self.target_critic = self.target_of(self.critic)
        self.actor_optimizer = self.adam(self.actor)
        self.critic_optimizer = self.adam(self.critic)

    def make_replay(self, rows: int, sizes: Mapping[str, int], seed: int) -> Replay:
        """Make the buffer, which is sampled uniformly, in sequences where something is remembered."""
        if self.recurrence is None:
            return Replay(self.common.buffer_size, rows, sizes, seed)
        return SequenceReplay(self.common.buffer_size, rows, sizes, seed, self.recurrence.sequence_length)

    def use_hindsight(self, hindsight: Hindsight) -> None:
        """Relabel what is sampled from here on, and remember what that needs; before anything is observed."""
        self.hindsight = hindsight
        self.replay = self.replay.with_columns(hindsight.sizes)

    @abstractmethod
    def explore(self, obs: Tensor) -> Tensor:
        """Return the policy's actions for what it reads, (N, ...), with exploration, (N, A)."""

    def random_action(self, obs: Tensor) -> Tensor:
        """Return uniformly random actions, (N, A), of what obs, (N, D + M), allows."""
        numbers = 2.0 * torch.rand((len(obs), self.shape.continuous), generator=self.generator) - 1.0
        if not self.shape.branches:
            return numbers
        return torch.cat((numbers, draw_evenly(obs, self.shape, self.generator)), dim=1)

    @abstractmethod
    def gradient_step(self, batch: Any) -> dict[str, Tensor]:
        """Move the networks by one minibatch of `draw_batches`; returns what is to be logged, each ()."""

    @torch.no_grad()
    def act(self, obs: np.ndarray, requesting: np.ndarray) -> Any:
        """Explore; at random as long as nothing was learned and the buffer is being filled."""
        self._obs = obs
        inputs = self._recall(obs)
        if self.updates == 0 and self._filling:
            act = self.random_action(torch.from_numpy(obs))
        else:
            act = self.explore(inputs).cpu()
        if not requesting.all():
            act = torch.where(torch.from_numpy(requesting)[:, None], act, self._act)
        self._act = act
        return self.actor.shape.for_env(act)

    @torch.no_grad()
    def act_deterministic(self, obs: np.ndarray) -> Any:
        """Choose the best known actions, in the light of what the rows remember."""
        return self.actor.shape.for_env(self.actor.action(self._recall(obs)).cpu())

    def follow(self, valid: np.ndarray, done: np.ndarray) -> None:
        """Let the rows remember what they have seen."""
        for memory in self.memories.values():
            memory.advance(*(torch.from_numpy(flag).to(self.device) for flag in (valid, done)))

    def _recall(self, obs: np.ndarray) -> Tensor:
        """Return what the policy reads of observations; with a memory, the critic's takes them in, too."""
        seen = torch.from_numpy(obs).to(self.device)
        inputs = {role: memory.step(getattr(self, role), seen) for role, memory in self.memories.items()}
        return inputs.get("actor", seen)

    def observe(self, step: Step) -> None:
        """Store the transitions, and let the normaliser see where they began."""
        done = step.terminated | step.truncated
        next_obs = step.next_obs if step.final_obs is None else np.where(done[:, None], step.final_obs, step.next_obs)
        columns = {
            "obs": self._obs,
            "act": self._act.numpy(),
            "rew": step.rew,
            "next_obs": next_obs,
            "terminated": step.terminated,
            **{memory_column(role): memory.now.cpu().numpy() for role, memory in self.memories.items()},
        }
        if self.hindsight is not None:
            assert step.transition is not None
            columns |= self.hindsight.columns(step.transition)
        self.replay.add(columns, step.valid, done)
        self.follow(step.valid, done)
        if step.valid.any():
            self.update_normalizers(torch.from_numpy(self._obs[step.valid]).to(self.device))
            self.intrinsic.observe(columns, step.valid, learning=not self._filling)
        if not self._filling:
            self._owed += float(step.valid.sum()) / self.common.steps_per_update

    def update_normalizers(self, obs: Tensor) -> None:
        """Let actor and critics see where transitions began, (B, D) or wider."""
        self.actor.encoder.update_normalizer(obs)
        if self.actor.observation.signals:
            self.critic.update_normalizer(obs)

    def show(self, shown: Mapping[str, Shown]) -> None:
        """Learn from demonstrations, too."""
        self.intrinsic.show(shown)
        self.cloning.show(shown, self.device)

    def ready(self) -> bool:
        """Whether a gradient step is due."""
        return self._owed >= 1.0

    def update(self, progress: float) -> Metrics:
        """Take the gradient steps that are due; then those of what tells intrinsic rewards, and of cloning."""
        lr = scheduled(self.common.learning_rate, self.common.learning_rate_schedule, progress, LEARNING_RATE_FLOOR)
        for optimizer in self._optimizers():
            set_rate(optimizer, lr)
        before = self.updates
        means = mean_metrics(self._due_steps()) | self.intrinsic.learn(self.replay)
        means |= self.cloning.update(round(progress * self.max_steps), self.updates - before)
        return means | {"policy/learning_rate": lr, "policy/updates": float(self.updates)}

    def _due_steps(self) -> Iterator[dict[str, Tensor]]:
        """Take one gradient step after another while any is due, and tell of each."""
        for batch in self.draw_batches(int(self._owed)):
            yield self.gradient_step(batch)
            self.updates += 1
            self._owed -= 1.0

    def abandon_episodes(self) -> None:
        """Let the episodes under way end with what is stored of them, and be forgotten."""
        self.replay.end_episodes()
        for memory in self.memories.values():
            memory.clear()

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimisers, random state and counts; not the buffer, see `replay_state`."""
        return {
            "heads": [head.label for head in self.heads],
            **{part: getattr(self, part).state_dict() for part in self.parts},
            "intrinsic": self.intrinsic.state_dict(),
            "cloning": self.cloning.state_dict(),
            "updates": self.updates,
            "owed": self._owed,
            "generator": self.generator.get_state(),
            "last_act": self._act.clone(),
            "memories": {role: memory.now.clone() for role, memory in self.memories.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        for part in self.parts:
            getattr(self, part).load_state_dict(state[part])
        self.intrinsic.load_state_dict(state["intrinsic"])
        self.cloning.load_state_dict(state["cloning"])
        self.updates, self._owed = state["updates"], state["owed"]
        self.generator.set_state(state["generator"])
        if state["last_act"].shape == self._act.shape:
            self._act = state["last_act"].clone()
        for role, memory in self.memories.items():
            memory.load(state["memories"][role])

    def replay_state(self) -> dict[str, Any] | None:
        """The buffer, where it is to be saved."""
        return self.replay.state_dict() if self.common.save_replay_buffer else None

    def load_replay_state(self, state: dict[str, Any] | None) -> str:
        """Take the buffer over, or say why it begins empty."""
        if state is None:
            return "the replay buffer begins empty: the checkpoint has none (save_replay_buffer)"
        if not self.replay.fits(state):
            return "the replay buffer begins empty: the checkpoint's has another size, other rows or other columns"
        self.replay.load_state_dict(state)
        return ""

    def target_of(self, network: Network) -> Network:
        """Copy a network, but for its normaliser, which stays one and the same."""
        shared = {id(module): module for module in network.modules() if isinstance(module, Normalizer)}
        return copy.deepcopy(network, shared)

    def discounts(self, batch: Batch | SequenceBatch) -> Tensor:
        """Return gamma of every head, 0 where the task's end ends what is paid into it, (K, B)."""
        return self.gammas[:, None] * (1.0 - self.episodic[:, None] * batch.terminated)

    def value_metrics(self, value: Tensor) -> dict[str, Tensor]:
        """Return the mean of Q, (K, I), over networks: of all heads together and, of several, of each."""
        means = value.mean(dim=1)
        each = {f"value/q_mean/{head.label}": mean for head, mean in zip(self.heads, means, strict=True)}
        return {"value/q_mean": means.sum()} | (each if len(each) > 1 else {})

    def adam(self, network: nn.Module) -> torch.optim.Adam:
        """Make the optimiser of a network."""
        return torch.optim.Adam(network.parameters(), lr=self.common.learning_rate, fused=True)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [getattr(self, part) for part in self.parts if part.endswith("_optimizer")]

    @property
    def _filling(self) -> bool:
        return self.replay.size < min(self.common.buffer_init_steps, self.replay.capacity)

    def draw_batches(self, count: int) -> Iterator[Any]:
        """Draw minibatches for as many calls of `gradient_step`; all at once, since relabelling many costs no more.

        Of sequences there are as many as fill a minibatch, each counted as if it were full, as in ML-Agents.
        """
        if isinstance(self.replay, SequenceReplay):
            several = max(1, self.common.batch_size // self.replay.length)
            paid = self.intrinsic.all_paid
            yield from (draw_sequences(self.replay, several, paid, self.device) for _ in range(count))
            return
        indices = self.replay.sample(count * self.common.batch_size)
        columns = self.replay.read(indices)
        if self.hindsight is not None:
            self.hindsight.relabel(self.replay, indices, columns)
        columns = {name: columns[name].to(self.device) for name in Batch._fields}
        columns["rew"] = self.intrinsic.all_paid(columns)
        for first in range(count):  # every count-th transition: relabelled ones come first, and belong to all
            obs, act, rew, next_obs, terminated = (column[first::count] for column in columns.values())
            yield Batch(obs, act, rew.T, next_obs, terminated[:, 0])


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """Take one step down the loss's gradient, of no other parameters than the optimiser's; returns its norm, ()."""
    optimizer.zero_grad()
    wanted = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    torch.autograd.backward(loss, inputs=wanted)
    optimizer.step()
    return nn.utils.get_total_norm([parameter.grad for parameter in wanted if parameter.grad is not None])
