"""The one training loop: act, step, observe, update; then log, evaluate, checkpoint."""

import gc
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlagents_envs.exception import UnityException

from reward_shaping import RewardWrapper
from trainers.algorithms import Algorithm, Step
from trainers.checkpoint import as_arrays
from trainers.curriculum import Curricula
from trainers.display import Display
from trainers.errors import RunError
from trainers.evaluate import Evaluation
from trainers.export.unity_onnx import write_unity_onnx
from trainers.files import write_atomically
from trainers.metrics import EpisodeLog, MetricsLog
from trainers.run_folder import RunFolder
from trainers.settings import RunSettings
from unity_env import UnityVectorEnv


class TrainingLoop:
    """Trains one behavior until max_steps, the success threshold, or a stop signal.

    Args:
        name: of the behavior.
        settings: of the run.
        env: with the reward in place.
        algorithm: the learner.
        evaluate: (episodes, seed) -> what the deterministic policy came to; None where that cannot be had.
        folder: where checkpoints go.
        display: what the user sees.
    """

    def __init__(
        self,
        name: str,
        settings: RunSettings,
        env: RewardWrapper,
        algorithm: Algorithm,
        evaluate: Callable[[int, int], Evaluation] | None,
        folder: RunFolder,
        display: Display,
    ) -> None:
        self.name, self.settings, self.evaluation = name, settings.behaviors[name], settings.evaluation
        self.env, self.algorithm, self.evaluate = env, algorithm, evaluate
        assert isinstance(env.unwrapped, UnityVectorEnv)
        self.world: UnityVectorEnv = env.unwrapped
        self.folder, self.display = folder, display
        self.step = 0
        self.best = (-math.inf, -math.inf)
        self.solved = False
        self.stop_requested = False
        self._step_before_update = 0
        self._saved_step = self._summarized_step = self._evaluated_step = 0
        self._episodes = EpisodeLog(env.num_envs)
        self.curricula = Curricula(settings.environment_parameters, {name: env.num_envs})
        self._obs: Any = None
        self._restored_metrics: dict[str, Any] = {}
        self._seconds = dict.fromkeys(("policy", "simulation", "update", "evaluation"), 0.0)

    def start(self, seed: int) -> None:
        """Begin at step 0."""
        self._obs, infos = self.env.reset(seed=seed)
        self._requesting = infos["requesting"]

    def run(self) -> None:
        """Train.

        Raises:
            RunError: a loss that is not a number, or a disk that refuses a checkpoint.
            RewardError: a reward term that is not a number.
            UnityException: a player died, beyond what restarts may mend; a checkpoint is written first.
            KeyboardInterrupt: a second Ctrl-C; a checkpoint is written first.
        """
        self._metrics = MetricsLog(self.folder.behavior(self.name), self.step)
        self._metrics.load_state_dict(self._restored_metrics)
        gc.freeze()  # what the imports left behind need not be looked through again, a tenth of a step's time
        try:
            with self._stop_signals():
                self._run()
        except (KeyboardInterrupt, UnityException):
            self._checkpoint()  # no player's state could be resumed anyway: what was learned is all there is
            raise
        finally:
            self._metrics.close()

    def _run(self) -> None:
        while self.step < self.settings.max_steps and not (self.solved or self.stop_requested):
            self._collect()
            self._update()
        if self.solved:
            self.display.note(f"solved: success reached {self.evaluation.success_threshold:.1%} at step {self.step:,}")
        if self._summarized_step != self.step:
            self._summarize()
        if self._evaluated_step != self.step and not self.stop_requested:
            self._evaluate()
        if self._saved_step != self.step:
            self._checkpoint()

    def _collect(self) -> None:
        """Act in all rows until the algorithm has enough for an update."""
        algorithm, env, clock = self.algorithm, self.env, time.perf_counter
        while not algorithm.ready():
            started = clock()
            act = algorithm.act(self._obs, self._requesting)
            acted = clock()
            self._obs, rew, terminated, truncated, infos = env.step(act)
            stepped = clock()
            self._requesting = infos["requesting"]
            algorithm.observe(Step(rew, terminated, truncated, self._obs, infos.get("final_obs"), infos["valid"]))
            ended = self._episodes.add(rew, terminated, truncated, infos)
            if ended is not None:
                self.curricula.add(self.name, ended)
            self.step += int(infos["valid"].sum())
            self._seconds["policy"] += acted - started
            self._seconds["simulation"] += stepped - acted

    def _update(self) -> None:
        started = time.perf_counter()
        metrics = self.algorithm.update(self.step / self.settings.max_steps)
        self._seconds["update"] += time.perf_counter() - started
        broken = [name for name, value in metrics.items() if name.startswith("losses/") and not math.isfinite(value)]
        if broken:
            raise RunError(
                f"{broken[0]} is {metrics[broken[0]]} at step {self.step}; a lower learning_rate or a smaller reward "
                f"scale would be the first things to try. Checkpoints written before are kept"
            )
        self._metrics.add(metrics)
        self._advance_lessons()
        if self._crossed(self.settings.summary_freq):
            self._summarize()
        if self._crossed(self.evaluation.interval):
            self._evaluate()
        if self._crossed(self.settings.save_every):
            self._checkpoint()
        self._step_before_update = self.step
        self.display.progress(self.step)

    def _advance_lessons(self) -> None:
        """Let the next lesson begin where one is over: in the episodes that start from now on, or in all at once."""
        starts = self.curricula.advance({self.name: self.step / self.settings.max_steps})
        if not starts:
            return
        for start in starts:
            self.display.lesson(self.step, str(start))
        self.world.set_parameters(self.curricula.values())
        if any(start.reset for start in starts):
            self._obs, infos = self.env.reset()
            self._requesting = infos["requesting"]
            self._episodes.restart()

    def _crossed(self, interval: int) -> bool:
        """Whether a multiple of `interval` lies between the last update and this one."""
        return self.step // interval > self._step_before_update // interval

    def _summarize(self) -> None:
        total = sum(self._seconds.values())
        split = {f"time/{part}_share": seconds / total for part, seconds in self._seconds.items()}
        scene = {f"scene/{name}": value for name, value in self.world.stats().items()}
        sampled = {f"environment/{name}": mean for name, mean in self.world.sampled_means().items()}
        world = {**self._episodes.summary(), **sampled, **self.curricula.summary(), **scene}
        extra = {**world, **self.env.log.summary(), **split}
        self.display.summary(self.step, self._metrics.summarize(self.step, extra))
        self._summarized_step = self.step

    def _evaluate(self) -> None:
        if self.evaluate is None:
            return
        started = time.perf_counter()
        result = self.evaluate(self.evaluation.episodes, self.evaluation.seed)
        self._seconds["evaluation"] += time.perf_counter() - started
        self._metrics.write(self.step, {f"evaluation/{name}": value for name, value in result.summary().items()})
        self._evaluated_step = self.step
        is_best = result.score > self.best
        if is_best:
            self.best = result.score
        threshold = self.evaluation.success_threshold
        self.solved = threshold is not None and result.success is not None and result.success >= threshold
        self.display.evaluation(self.step, result, is_best=is_best)
        if is_best:
            self.folder.save_best(self.name, self._state())

    def _checkpoint(self) -> None:
        path = self.folder.save(self.name, self._state(), self.step, self.settings.keep_checkpoints)
        write_atomically(path.with_suffix(".onnx"), lambda file: write_unity_onnx(self.algorithm.actor, file))
        self._saved_step = self.step
        self.display.checkpoint(self.step, path)
        status = {"step": self.step, "checkpoint": path.name, "solved": self.solved}
        self.folder.write_status({**self.curricula.status(), self.name: status})
        self.folder.write_timers(self._seconds)

    def _state(self) -> dict[str, Any]:
        """Everything the rest of the run depends on; complete right after an update."""
        return {
            "step": self.step,
            "best": self.best,
            "settings": self.settings.model_dump(mode="json"),
            "algorithm": self.algorithm.state_dict(),
            "env": self.world.state_dict(),
            "reward": self.env.state_dict(),
            "episodes": self._episodes.state_dict(),
            "solved": self.solved,
            "metrics": self._metrics.state_dict(),
            "curricula": self.curricula.state_dict(),
        }

    def restore(self, state: dict[str, Any], seed: int) -> bool:
        """Continue from a checkpoint's state; returns whether the simulation's state came back, too."""
        self.step = self._step_before_update = self._saved_step = state["step"]
        self._summarized_step = self._evaluated_step = self.step
        self._restored_metrics = state["metrics"]
        threshold = self.evaluation.success_threshold
        self.solved = threshold is not None and state["solved"] and state["best"][0] >= threshold
        self.best = tuple(state["best"])
        self.algorithm.load_state_dict(state["algorithm"])
        self.curricula.load_state_dict(as_arrays(state["curricula"]))
        if self.curricula.present():
            self.world.set_parameters(self.curricula.values())
        if state["env"] is None or len(state["episodes"]["length"]) != self.env.num_envs:
            self.start(seed + self.step)
            return False
        self._obs, infos = self.world.load_state_dict(as_arrays(state["env"]))
        self._requesting = infos["requesting"]
        self.env.load_state_dict(as_arrays(state["reward"]), infos)
        self._episodes.load_state_dict(as_arrays(state["episodes"]))
        return True

    @contextmanager
    def _stop_signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end the run after the next update; a second one ends it at once."""

        def request(*_: Any) -> None:
            if self.stop_requested:
                raise KeyboardInterrupt
            self.stop_requested = True
            self.display.note("stopping after this update; once more stops at once")

        before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
