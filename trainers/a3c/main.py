"""A3C's main process: creates and coordinates the workers, and does what the loop does between updates."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch.multiprocessing as mp

from trainers.a3c.networks import GlobalNetworks
from trainers.a3c.worker import Job, Report, work
from trainers.algorithms.a3c import A3c
from trainers.behavior import BehaviorTrainer
from trainers.errors import RunError
from trainers.loop import TrainingLoop
from trainers.settings import RunSettings
from trainers.yaml_file import Document
from unity_env.settings import Curriculum

GRACE_S = 1.0  # for workers to end by themselves


class Workers:
    """The processes, one per summand of the step counter.

    Args:
        shared: the global networks.
        settings: of the run.
        document: the run's YAML, for messages.
        note: what prints a line.
    """

    def __init__(
        self, shared: GlobalNetworks, settings: RunSettings, document: Document, note: Callable[[str], None]
    ) -> None:
        world = settings.env_settings.model_copy(update={"sim_threads": 1})
        alone = settings.model_copy(update={"env_settings": world})
        self._jobs = [Job(alone, document, worker, shared.step) for worker in range(len(shared.steps))]
        self._shared, self._note = shared, note
        self._processes: dict[int, SpawnProcess] = {}
        self._pipes: dict[int, Connection] = {}
        self._reported: set[int] = set()

    def start(self) -> None:
        """Start all of them."""
        for worker in range(len(self._jobs)):
            self._start(worker)

    def receive(self, timeout_s: float) -> list[Report]:
        """Wait for what the workers have to say; one that has died is replaced.

        Raises:
            RunError: a worker failed, or died twice without having learned anything in between.
        """
        running = {self._processes[worker].sentinel: worker for worker in self._pipes}
        ready = wait([*self._pipes.values(), *running], timeout_s)
        reports = [report for worker in list(self._pipes) for report in self._read(worker)]
        for sentinel in ready:
            if isinstance(sentinel, int):
                self._bury(running[sentinel])
        return reports

    @property
    def running(self) -> bool:
        """Whether there are any."""
        return bool(self._pipes)

    def end(self) -> list[Report]:
        """End all of them within GRACE_S and a little; returns their last reports."""
        self._shared.stop()
        reports = []
        deadline = time.monotonic() + GRACE_S
        while self._pipes and time.monotonic() < deadline:
            reports += self.receive(deadline - time.monotonic())
        for worker in list(self._pipes):
            self._processes[worker].kill()
            self._processes[worker].join()
            del self._pipes[worker]
        return reports

    def _start(self, worker: int) -> None:
        context = mp.get_context("spawn")
        self._pipes[worker], far_end = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(self._jobs[worker], self._shared, far_end), daemon=True)
        resource_tracker.ensure_running()  # which would let signals through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited by a worker that still loads
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        far_end.close()
        self._processes[worker] = process

    def _read(self, worker: int) -> list[Report]:
        reports = []
        try:
            while self._pipes[worker].poll():
                message = self._pipes[worker].recv()
                if isinstance(message, str):
                    raise RunError(message)
                reports.append(message)
        except (EOFError, OSError):
            pass  # it has ended; its sentinel tells how
        if reports:
            self._reported.add(worker)
        return reports

    def _bury(self, worker: int) -> None:
        process = self._processes[worker]
        process.join()
        self._pipes.pop(worker).close()
        if process.exitcode == 0 or self._shared.stopped:
            return
        code = process.exitcode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if self._jobs[worker].life and worker not in self._reported:
            raise RunError(f"worker {worker} of a3c has died twice before it learned anything ({how})")
        self._note(f"worker {worker} has died ({how}); a new one takes its place")
        self._reported.discard(worker)
        self._jobs[worker] = replace(self._jobs[worker], life=self._jobs[worker].life + 1)
        self._start(worker)


class AsyncLoop(TrainingLoop):
    """The training loop where workers in other processes act and learn.

    Nothing that these do is repeatable: which of them comes first is the machine's affair. What is evaluated and saved
    is a copy of the global networks, taken between two updates, and the step counter of that moment.

    Args:
        rest: as of `TrainingLoop`.
        settings: of the run.
        document: the run's YAML, for messages.
    """

    def __init__(self, *rest: Any, settings: RunSettings, document: Document) -> None:
        super().__init__(*rest)
        self.trainer: BehaviorTrainer = next(iter(self.trainers.values()))
        assert isinstance(self.trainer.algorithm, A3c)
        self.algorithm = self.trainer.algorithm
        self._latest: dict[str, float] = {}
        self._settings, self._document = settings, document

    def run(self) -> None:
        """Train; see `TrainingLoop.run`."""
        shared = self.algorithm.shared
        shared.steps[0] = self.step
        self.workers = Workers(shared, self._settings, self._document, self.display.note)
        try:
            self.workers.start()
            super().run()
        finally:
            self.workers.end()

    def request_stop(self) -> None:
        """End the run soon; the workers at once."""
        self.algorithm.shared.stop()
        super().request_stop()

    def _collect(self) -> None:
        """Wait for reports; at the end of training for the last one."""
        self._reports = self.workers.receive(0.5)
        while self.algorithm.shared.step >= self.trainer.settings.max_steps and self.workers.running:
            self._reports += self.workers.receive(0.5)

    def _update(self) -> None:
        self._take_in(self._reports)
        if self._reports:
            self._take_stock([self.trainer])

    def _finish(self) -> None:
        last = self.workers.end()
        if not self.solved:
            self._take_in(last)
        super()._finish()

    def _take_in(self, reports: list[Report]) -> None:
        self.trainer.step = self.algorithm.pull()
        self.trainer.finished = self.trainer.step >= self.trainer.settings.max_steps
        for report in reports:
            self._latest |= report.metrics
            for part, seconds in report.seconds.items():
                self._seconds[part] += seconds
            self.trainer.receive(report.metrics, report.episodes)

    def _summarize(self, trainers: list[BehaviorTrainer]) -> None:
        weights = {name: value for name, value in self._latest.items() if name.startswith("reward_weight/")}
        for trainer in trainers:
            trainer.summarize({**weights, **self._time_shares()})

    def _shared_state(self) -> dict[str, Any]:
        return super()._shared_state() | {"env": None}


def is_a3c(settings: RunSettings) -> bool:
    """Return whether a run is A3C's."""
    return any(behavior.trainer_type == "a3c" for behavior in settings.behaviors.values())


def for_a3c(settings: RunSettings, document: Document) -> RunSettings:
    """Return the settings with the networks in memory that processes can share; those of another run as they are.

    Raises:
        UserError: what A3C cannot be combined with, with its line.
    """
    others = settings.default_settings
    for_newcomers = others is not None and others.trainer_type == "a3c"
    if settings.env_settings.sim_task is None and (is_a3c(settings) or for_newcomers):
        raise document.error(("env_settings", "env_path"), "a3c's workers need simulations of their own: sim:<task>")
    if not is_a3c(settings):
        return settings
    if len(settings.behaviors) > 1:
        names = ", ".join(settings.behaviors)
        raise document.error(("behaviors",), f"a3c trains one behavior alone, these are {names}")
    if (settings.torch_settings.device or "cpu") != "cpu":
        raise document.error(("torch_settings", "device"), "a3c's networks are in memory that processes share: cpu")
    for parameter, of in settings.environment_parameters.items():
        if isinstance(of, Curriculum):
            raise document.error(
                ("environment_parameters", parameter), "a3c has no curricula; trainers that have: every other one"
            )
    on_cpu = settings.torch_settings.model_copy(update={"device": "cpu"})
    return settings.model_copy(update={"torch_settings": on_cpu})
