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
        watched: the behavior whose reward and signals are shown.
        history: the last steps, behavior -> moment.
        episodes: ended so far, but for those cut off by a reset.
        solved: of them, by every robot.
    """

    def __init__(self, stage: Stage, seed: int = 0) -> None:
        self.stage = stage
        self.cast = next(iter(stage.casts))
        self.paused = False
        self.speed = 1.0
        self.watched = stage.behaviors[0]
        self.history: deque[dict[str, Moment]] = deque(maxlen=MEMORY)
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

    def step(self) -> bool:
        """Advance by one control period; returns whether the episode ended."""
        moments, ended = self.stage.step(self.cast)
        self.history.append(moments)
        self.steps += 1
        self.episodes += ended
        self.solved += ended and all(moment.solved for moment in moments.values())
        return ended

    def reset(self) -> None:
        """Cut the episode off and begin another."""
        self.stage.reset()
        self.history.clear()

    @property
    def moment(self) -> Moment | None:
        """The last step of the watched behavior; None right after a reset."""
        return self.history[-1][self.watched] if self.history else None

    @property
    def signals(self) -> dict[str, np.ndarray]:
        """The watched behavior's signals of now, (k,) each."""
        return self.stage.signals[self.watched]

    @property
    def term_names(self) -> tuple[str, ...]:
        """The watched behavior's reward terms."""
        return self.stage.world.scorers[self.watched].reward.names

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
        moments = [moments[self.watched] for moments in self.history]
        return {name: np.array([moment.terms[name] for moment in moments]) for name in self.term_names}

    def signal(self, name: str) -> np.ndarray:
        """Return the history of a signal, (T, k)."""
        values = [moments[self.watched].signals[name] for moments in self.history]
        return np.array(values).reshape(-1, self.signals[name].size)
