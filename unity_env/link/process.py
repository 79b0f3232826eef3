"""The player's process: started as the official client starts it, watched, and surely ended."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlagents_envs.env_utils import validate_environment_path
from mlagents_envs.exception import UnityEnvironmentException

_TAIL_LINES = 15
_TAIL_BYTES = 8192
_TERMINATE_S = 3.0


class PlayerProcess:
    """A running Unity build.

    Its Player.log and what it prints lie in the log folder while it runs: a player that cannot even open its log
    (a missing library, say) says so on its standard error.

    Args:
        file_name: the build, with or without its extension.
        args: command line before the user's: graphics, port.
        user_args: command line as the user wants it; may choose the log file.
        log_folder: where the logs go; None: a temporary folder that goes when the process is ended.
        worker_id: number in the logs' names.

    Raises:
        UnityEnvironmentException: there is no such build, or it cannot be executed.
    """

    def __init__(
        self, file_name: str, args: Sequence[str], user_args: Sequence[str], log_folder: str | None, worker_id: int
    ) -> None:
        executable = validate_environment_path(file_name)
        if executable is None:
            raise UnityEnvironmentException(f"{file_name}: no such Unity build")
        self._folder = None if log_folder else tempfile.TemporaryDirectory(prefix="unity-player-")
        folder = Path(log_folder or self._folder.name).absolute()  # type: ignore[union-attr]  # one of the two is set
        folder.mkdir(parents=True, exist_ok=True)
        self._printed = folder / f"Player-{worker_id}.out"
        chosen = _chosen_log(user_args)
        self.log = chosen or folder / f"Player-{worker_id}.log"
        log_args = [] if chosen else ["-logFile", str(self.log)]
        command = [executable, *args, *log_args, *user_args]
        try:
            with self._printed.open("wb") as printed:
                # A session of its own: Ctrl-C reaches Python alone, which then ends the player in good order.
                self._process = subprocess.Popen(command, stdout=printed, stderr=printed, start_new_session=True)
        except OSError as error:
            self._drop_folder()
            raise UnityEnvironmentException(f"{executable} cannot be started: {error.strerror}") from error
        self.pid = self._process.pid

    def exit_message(self) -> str | None:
        """Return how the process ended, None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        with contextlib.suppress(ValueError):
            if code < 0:
                return f"the player was ended by signal {signal.Signals(-code).name}"
        return f"the player exited with code {code}"

    def log_tail(self) -> str:
        """Return the last lines of Player.log and of what the player printed, "" where there are none."""
        parts = []
        for path in (self.log, self._printed):
            lines = _last_lines(path)
            if lines:
                parts.append("\n".join([f"Last lines of {path.name}:", *(f"  {line}" for line in lines)]))
        return "\n".join(parts)

    def stop(self, grace_s: float) -> None:
        """Wait for the process to quit by itself, then terminate it, then kill it and what it started; all are gone.

        Args:
            grace_s: how long it may take to quit, seconds.
        """
        if not self.gone(grace_s):
            self._signal(signal.SIGTERM)
            self.gone(_TERMINATE_S)
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))  # a script may have ended before the player it started
        self._process.wait()
        self._drop_folder()

    def gone(self, timeout_s: float) -> bool:
        """Wait for the end of the process; returns whether it came in time."""
        try:
            self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: int) -> None:
        if sys.platform == "win32":
            self._process.terminate()
        else:  # the whole session: a build may be a script that starts the player
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _drop_folder(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _chosen_log(user_args: Sequence[str]) -> Path | None:
    """Return the log file that the user's own arguments name, where they do."""
    lowered = [arg.lower() for arg in user_args]
    if "-logfile" not in lowered:
        return None
    return Path(*user_args[lowered.index("-logfile") + 1 :][:1])


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
