"""robotrl record --keyboard: what a person who drives sees, in the terminal and, with the lab extra, in the browser."""

import webbrowser
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from trainers.imitation.keyboard import Driver, keys_of, pacer, terminal_keys
from trainers.imitation.recorder import Written, record_person
from trainers.record import RecordedScene
from unity_env.sim.env import SimEnv

Draw = Callable[[bool], None]


def record_by_keyboard(
    target: str,
    path: Path,
    episodes: int,
    seed: int,
    behavior: str | None,
    results_dir: Path | None,
    speed: float,
    port: int | None,
) -> Written:
    """Record a person who drives in the terminal; see `record_person`.

    Args:
        target: see `record_person`, likewise the next ones.
        path: the .demo file to write.
        episodes: how many at most.
        seed: of the first one.
        behavior: which one.
        results_dir: where runs are looked for.
        speed: simulated seconds in one second.
        port: of the page that shows the scene; None shows none.

    Raises:
        UserError: standard input is no terminal, or the page cannot be served.
    """
    console = Console(highlight=False)

    def stage(scene: RecordedScene, driver: Driver) -> Draw:
        sim = scene.world.scene.env
        assert isinstance(sim, SimEnv)
        draw = (lambda _begun: None) if port is None else _page(sim, port, console)
        console.print(_help(driver))
        return _watched(scene, driver, episodes, speed, draw, console)

    with terminal_keys() as read:
        return record_person(target, path, episodes, seed, behavior, results_dir, read, stage)


def status_line(driver: Driver, step: int, period_s: float, signals: dict[str, np.ndarray]) -> str:
    """Return what a person steers by: time, command, and the distances that the task signals."""
    command = " ".join(f"{value:+.2f}" for value in driver.command)
    seen = "  ".join(f"{name} {value[0, 0]:.2f}" for name, value in signals.items() if name.endswith("distance"))
    return f"{step * period_s:6.1f} s  command {command}  {seen}"


def _watched(scene: RecordedScene, driver: Driver, episodes: int, speed: float, draw: Draw, console: Console) -> Draw:
    """Return what is called after every step: it draws, prints, and waits for the next step's time."""
    period_s = driver.role.control.period_s
    wait = pacer(period_s / speed)
    begun = step = 0

    def after_step(begins: bool) -> None:
        nonlocal begun, step
        draw(begins)
        step = 0 if begins else step + 1
        if begins:
            begun += 1
            console.print(f"\nepisode, attempt {begun}; {episodes} episodes at most")
        signals = {name: scene.agents.sensors[index][:, where] for name, (index, where) in scene.agents.signals.items()}
        console.print("\r" + status_line(driver, step, period_s, signals) + "  ", end="", soft_wrap=True)
        wait()

    return after_step


def _help(driver: Driver) -> Table:
    table = Table(
        "key", "what it does", title=f"{driver.role.behavior}: a key moves the command by a quarter of its range"
    )
    for key, meaning in keys_of(driver.role):
        table.add_row(key, meaning)
    return table


def _page(sim: SimEnv, port: int, console: Console) -> Draw:
    """Serve a page that shows the scene; returns what draws it as it is now, and whether an episode begins."""
    try:
        import viser  # noqa: PLC0415  # an optional extra

        from trainers.play.server import check_free  # noqa: PLC0415
        from unity_env.sim.viewer import Viewer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        console.print(f"[dim]no picture: {error.name} is missing, pip install 'unity-robot-rl\\[lab]' brings it[/]")
        return lambda _begun: None
    check_free("127.0.0.1", port)
    with redirect_stdout(StringIO()):  # viser's own banner
        server = viser.ViserServer("127.0.0.1", port, label="robotrl record", verbose=False)
    viewer = Viewer(server, sim, 0, lambda _body, _pos: None)
    console.print(f"look at http://localhost:{port}, and keep the keyboard in this terminal")
    webbrowser.open(f"http://localhost:{port}")

    def draw(begins: bool) -> None:
        if begins:
            viewer.begin_episode()
        viewer.update()

    return draw
