import signal
import socket
import subprocess
import threading
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers import ROBOTRL, cli
from trainers.stage import open_stage
from unity_env.sim.role import all_roles

pytest.importorskip("viser", reason="the extra `lab` is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_page_is_served_while_the_policy_runs_and_not_after() -> None:
    from trainers.play.server import play
    from trainers.play.session import Session

    port, pages = free_port(), []

    def visit(_line: str) -> None:
        def fetch() -> None:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as page:
                pages.append(page.read())

        threading.Thread(target=fetch).start()

    with closing(open_stage("arm_reach_ppo")) as stage:
        session = Session(stage)
        play(session, "127.0.0.1", port, seconds=1.5, announce=visit)
        assert session.steps > 5
    assert pages
    assert b"<html" in pages[0].lower()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass


@pytest.mark.parametrize("task", sorted(all_roles()))
def test_every_task_has_a_scene_that_outlives_its_episodes(task: str) -> None:
    import viser

    from trainers.play.panel import Panel
    from trainers.play.session import Session
    from unity_env.sim.viewer import Viewer

    server = viser.ViserServer("127.0.0.1", free_port(), verbose=False)
    try:
        with closing(open_stage(task)) as stage:
            session = Session(stage)
            viewer, panel = Viewer(server, stage.sim, 0, session.drag), Panel(server, session)
            session.choose("random")
            for _ in range(3):
                session.reset()
                viewer.begin_episode()
                session.step()
                viewer.update()
                panel.refresh()
    finally:
        server.stop()


def test_speed_is_simulated_seconds_a_second_and_pause_holds() -> None:
    from trainers.play.server import play
    from trainers.play.session import Session

    with closing(open_stage("arm_reach")) as stage:
        session = Session(stage)
        session.speed = 0.5
        play(session, "127.0.0.1", free_port(), seconds=1.0, announce=lambda _: None)
        assert 0 < session.steps <= 0.5 / stage.period_s + 2
        session.paused, before = True, session.steps
        play(session, "127.0.0.1", free_port(), seconds=0.2, announce=lambda _: None)
        assert session.steps == before


def test_ctrl_c_ends_it_without_a_traceback_also_in_the_background(tmp_path: Path) -> None:
    command = [
        "sh",
        "-c",
        'trap "" INT; exec "$@"',
        "sh",
        str(ROBOTRL),
        "play",
        "arm_reach",
        "--no-browser",
        "--port",
        str(free_port()),
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "look at http://localhost" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in out + err


def test_a_taken_port_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = cli("play", "arm_reach", "--no-browser", "--port", taken.getsockname()[1])
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "Address already in use; choose another --port" in outcome.err


def test_without_the_extra_play_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith(("trainers.play", "unity_env.sim.viewer"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "viser", None)
    outcome = cli("play", "arm_reach", "--no-browser")
    assert outcome.code == 2
    assert outcome.err == "error: play needs viser: pip install 'unity-robot-rl[lab]'\n"
