"""The one training loop: act, step, observe, update; then log, evaluate, checkpoint."""

import gc
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from mlagents_envs.exception import UnityException

from trainers.behavior import BehaviorTrainer
from trainers.checkpoint import as_arrays
from trainers.curriculum import Curricula
from trainers.display import Display
from trainers.errors import UserError
from trainers.evaluate import Evaluation
from trainers.run_folder import RunFolder
from trainers.settings import EvaluationSettings
from trainers.world import World


class Evaluate(Protocol):
    """Runs evaluation episodes."""

    def __call__(self, episodes: int, seed: int, stopped: Callable[[], bool] = ..., /) -> dict[str, Evaluation]:
        """Return what the deterministic policies came to, by behavior; nothing if it is `stopped`."""
        ...


class Roster(Protocol):
    """Who is trained."""

    trainers: dict[str, BehaviorTrainer]

    def join(self, name: str) -> BehaviorTrainer:
        """Make the trainer of a behavior that has appeared while others train."""
        ...


class TrainingLoop:
    """Trains the behaviors of a scene until all have done their max_steps, the scene is solved, or a stop signal.

    Args:
        world: the scene, with the rewards in place.
        roster: of the behaviors, each with what trains it.
        evaluation: when and how to evaluate.
        evaluate: runs evaluation episodes; None where there can be none.
        curricula: of the environment parameters.
        folder: where the run's files go.
        display: what the user sees.
    """

    def __init__(
        self,
        world: World,
        roster: Roster,
        evaluation: EvaluationSettings,
        evaluate: Evaluate | None,
        curricula: Curricula,
        folder: RunFolder,
        display: Display,
    ) -> None:
        self.world, self.roster, self.trainers = world, roster, roster.trainers
        self.evaluation, self.evaluate = evaluation, evaluate
        self.curricula = curricula
        self.folder, self.display = folder, display
        self.best = (-math.inf, -math.inf)
        self.solved = False
        self.stop_requested = False
        self._saved_step = self._evaluated_step = 0
        self._evaluation_due = False
        self._seconds = dict.fromkeys(("policy", "simulation", "update", "evaluation"), 0.0)

    @property
    def step(self) -> int:
        """Transitions of the behavior that has the most."""
        return max(trainer.step for trainer in self.trainers.values())

    def start(self, seed: int) -> None:
        """Begin new episodes."""
        for name, (obs, infos) in self.world.reset(seed).items():
            self.trainers[name].begin(obs, infos)

    def run(self) -> None:
        """Train.

        Raises:
            RunError: a loss that is not a number, or a disk that refuses a checkpoint.
            RewardError: a reward term that is not a number.
            UnityException: a player died, beyond what restarts may mend; a checkpoint is written first.
            UserError: a behavior that has appeared late does not fit its settings; a checkpoint is written first.
            KeyboardInterrupt: a second Ctrl-C; a checkpoint is written first.
        """
        for trainer in self.trainers.values():
            trainer.open_log()
        self._began = time.perf_counter()
        gc.freeze()  # what the imports left behind need not be looked through again, a tenth of a step's time
        try:
            with stop_signals(self.request_stop):
                self._run()
        except (KeyboardInterrupt, UnityException, UserError):
            self._checkpoint(whole=False)
            raise
        finally:
            for trainer in self.trainers.values():
                trainer.metrics.close()

    def request_stop(self) -> None:
        """End the run after the next update, or in the middle of an evaluation, which is made up for on resume."""
        self.stop_requested = True
        self.display.note("stopping after this update; once more stops at once")

    def _run(self) -> None:
        if self._evaluation_due:
            self._evaluate()
        while self._learning and not (self.solved or self.stop_requested):
            self._collect()
            self._update()
        self._finish()

    @property
    def _learning(self) -> bool:
        """Whether there is still a behavior to learn from."""
        return any(not (trainer.finished or trainer.gone) for trainer in self.trainers.values())

    def _finish(self) -> None:
        for name, trainer in self.trainers.items():
            if trainer.gone:
                self.display.note(f"{name}: no agent has reported for {trainer.silent:,} steps of the scene")
        if self.solved:
            self.display.note(f"solved: success reached {self.evaluation.success_threshold:.1%} at step {self.step:,}")
        self._summarize([trainer for trainer in self.trainers.values() if not trainer.summarized])
        if self._evaluated_step != self.step and not self.stop_requested:
            self._evaluate()
        if self._saved_step != self.step:
            self._checkpoint()

    def _collect(self) -> None:
        """Act in all rows of all behaviors until one of them has enough for an update."""
        trainers, world, clock = self.trainers, self.world, time.perf_counter
        while self._learning and not any(trainer.algorithm.ready() for trainer in trainers.values()):
            started = clock()
            actions = {name: trainer.act() for name, trainer in trainers.items()}
            acted = clock()
            results = world.step(actions)
            stepped = clock()
            for name, result in results.items():
                ended = trainers[name].observe(result)
                if ended is not None:
                    self.curricula.add(name, ended)
            for name, (obs, infos) in world.newcomers().items():
                self._join(name).begin(obs, infos)
            self._seconds["policy"] += acted - started
            self._seconds["simulation"] += stepped - acted

    def _join(self, name: str) -> BehaviorTrainer:
        """Let a behavior train that has appeared; what was best without it says nothing of a scene with it."""
        trainer = self.roster.join(name)
        trainer.open_log()
        self.curricula.join(name, self.world.rows[name].num_rows)
        self.best = (-math.inf, -math.inf)
        return trainer

    def _update(self) -> None:
        """Let those learn who have enough."""
        ready = [trainer for trainer in self.trainers.values() if trainer.algorithm.ready()]
        started = time.perf_counter()
        for trainer in ready:
            trainer.update()
        self._seconds["update"] += time.perf_counter() - started
        self._take_stock(ready)

    def _take_stock(self, ready: list[BehaviorTrainer]) -> None:
        """Log, evaluate and save where those that have learned have passed an interval."""
        self._advance_lessons()
        self._summarize([trainer for trainer in ready if trainer.crossed(trainer.settings.summary_freq)])
        if any(trainer.crossed(self.evaluation.interval) for trainer in ready):
            self._evaluate()
        save = any(trainer.crossed(trainer.settings.save_every) for trainer in ready)
        for trainer in ready:
            trainer.mark()
        if save:
            self._checkpoint()

    def _advance_lessons(self) -> None:
        """Let the next lesson begin where one is over: in the episodes that start from now on, or in all at once."""
        progress = {name: trainer.step / trainer.settings.max_steps for name, trainer in self.trainers.items()}
        starts = self.curricula.advance(progress)
        if not starts:
            return
        for start in starts:
            self.display.lesson(self.step, str(start))
        self.world.set_parameters(self.curricula.values())
        if any(start.reset for start in starts):
            for name, (obs, infos) in self.world.reset().items():
                trainer = self.trainers.get(name) or self._join(name)
                trainer.restart(obs, infos)

    def _summarize(self, trainers: list[BehaviorTrainer]) -> None:
        if not trainers:
            return
        scene = {f"scene/{name}": value for name, value in self.world.stats().items()}
        sampled = {f"environment/{name}": mean for name, mean in self.world.sampled_means().items()}
        for trainer in trainers:
            trainer.summarize({**sampled, **self.curricula.summary(), **scene, **self._time_shares()})

    def _time_shares(self) -> dict[str, float]:
        """Return where the time went; of several processes, all of theirs."""
        known = sum(self._seconds.values())
        other = max(0.0, time.perf_counter() - self._began - known)
        parts = {**self._seconds, "other": other}
        return {f"time/{part}_share": seconds / (known + other) for part, seconds in parts.items()}

    def _evaluate(self) -> None:
        if self.evaluate is None:
            return
        started = time.perf_counter()
        results = self.evaluate(self.evaluation.episodes, self.evaluation.seed, lambda: self.stop_requested)
        self._seconds["evaluation"] += time.perf_counter() - started
        self._evaluation_due = self.stop_requested and not results
        self._evaluated_step = self.step
        if not results:  # of those who train, none has appeared in the scene of the evaluation
            return
        score = team_score(results)
        is_best = score > self.best
        if is_best:
            self.best = score
        threshold = self.evaluation.success_threshold
        self.solved = threshold is not None and score[0] >= threshold
        for name, result in results.items():
            self.trainers[name].log_evaluation(result, is_best=is_best)
        if is_best:
            shared = self._shared_state()
            for name, trainer in self.trainers.items():
                self.folder.save_best(name, trainer.state_dict() | shared)

    def _checkpoint(self, *, whole: bool = True) -> None:
        """Save all behaviors; not `whole` without the scene, in the middle of a step of which nothing can go on."""
        shared = self._shared_state() | ({} if whole else {"env": None})
        status = {name: trainer.checkpoint(shared) for name, trainer in self.trainers.items()}
        self._saved_step = self.step
        entries = {name: {**entry, "solved": self.solved} for name, entry in status.items()}
        self.folder.write_status({**self.curricula.status(), **entries})
        self.folder.write_timers(self._seconds)

    def _shared_state(self) -> dict[str, Any]:
        """What the behaviors' checkpoints have in common; `moment` tells whether they belong together."""
        return {
            "moment": {name: trainer.step for name, trainer in self.trainers.items()},
            "best": self.best,
            "solved": self.solved,
            "evaluation_due": self._evaluation_due,
            "env": self.world.state_dict(),
            "curricula": self.curricula.state_dict(),
        }

    def restore(self, states: Mapping[str, dict[str, Any]], seed: int) -> bool:
        """Continue from the behaviors' checkpoints; returns whether the simulation's state came back, too."""
        states = {name: states[name] for name in self.trainers if name in states}
        for name, state in states.items():
            self.trainers[name].load_state_dict(state)
        first = next(iter(states.values()))
        self._saved_step = self._evaluated_step = self.step
        self._evaluation_due = bool(first.get("evaluation_due", False))
        threshold = self.evaluation.success_threshold
        self.solved = threshold is not None and first["solved"] and first["best"][0] >= threshold
        self.best = tuple(first["best"])
        self.curricula.load_state_dict(as_arrays(first["curricula"]))
        if self.curricula.present():
            self.world.set_parameters(self.curricula.values())
        moment = {name: trainer.step for name, trainer in self.trainers.items()}
        together = states.keys() == moment.keys() and all(state["moment"] == moment for state in states.values())
        if first["env"] is None or not (together and all(self.trainers[name].fits(of) for name, of in states.items())):
            for trainer in self.trainers.values():
                trainer.algorithm.abandon_episodes()
            self.start(seed + self.step)
            return False
        for name, (obs, infos) in self.world.load_state_dict(as_arrays(first["env"])).items():
            self.trainers[name].resume_episodes(states[name], obs, infos)
        return True


@contextmanager
def stop_signals(request: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask for an end by `request`; a second one raises KeyboardInterrupt."""
    asked = False

    def handle(*_: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        request()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def team_score(results: Mapping[str, Evaluation]) -> tuple[float, float]:
    """Return what the best checkpoint is chosen by: the mean of the behaviors' scores."""
    scores = np.array([result.score for result in results.values()])
    success, reward = scores.mean(axis=0).tolist()
    return success, reward
