"""The server behind the browser's page, and the clock of what it shows."""

import socket
import time
import webbrowser
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import viser

from trainers.errors import UserError
from trainers.play.panel import Panel
from trainers.play.session import Session
from unity_env.sim.viewer import Viewer

FRAME_S = 1 / 30
PLOT_S = 1 / 8


def play(
    session: Session,
    host: str,
    port: int,
    seconds: float | None = None,
    *,
    browser: bool = False,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve a session until Ctrl-C, or for some seconds.

    Args:
        session: what is watched.
        host: address to listen on.
        port: likewise.
        seconds: when to end by itself.
        browser: open the page on this machine.
        announce: takes the line that says where to look.

    Raises:
        UserError: the address cannot be listened on.
    """
    check_free(host, port)
    with redirect_stdout(StringIO()):  # viser's own banner
        server = viser.ViserServer(host, port, label="robotrl play", verbose=False)
    try:
        viewer = Viewer(server, session.stage.sim, 0, lambda body, pos: session.ask(lambda: session.drag(body, pos)))
        panel = Panel(server, session)
        url = f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{port}"
        announce(f"{session.stage.title}: look at {url}; Ctrl-C ends it")
        if browser:
            webbrowser.open(url)
        _run(session, viewer, panel, seconds)
    except KeyboardInterrupt:
        pass
    finally:
        with redirect_stdout(StringIO()):
            server.stop()


def _run(session: Session, viewer: Viewer, panel: Panel, seconds: float | None) -> None:
    """Step in time with the clock; draw as often as a person sees it."""
    began = due = drawn = plotted = time.monotonic()
    while seconds is None or time.monotonic() - began < seconds:
        session.obey()
        now = time.monotonic()
        if session.paused:
            due = now
        elif now >= due:
            if session.step():
                viewer.begin_episode()
            due = max(due + session.stage.period_s / session.speed, now - 0.1)
        if now - drawn >= FRAME_S:
            viewer.update()
            drawn = now
        if now - plotted >= PLOT_S:
            panel.refresh()
            plotted = now
        time.sleep(max(0.0, min(due if not session.paused else drawn + FRAME_S, drawn + FRAME_S) - time.monotonic()))


def check_free(host: str, port: int) -> None:
    """Refuse a port that is taken: viser would silently take the next one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"--host {host} --port {port}: {reason}; choose another --port") from None
