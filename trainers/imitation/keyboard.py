"""A person drives a robot of the embedded simulation by the keys of a terminal, and is recorded.

Terminals tell of keys that go down, not of those that come up. So a key moves the command by a step, and there it
stays until another key moves it, or the space bar stops the robot.
"""

import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TextIO, TypeVar

import numpy as np

from trainers.errors import UserError
from trainers.record import RecordedScene
from unity_env.agent_rows import StepResult
from unity_env.sim.baselines.measure import as_action
from unity_env.sim.env import SimEnv
from unity_env.sim.role import Role

Array = np.ndarray
T = TypeVar("T")
ReadKeys = Callable[[], str]

STEP = 0.25  # of a command's range on either side of 0
STOP, AGAIN, FINISH = " ", "\x7f", "\n"
_WORDS = MappingProxyType({STOP: "space bar", AGAIN: "backspace", FINISH: "enter"})
_ARROWS = MappingProxyType({"\x1b[A": "w", "\x1b[B": "s", "\x1b[D": "a", "\x1b[C": "d"})
_KEY = re.compile(r"\x1b\[[A-D]|[^\x1b]", re.DOTALL)


class Driver:
    """What a person commands.

    Args:
        role: of the robot that is driven.
        read: returns the keys pressed since it was called last.

    Attributes:
        command: (command_size,), in [-1, 1].
        again: the episode under way is to be given up.
        finished: no more episodes are wanted.
    """

    def __init__(self, role: Role, read: ReadKeys) -> None:
        self.role, self._read = role, read
        self.command = np.zeros(role.command_size)
        self.again = self.finished = False
        self._moves: dict[str, tuple[int, int]] = {}
        for index, pair in enumerate(_pairs(role.command_size)):
            self._moves |= {pair[0]: (index, 1), pair[1]: (index, -1)}

    def act(self) -> Any:
        """Obey the keys; returns the action of the robot's one row, as its environment takes it."""
        for key in split_keys(self._read()):
            self.press(key)
        action = as_action(self.role, self.command[None])
        return action.discrete if self.role.choices else action.continuous

    def press(self, key: str) -> None:
        """Obey one key; others than those in `keys_of` do nothing."""
        if key in self._moves:
            index, sign = self._moves[key]
            self.command[index] = np.clip(self.command[index] + sign * STEP, -1.0, 1.0)
        elif key == STOP:
            self.command[:] = 0.0
        self.again |= key == AGAIN
        self.finished |= key == FINISH

    def begin(self) -> None:
        """Stand still, for a new episode."""
        self.command[:] = 0.0
        self.again = False


def keys_of(role: Role) -> list[tuple[str, str]]:
    """Return what the keys do, (keys, meaning)."""
    pairs = [" / ".join(pair) for pair in _pairs(role.command_size)]
    if role.command_size == 2:
        moves = list(zip((f"{pairs[0]}  or up / down", f"{pairs[1]}  or left / right"), _MOBILE, strict=True))
    else:
        moves = list(zip(pairs, _names(role), strict=True))
    ends = [(STOP, "stop"), (AGAIN, "give this episode up and begin another"), (FINISH, "end, and save the episodes")]
    return [*moves, *((_WORDS[key], meaning) for key, meaning in ends)]


def split_keys(text: str) -> list[str]:
    """Return the keys in what a terminal has sent; arrows are their letters, and a carriage return is a new line."""
    keys = (_ARROWS.get(key, key) for key in _KEY.findall(text.replace("\r", "\n").replace("\x08", AGAIN)))
    return [key.lower() for key in keys]


@contextmanager
def terminal_keys(terminal: TextIO | None = None) -> Iterator[ReadKeys]:
    """Let a terminal give its keys at once and unseen; yields what reads them, without waiting.

    Raises:
        UserError: standard input is no terminal.
    """
    terminal = terminal or sys.stdin
    if not terminal.isatty():
        raise UserError("--keyboard: standard input is no terminal whose keys could be read")
    import termios  # noqa: PLC0415  # not on Windows
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(terminal.fileno())
    tty.setcbreak(terminal.fileno())
    try:
        yield lambda: _waiting(terminal)
    finally:
        termios.tcsetattr(terminal.fileno(), termios.TCSADRAIN, before)


def drive_episodes(
    scene: RecordedScene,
    driver: Driver,
    episodes: int,
    seed: int,
    look: Callable[[int, Sequence[Array], StepResult], T],
    after_step: Callable[[bool], None],
) -> list[list[T]]:
    """Step one row by the person's commands, until there are enough whole episodes or no more are wanted.

    Args:
        scene: one row of an embedded task; its policies act for the other behaviors.
        driver: of the recorded behavior.
        episodes: how many at most.
        seed: of the first one.
        look: as of `trainers.record.play_episodes`.
        after_step: shows the scene, and lets time pass; gets whether an episode has begun.
    """
    world, name = scene.world, scene.name
    whole: list[list[T]] = []
    under_way: list[T] = []
    seen = world.reset(seed)
    driver.begin()
    after_step(True)
    while len(whole) < episodes and not driver.finished:
        before = scene.agents.sensors
        actions = {of: scene.policies[of](*start) for of, start in seen.items() if of in scene.policies and of != name}
        results = world.step(actions | {name: driver.act()})
        seen |= {of: (result[0], result[4]) for of, result in results.items()}
        under_way.append(look(0, before, results[name]))
        ended = bool(results[name][2][0] or results[name][3][0])
        if ended:
            whole.append(under_way)
        elif driver.again:
            seen = world.reset()
        if ended or driver.again:
            under_way = []
            driver.begin()
            after_step(True)
        else:
            after_step(False)
    return whole


def pacer(period_s: float) -> Callable[[], None]:
    """Return what waits until the next step is due; one that is late is not made up for."""
    due = time.monotonic()

    def wait() -> None:
        nonlocal due
        due = max(due + period_s, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))

    return wait


def driven_role(scene: RecordedScene) -> Role:
    """Return the role that a person drives.

    Raises:
        UserError: the scene is not embedded.
    """
    sim = scene.world.scene.env
    if not isinstance(sim, SimEnv):
        raise UserError(
            "--keyboard: only embedded tasks (sim:<task>) are driven; record in Unity with its own recorder"
        )
    return next(role for role in sim.task.roles if role.behavior == scene.name.partition("?")[0])


_MOBILE = ("forward / back", "left / right")


def _pairs(size: int) -> list[str]:
    """Return, for every number of a command, the key for more and the one for less."""
    return ["ws", "ad"] if size == 2 else [more + less for more, less in zip("qwertyu", "asdfghj", strict=True)][:size]


def _names(role: Role) -> list[str]:
    parts = [(part.name.removesuffix("_target").replace("_", " "), part.size) for part in role.action]
    return [f"{name} {index + 1}" if size > 1 else name for name, size in parts for index in range(size)]


def _waiting(terminal: TextIO) -> str:
    """Return what a terminal has to say, without waiting for more."""
    said = b""
    while select.select([terminal.fileno()], [], [], 0.0)[0]:
        some = os.read(terminal.fileno(), 1024)
        if not some:
            break
        said += some
    return said.decode(errors="ignore")
