"""What happens on the stage while somebody watches: commands in, steps, a memory of the last seconds."""

from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

import numpy as np

from trainers.stage import Moment, Stage

MEMORY = 250  # steps that plots show


class Session:
    """Steps a stage and carries out, between two steps, what threads of the browser's server have asked for.

    Args:
        stage: what is watched.
        seed: of the episodes.

    Attributes:
        cast: who acts, a key of `stage.casts`.
        paused: no step without being asked for one.
        speed: simulated seconds in one second.
        moment: the last step; None right after a reset.
        history: the last steps.
        episodes: ended so far, but for those cut off by a reset.
        solved: of them.
    """

    def __init__(self, stage: Stage, seed: int = 0) -> None:
        self.stage = stage
        self.cast = next(iter(stage.casts))
        self.paused = False
        self.speed = 1.0
        self.moment: Moment | None = None
        self.history: deque[Moment] = deque(maxlen=MEMORY)
        self.episodes, self.solved, self.steps = 0, 0, 0
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        stage.reset(seed)

    def ask(self, command: Callable[[], None]) -> None:
        """Let a command run before the next step; any thread may ask."""
        self._commands.put(command)

    def obey(self) -> None:
        """Run the commands that were asked for, in their order."""
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            command()

    def step(self) -> Moment:
        """Advance by one control period."""
        moment = self.stage.step(self.cast)
        self.moment = moment
        self.history.append(moment)
        self.steps += 1
        self.episodes += moment.ended
        self.solved += moment.solved
        return moment

    def reset(self) -> None:
        """Cut the episode off and begin another."""
        self.stage.reset()
        self.moment = None
        self.history.clear()

    def choose(self, cast: str) -> None:
        """Let others act from the next step on; the count of solved episodes starts anew."""
        self.cast = cast
        self.episodes = self.solved = 0

    def drag(self, body: str, pos: np.ndarray) -> None:
        """Put a draggable body somewhere, (3,), m."""
        self.stage.sim.task.place(0, body, pos)

    def push(self, robot: int, force_n: float, angle_rad: float, seconds: float = 0.2) -> None:
        """Push a robot horizontally; the angle is about z, from x."""
        force = force_n * np.array([np.cos(angle_rad), np.sin(angle_rad)])
        self.stage.sim.push(0, robot, force, max(1, round(seconds / self.stage.period_s)))

    def times(self) -> np.ndarray:
        """Return the history's times up to now, s, (T,)."""
        count = len(self.history)
        return np.arange(self.steps - count + 1, self.steps + 1) * self.stage.period_s

    def terms(self) -> dict[str, np.ndarray]:
        """Return the history of each reward term, (T,)."""
        names = self.stage.env.reward.names
        return {name: np.array([moment.terms[name] for moment in self.history]) for name in names}

    def signal(self, name: str) -> np.ndarray:
        """Return the history of a signal, (T, k)."""
        size = len(np.atleast_1d(self.stage.signals[name]))
        return np.array([moment.signals[name] for moment in self.history]).reshape(-1, size)
