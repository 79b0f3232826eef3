"""A worker of A3C: copies the global parameters, plays, and applies the gradients of its own loss to them."""

import signal
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch

from trainers.a3c.networks import GlobalNetworks
from trainers.algorithms.a3c import A3c
from trainers.algorithms.algorithm import Step
from trainers.errors import RunError, UserError
from trainers.metrics import EpisodeLog
from trainers.settings import RunSettings
from trainers.world import World, make_world
from trainers.world_errors import run_errors
from trainers.yaml_file import Document
from unity_env.settings import MAX_SEED

REPORT_S = 0.2


@dataclass(frozen=True)
class Report:
    """What a worker has done since its last report.

    Attributes:
        metrics: means.
        episodes: values of the episodes that ended, by their names in the log.
        seconds: where the time went.
    """

    metrics: dict[str, float]
    episodes: dict[str, list[float]]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; `life` counts those that had its number before."""

    settings: RunSettings
    document: Document
    worker: int
    life: int

    @property
    def seed(self) -> int:
        """Of everything random in this worker."""
        key = [self.settings.env_settings.seed, self.worker, self.life]
        return int(np.random.SeedSequence(key).generate_state(1)[0]) % MAX_SEED


def work(job: Job, shared: GlobalNetworks, pipe: Connection) -> None:
    """Train until max_steps are done or a stop: the body of a process.

    Sends a `Report` now and then, and the message of what made it fail.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which stops the workers
    torch.set_num_threads(1)
    try:
        with run_errors(job.settings, job.document), closing(make_world(job.settings, job.document)) as world:
            Worker(job, shared, world, pipe).run()
    except (RunError, UserError) as error:
        pipe.send(str(error))
    except BrokenPipeError:
        pass  # the main process is gone, and with it the run


class Worker:
    """Plays and learns.

    Args:
        job: what to do.
        shared: the global networks.
        world: its own simulation.
        pipe: to the main process.
    """

    def __init__(self, job: Job, shared: GlobalNetworks, world: World, pipe: Connection) -> None:
        self.name, behavior = next(iter(job.settings.behaviors.items()))
        self.shared, self.world, self.pipe, self.seed = shared, world, pipe, job.seed
        self.max_steps = behavior.max_steps
        rows = world.rows[self.name].num_rows
        actor = shared.actor
        self.algorithm = A3c(actor.observation, actor.shape, rows, behavior, self.seed, torch.device("cpu"))
        self.algorithm.join(shared, job.worker)
        self.scorer = world.scorers[self.name]
        self.scorer.continue_from(shared.step, {"successes": []})
        self.episodes = EpisodeLog(rows)
        self._metrics: dict[str, list[float]] = defaultdict(list)
        self._seconds = dict.fromkeys(("policy", "simulation", "update"), 0.0)
        self._reported = time.perf_counter()

    def run(self) -> None:
        """Play buffer_size steps and learn from them, again and again."""
        self._obs, infos = self.world.reset(self.seed)[self.name]
        self._requesting = infos["requesting"]
        while not self.shared.stopped and self.shared.step < self.max_steps:
            while not self.algorithm.ready():
                self._play()
            self._learn()
            if time.perf_counter() - self._reported > REPORT_S:
                self._report()
        if self._metrics:
            self._report()

    def _play(self) -> None:
        clock = time.perf_counter
        started = clock()
        act = self.algorithm.act(self._obs, self._requesting)
        acted = clock()
        obs, rew, terminated, truncated, infos = self.world.step({self.name: act})[self.name]
        self._seconds["policy"] += acted - started
        self._seconds["simulation"] += clock() - acted
        self.algorithm.observe(Step(rew, terminated, truncated, obs, infos.get("final_obs"), infos["valid"]))
        self.episodes.add(rew, terminated, truncated, infos)
        self._obs, self._requesting = obs, infos["requesting"]

    def _learn(self) -> None:
        started = time.perf_counter()
        metrics = self.algorithm.update(self.shared.step / self.max_steps)
        self.scorer.step = self.shared.step
        for name, value in metrics.items():
            self._metrics[name].append(value)
        self._seconds["update"] += time.perf_counter() - started

    def _report(self) -> None:
        metrics = {name: float(np.mean(values)) for name, values in self._metrics.items()}
        sampled = {f"environment/{name}": mean for name, mean in self.world.sampled_means().items()}
        self.pipe.send(Report({**metrics, **sampled, **self.scorer.summary()}, self.episodes.take(), self._seconds))
        self._metrics.clear()
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self._reported = time.perf_counter()
