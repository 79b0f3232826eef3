"""One behavior's part of a run: its learner, its reward's log, its checkpoints."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from reward_shaping import RewardScorer
from trainers.algorithms import Algorithm, Step
from trainers.checkpoint import as_arrays
from trainers.display import Display
from trainers.errors import RunError
from trainers.evaluate import Evaluation
from trainers.export.unity_onnx import write_unity_onnx
from trainers.files import write_atomically
from trainers.heads import head_rewards, heads_of
from trainers.metrics import Ended, EpisodeLog, MetricsLog, Mirror
from trainers.run_folder import RunFolder
from trainers.settings import BehaviorSettings
from unity_env.agent_rows import StepResult
from unity_env.vector_env import SILENT_STEPS


class BehaviorTrainer:
    """Trains one behavior until its max_steps.

    Args:
        name: of the behavior.
        settings: of the behavior.
        algorithm: the learner.
        scorer: of its reward.
        rows: N.
        folder: where checkpoints go.
        display: what the user sees.

    Attributes:
        step: transitions observed, over all rows.
        finished: whether max_steps are done; the behavior then acts on and learns no more.
        silent: steps of the scene since an agent has reported.
        mirror: gets everything that is logged, too.
        lost: what of an earlier run's experience could not be taken over, and why; nothing where all was.
    """

    def __init__(
        self,
        name: str,
        settings: BehaviorSettings,
        algorithm: Algorithm,
        scorer: RewardScorer,
        rows: int,
        folder: RunFolder,
        display: Display,
    ) -> None:
        self.name, self.settings, self.algorithm = name, settings, algorithm
        self.folder, self.display = folder, display
        self.step = 0
        self.finished = False
        self.silent = 0
        self.lost = ""
        self.mirror: Mirror | None = None
        self._scorer = scorer
        self._rows = rows
        self._heads = heads_of(settings)
        self._episodes = EpisodeLog(rows)
        self._step_before_update = self._summarized_step = 0
        self._restored_metrics: dict[str, Any] = {}

    def begin(self, obs: Any, infos: Mapping[str, Any]) -> None:
        """Act from here on."""
        self._obs, self._requesting = obs, infos["requesting"]

    def restart(self, obs: Any, infos: Mapping[str, Any]) -> None:
        """Give up the episodes under way: all rows were reset."""
        self.begin(obs, infos)
        self.algorithm.abandon_episodes()
        self._episodes.restart()

    def open_log(self) -> None:
        """Open the behavior's log; what it says of later steps than this one is dropped."""
        labels = {"reward_hash": self._scorer.reward.content_hash}
        self.metrics = MetricsLog(self.folder.behavior(self.name), self.step, labels, self.mirror)
        self.metrics.load_state_dict(self._restored_metrics)

    def act(self) -> Any:
        """Choose actions for all rows, as the environment takes them.

        Raises:
            RunError: an action that is not a number.
        """
        if self.finished:
            actions = self.algorithm.act_deterministic(self._obs)
        else:
            actions = self.algorithm.act(self._obs, self._requesting)
        if not np.isfinite(actions["continuous"] if isinstance(actions, dict) else actions).all():
            raise self._broken("an action", "not a finite number")
        return actions

    def observe(self, result: StepResult) -> Ended | None:
        """Take in what came of the last `act`; returns the training episodes that ended with it."""
        self._obs, rew, terminated, truncated, infos = result
        self._requesting = infos["requesting"]
        if self.finished:
            self.algorithm.follow(infos["valid"], terminated | truncated)
            return None
        self.silent = 0 if infos["valid"].any() else self.silent + 1
        head_rew = head_rewards(self._heads, rew, infos)
        final_obs, valid = infos.get("final_obs"), infos["valid"]
        transition = infos["transition"]
        self.algorithm.observe(Step(rew, terminated, truncated, self._obs, final_obs, valid, head_rew, transition))
        self.step += int(infos["valid"].sum())
        return self._episodes.add(rew, terminated, truncated, infos)

    def update(self) -> None:
        """Learn from what was observed.

        Raises:
            RunError: a loss that is not a number.
        """
        self._record(self.algorithm.update(self.step / self.settings.max_steps))

    def receive(self, metrics: Mapping[str, float], episodes: Mapping[str, list[float]]) -> None:
        """Take in what a learner in another process has done.

        Args:
            metrics: of its updates.
            episodes: of those that ended with it, what `EpisodeLog.take` returns.

        Raises:
            RunError: a loss that is not a number.
        """
        self._episodes.extend(episodes)
        self._record(metrics)

    def _record(self, metrics: Mapping[str, float]) -> None:
        broken = [name for name, value in metrics.items() if name.startswith("losses/") and not math.isfinite(value)]
        if broken:
            raise self._broken(broken[0], metrics[broken[0]])
        self.finished = self.step >= self.settings.max_steps
        self.metrics.add(metrics)
        self.display.progress(self.name, self.step)

    def _broken(self, what: str, value: object) -> RunError:
        where = f"{self.name}: {what} is {value} at step {self.step}"
        return RunError(f"{where}; {self._what_to_try()}. Checkpoints written before are kept")

    def _what_to_try(self) -> str:
        """Say what a number that is none may come from."""
        rows = np.flatnonzero(~np.isfinite(self._obs).all(axis=1))
        if len(rows):
            return f"the environment sends observations that are no finite numbers, in row {rows[0]} now"
        return "a lower learning_rate or a smaller reward scale would be the first things to try"

    @property
    def gone(self) -> bool:
        """Whether no agent has reported for so long that none is expected."""
        return self.silent >= SILENT_STEPS

    def crossed(self, interval: int) -> bool:
        """Whether a multiple of `interval` lies between the last `mark` and now."""
        return self.step // interval > self._step_before_update // interval

    def mark(self) -> None:
        """Let `crossed` look from here on."""
        self._step_before_update = self.step

    @property
    def summarized(self) -> bool:
        """Whether the log has a summary of this very step."""
        return self._summarized_step == self.step

    def summarize(self, extra: Mapping[str, float]) -> None:
        """Log the means since the last summary."""
        means = self.metrics.summarize(self.step, {**self._episodes.summary(), **self._scorer.summary(), **extra})
        self.display.summary(self.name, self.step, means)
        self._summarized_step = self.step

    def log_evaluation(self, result: Evaluation, *, is_best: bool) -> None:
        """Log and show an evaluation."""
        self.metrics.write(self.step, {f"evaluation/{name}": value for name, value in result.summary().items()})
        self.display.evaluation(self.name, self.step, result, is_best=is_best)

    def checkpoint(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Write a numbered checkpoint and its network; returns the behavior's entry in training_status.json.

        Args:
            state: of the run, which the behavior's own is added to.

        Raises:
            RunError: the disk refuses.
        """
        own, replay = self.state_dict() | dict(state), self.algorithm.replay_state()
        path = self.folder.save(self.name, own, replay, self.step, self.settings.keep_checkpoints)
        write_atomically(path.with_suffix(".onnx"), lambda file: write_unity_onnx(self.algorithm.actor, file))
        self.display.checkpoint(self.name, self.step, path)
        return {"step": self.step, "checkpoint": path.name}

    def state_dict(self) -> dict[str, Any]:
        """Everything of this behavior that the rest of the run depends on."""
        return {
            "step": self.step,
            "settings": self.settings.model_dump(mode="json"),
            "obs_size": self.algorithm.actor.obs_size,
            "observation": self.algorithm.actor.observation.state_dict(),
            "actions": asdict(self.algorithm.actor.shape),
            "algorithm": self.algorithm.state_dict(),
            "reward": self._scorer.state_dict(),
            "episodes": self._episodes.state_dict(),
            "metrics": self.metrics.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what was learned and logged, but for the episodes under way."""
        self.step = self._step_before_update = self._summarized_step = state["step"]
        self.finished = self.step >= self.settings.max_steps
        self._restored_metrics = state["metrics"]
        self.algorithm.load_state_dict(state["algorithm"])
        self.lost = self.algorithm.load_replay_state(state.get("replay"))
        self._scorer.continue_from(self.step, as_arrays(state["reward"]))

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Whether the state's episodes have as many rows as this run."""
        return len(state["episodes"]["length"]) == self._rows

    def resume_episodes(self, state: Mapping[str, Any], obs: Any, infos: dict[str, Any]) -> None:
        """Continue the episodes under way; obs and infos are those of the restored scene."""
        self.begin(obs, infos)
        self._scorer.load_state_dict(as_arrays(state["reward"]), infos)
        self._episodes.load_state_dict(as_arrays(state["episodes"]))
