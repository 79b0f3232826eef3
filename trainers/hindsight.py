"""Hindsight experience replay (Andrychowicz et al. 2017, arXiv 1707.01495): sampled transitions get other goals."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from reward_shaping import Goal, Reward, RewardError, RewardScorer, Transition
from reward_shaping.term import Signals
from trainers.hyperparameters import HindsightSettings, OffPolicyHyperparameters
from trainers.replay import Replay
from trainers.settings import RunSettings
from trainers.yaml_file import Document
from unity_env.sim.role import Role, find_role

Array = np.ndarray


class Hindsight:
    """Gives sampled transitions a goal that was reached later in their episode, and the reward for that goal.

    What is observed of the goal is recomputed too, from signals, which have no sensor noise.

    Args:
        goal: how the task's signals depend on it.
        scorer: of the behavior's reward, whose weights are those of the moment of sampling.
        observed: component -> where it lies in the observation.
        settings: which goals, and how often.
        action_size: A.

    Attributes:
        sizes: what the replay has to keep, column -> how many numbers.
    """

    def __init__(
        self,
        goal: Goal,
        scorer: RewardScorer,
        observed: Mapping[str, slice],
        settings: HindsightSettings,
        action_size: int,
    ) -> None:
        self.goal, self.scorer, self.settings = goal, scorer, settings
        self._observed = {name: where for name, where in observed.items() if name in goal.recomputed}
        names = sorted(scorer.reward.signals | goal.signals)
        ends = np.cumsum([scorer.reward.sizes[name] for name in names]).tolist()
        self._where = {name: slice(end - scorer.reward.sizes[name], end) for name, end in zip(names, ends, strict=True)}
        self.sizes = {"signals": ends[-1], "next_signals": ends[-1], "previous_act": action_size, "truncated": 1}

    def columns(self, transition: Transition) -> dict[str, Array]:
        """Return what the replay keeps of a step."""
        return {
            "signals": self._joined(transition.signals),
            "next_signals": self._joined(transition.next_signals),
            "previous_act": transition.previous_action,
            "truncated": transition.truncated,
        }

    def relabel(self, replay: Replay, indices: Array, columns: Mapping[str, Tensor]) -> None:
        """Change rewards and observations of k of k + 1 transitions in place: the first ones, all being drawn alike.

        Args:
            replay: where later transitions are found.
            indices: what was sampled, (B,).
            columns: copies of it.

        Raises:
            RewardError: a reward term that is not a number.
        """
        goals = self.settings.goals
        part = slice(round(len(indices) * goals / (goals + 1)))
        kept = {name: column[part].numpy() for name, column in columns.items()}
        moved = self.goal.relabel(self._transition(kept), self._reached(replay, indices[part]))
        kept["rew"][:, 0] = self.scorer.scale * self.scorer.reward(moved)[0]
        for name, where in self._observed.items():
            kept["obs"][:, where] = moved.signals[name]
            kept["next_obs"][:, where] = moved.next_signals[name]

    def _reached(self, replay: Replay, indices: Array) -> Array:
        """Return what was achieved later in the same episodes, (M, k)."""
        choose = replay.sample_later if self.settings.strategy == "future" else replay.last_of_episode
        reached: Array = replay.read(choose(indices))["next_signals"][:, self._where[self.goal.achieved]].numpy()
        return reached

    def _transition(self, kept: Mapping[str, Array]) -> Transition:
        return Transition(
            signals=self._named(kept["signals"], kept["obs"]),
            next_signals=self._named(kept["next_signals"], kept["next_obs"]),
            action=kept["act"],
            previous_action=kept["previous_act"],
            terminated=kept["terminated"][:, 0] > 0.0,
            truncated=kept["truncated"][:, 0] > 0.0,
            env_reward=np.zeros(len(kept["rew"])),  # no term that counts reads it
        )

    def _named(self, signals: Array, obs: Array) -> Signals:
        """Return the signals, and the observed components that are to be recomputed, by name."""
        observed = {name: obs[:, where] for name, where in self._observed.items()}
        return observed | {name: signals[:, where] for name, where in self._where.items()}

    def _joined(self, signals: Signals) -> Array:
        return np.concatenate([signals[name] for name in self._where], axis=1)


def goal_of(settings: RunSettings, name: str, reward: Reward, document: Document) -> Goal | None:
    """Return the goal that a behavior's hindsight exchanges; None where its settings want none.

    Raises:
        UserError: the task is not described or has no such goal, the environment does not send what is needed, or a
            term of the reward cannot be computed for another goal.
    """
    if _chosen(settings, name) is None:
        return None
    path, role = ("behaviors", name, "hyperparameters", "hindsight"), _role(settings, name)
    if role is None:
        raise document.error(path, "needs a described task: env_path sim:<task>, or env_settings.task for a player")
    if role.task.goal is None:
        raise document.error(path, f"task {role.task_name} has no goal that could be exchanged for another")
    goal = Goal.model_validate(role.task.goal)
    if settings.reads_signals(name):
        judged = ", ".join(goal.judged) or "what the environment judges"
        raise document.error(
            ("behaviors", name, "critic_observations"),
            f"critics beside hindsight read no signals: what {judged} would be with another goal is not known",
        )
    missing = sorted(goal.signals - reward.sizes.keys())
    if missing:
        raise document.error(path, f"needs signals that the environment does not send: {', '.join(missing)}")
    try:
        goal.check(reward)
    except RewardError as error:
        raise document.error(("behaviors", name, "reward_shaping", *error.path), str(error)) from None
    return goal


def make_hindsight(settings: RunSettings, name: str, scorer: RewardScorer, document: Document) -> Hindsight | None:
    """Make what relabels a behavior's transitions; None where its settings want none."""
    chosen, role = _chosen(settings, name), _role(settings, name)
    goal = goal_of(settings, name, scorer.reward, document)
    if chosen is None or role is None or goal is None:
        return None
    action = role.spec.action_spec
    return Hindsight(
        goal, scorer, role.layouts["observation"].slices, chosen, action.continuous_size + action.discrete_size
    )


def _chosen(settings: RunSettings, name: str) -> HindsightSettings | None:
    hyper = settings.behaviors[name].hyperparameters
    return hyper.hindsight if isinstance(hyper, OffPolicyHyperparameters) else None


def _role(settings: RunSettings, name: str) -> Role | None:
    task = settings.env_settings.sim_task or settings.env_settings.task
    return None if task is None else find_role(task, name)
