"""What the training loop asks of an algorithm, on- or off-policy."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from reward_shaping import Transition
from trainers.actors import ActionKind, ActionShape, Actor
from trainers.heads import Role
from trainers.imitation.demonstrations import Shown
from trainers.observation import Observed
from trainers.policy import GreedyPolicy, Policy
from trainers.settings import BehaviorSettings, NetworkSettings

Metrics = dict[str, float]


@dataclass(frozen=True)
class Step:
    """What came of one action in N rows.

    Attributes:
        rew: (N,).
        terminated: (N,) bool, the task ended.
        truncated: (N,) bool, the episode was cut, by a time limit for example.
        next_obs: as `Algorithm.act` gets it, where an episode ended the first observation of the next one.
        final_obs: likewise, the true last observations in the rows that ended; None where none did.
        valid: (N,) bool, False in rows whose transition goes on: nothing to learn from yet.
        head_rew: (N, K), what is paid into each value head; None where the total, `rew`, is all there is.
        transition: what the reward was computed from; None where it is not to be computed again.
    """

    rew: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_obs: np.ndarray
    final_obs: np.ndarray | None
    valid: np.ndarray
    head_rew: np.ndarray | None = None
    transition: Transition | None = None


class Algorithm(ABC):
    """A learner: acts, observes what came of it, and updates when it has enough.

    Args:
        obs: D, or the sensors whose D numbers make an observation.
        shape: of the actions; A of them.
        rows: N.
        settings: of the behavior.
        seed: of everything random in it.
        device: where the networks live and learn.

    Attributes:
        actor: the network that is exported.
        learned: what in its state another run may start from; the rest belongs to the run under way.
        kinds: of actions that it can decide on.
        head_roles: of the streams of rewards that it learns a value of.
        clones: whether it learns from `behavioral_cloning`, too.
        remembers: whether its networks may have a memory.
        reads_signals: whether it has a critic that can read more than the policy sees.
    """

    learned: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[ActionKind, ...]] = ("continuous",)
    head_roles: ClassVar[tuple[Role, ...]] = ("total",)
    clones: ClassVar[bool] = False
    remembers: ClassVar[bool] = False
    reads_signals: ClassVar[bool] = False
    actor: Actor
    device: torch.device

    @abstractmethod
    def __init__(
        self,
        obs: Observed,
        shape: ActionShape,
        rows: int,
        settings: BehaviorSettings,
        seed: int,
        device: torch.device,
    ) -> None: ...

    @staticmethod
    @abstractmethod
    def make_actor(observed: Observed, shape: ActionShape, settings: NetworkSettings) -> Actor:
        """Make the kind of policy that this algorithm trains, with new weights."""

    @abstractmethod
    def act(self, obs: np.ndarray, requesting: np.ndarray) -> Any:
        """Choose exploring actions for (N, D) observations, (N, D + M) with masks; see `Actor`.

        Returns actions as the environment takes them, see `ActionShape.for_env`; of continuous ones (N, A) in [-1, 1].
        Rows that are not `requesting`, (N,) bool, are still under way with their earlier action.
        """

    @torch.no_grad()
    def act_deterministic(self, obs: np.ndarray) -> Any:
        """Choose the best known actions likewise, without any randomness."""
        return self.actor.shape.for_env(self.actor.action(torch.from_numpy(obs).to(self.device)).cpu())

    def follow(self, valid: np.ndarray, done: np.ndarray) -> None:  # noqa: B027  # most remember nothing
        """Keep up with rows, (N,) bool each, that were acted in without being learned from."""

    def policy(self) -> Policy:
        """Return the best known policy, without any randomness, for rows of its own."""
        return GreedyPolicy(self.actor, self.device)

    @abstractmethod
    def observe(self, step: Step) -> None:
        """Take in what came of the last `act`."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether an update is due."""

    @abstractmethod
    def update(self, progress: float) -> Metrics:
        """Learn from what was observed; progress is the fraction of max_steps done."""

    def show(self, shown: Mapping[str, Shown]) -> None:  # noqa: B027  # most do not look
        """Take over demonstrations, demo_path -> what is there, before the first update of a training."""

    def abandon_episodes(self) -> None:  # noqa: B027  # transitions that are whole by themselves stay good
        """Forget what a reset of all rows has cut short; an algorithm that learns from traces drops them."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that later updates depend on."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""

    def replay_state(self) -> dict[str, Any] | None:
        """What was lived through and is learned from again: large, so that only the newest checkpoint has it."""
        return None

    def load_replay_state(self, state: dict[str, Any] | None) -> str:  # noqa: ARG002  # there is none to load
        """Take over what `replay_state` gave; returns what of it is lost, and why, or nothing."""
        return ""
