"""The panel beside the scene: what goes on, what can be done, and plots."""

import html
from collections.abc import Sequence

import numpy as np
import viser
from viser import uplot

from trainers.play.session import Session

_COLORS = ("#176ebf", "#d9482b", "#18875a", "#9a5fc0", "#c98a0b", "#0fa3b1", "#6b7683", "#c2417c")
_GRID = uplot.Axis_Grid(stroke="#e6e9ec", width=1)
_PLOT_HEIGHT = 170


class Panel:
    """Builds the controls, which talk to the session, and keeps what it shows up to date.

    Args:
        server: whose panel it fills.
        session: what is watched.
    """

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self._gui, self._session = server.gui, session
        server.gui.configure_theme(
            control_width="large",
            show_logo=False,
            show_share_button=False,
            brand_color=(23, 110, 191),
        )
        server.gui.main_panel.dock_right()
        server.gui.set_panel_label(f"robotrl play  {session.stage.title}")
        self._status = server.gui.add_html("")
        self._add_controls()
        self._add_pushes()
        self._plots = Plots(server.gui, session)
        self.refresh()

    def refresh(self) -> None:
        """Show the session as it is now."""
        self._status.content = status_html(self._session)
        self._plots.refresh()

    def _add_controls(self) -> None:
        gui, session = self._gui, self._session
        buttons = gui.add_button_group("", ("Pause", "Step", "Reset"))
        buttons.on_click(
            lambda _: session.ask({"Pause": self._pause, "Step": self._step, "Reset": session.reset}[buttons.value])
        )
        cast = gui.add_dropdown("Policy", tuple(session.stage.casts), initial_value=session.cast)
        cast.on_update(lambda _: session.ask(lambda: session.choose(cast.value)))
        speed = gui.add_slider(
            "Speed", min=0.1, max=4.0, step=0.1, initial_value=1.0, hint="simulated seconds a second"
        )
        speed.on_update(lambda _: session.ask(lambda: setattr(session, "speed", float(speed.value))))

    def _pause(self) -> None:
        self._session.paused = not self._session.paused

    def _step(self) -> None:
        self._session.paused = True
        self._session.step()

    def _add_pushes(self) -> None:
        gui, session = self._gui, self._session
        robots = [role.robot for role in session.stage.sim.task.roles]
        with gui.add_folder("Push", expand_by_default=False):
            names = tuple(robot.name for robot in robots)
            robot = gui.add_dropdown("Robot", names, visible=len(names) > 1)
            usual = robots[0].push.force_n
            force = gui.add_slider("Force, N", min=0.0, max=5.0 * usual, step=0.1 * usual, initial_value=2.0 * usual)
            angle = gui.add_slider("Direction, deg", min=-180, max=180, step=5, initial_value=90)
            button = gui.add_button("Push for 0.2 s")

        def push() -> None:
            session.push(names.index(robot.value), float(force.value), float(np.radians(angle.value)))

        button.on_click(lambda _: session.ask(push))


class Plots:
    """Reward terms and a chosen signal of the watched behavior, over the last seconds."""

    def __init__(self, gui: viser.GuiApi, session: Session) -> None:
        self._gui, self._session = gui, session
        if len(session.stage.behaviors) > 1:
            watched = gui.add_dropdown("Watch", session.stage.behaviors)
            watched.on_update(lambda _: session.ask(lambda: self._watch(watched.value)))
        self._build()

    def refresh(self) -> None:
        """Show the session's history."""
        times = self._session.times()
        self._terms.data = (times, *self._session.terms().values())
        if self._signal:
            self._values.data = (times, *self._session.signal(self._signal).T)

    def _watch(self, behavior: str) -> None:
        self._session.watched = behavior
        for folder in (self._terms_folder, self._signals_folder):
            folder.remove()
        self._build()

    def _build(self) -> None:
        self._terms_folder = self._gui.add_folder("Reward terms, per step")
        with self._terms_folder:
            self._terms = _add_plot(self._gui, self._session.term_names)
        self._signals_folder = self._gui.add_folder("Signals", visible=bool(self._session.signals))
        self._signal = ""
        if self._session.signals:
            names = tuple(self._session.signals)
            scalars = [name for name in names if self._session.signals[name].size == 1]
            with self._signals_folder:
                chosen = self._gui.add_dropdown("Signal", names, initial_value=(scalars or names)[0])
            chosen.on_update(lambda _: self._session.ask(lambda: self._choose(chosen.value)))
            self._values = self._plot_of(chosen.value)

    def _choose(self, name: str) -> None:
        self._values.remove()
        self._values = self._plot_of(name)

    def _plot_of(self, name: str) -> viser.GuiUplotHandle:
        size = self._session.signals[name].size
        self._signal = name
        labels = [name] if size == 1 else [f"{name}[{i}]" for i in range(size)]
        with self._signals_folder:
            return _add_plot(self._gui, labels)


def status_html(session: Session) -> str:
    """Return the headline: task, behavior, how the episode goes."""
    stage, moment = session.stage, session.moment
    step = stage.step_count
    total = 0.0 if moment is None else moment.total
    state, color = ("paused", "#6b7683") if session.paused else ("running", "#176ebf")
    done = min(100.0, 100.0 * step * stage.period_s / stage.episode_s)
    solved = f"{session.solved} of {session.episodes} solved" if session.episodes else "no episode over yet"
    cells = (("time", f"{step * stage.period_s:.2f} s"), ("return", f"{total:.2f}"), ("episodes", solved))
    row = "".join(
        f"<div><div style='color:#7b8794;font-size:11px'>{name}</div>"
        f"<div style='font-variant-numeric:tabular-nums'>{value}</div></div>"
        for name, value in cells
    )
    return (
        "<div style='padding:10px 14px 4px;font-size:14px'>"
        "<div style='display:flex;justify-content:space-between;align-items:center'>"
        f"<b style='font-size:16px'>{html.escape(stage.sim.task.name)}</b>"
        f"<span style='background:{color};color:#fff;border-radius:9px;padding:1px 9px;font-size:12px'>{state}</span>"
        f"</div><div style='color:#7b8794;font-size:12px'>{html.escape(session.watched)}</div>"
        f"<div style='display:flex;gap:22px;margin-top:8px'>{row}</div>"
        "<div style='height:4px;background:#e6e9ec;border-radius:2px;margin-top:8px'>"
        f"<div style='height:4px;width:{done:.1f}%;background:#176ebf;border-radius:2px'></div></div></div>"
    )


def _add_plot(gui: viser.GuiApi, names: Sequence[str]) -> viser.GuiUplotHandle:
    """Add a plot of lines over time, without data yet."""
    series = [uplot.Series(label="t, s")]
    series += [
        uplot.Series(label=name, stroke=_COLORS[index % len(_COLORS)], width=1.5) for index, name in enumerate(names)
    ]
    axis = uplot.Axis(grid=_GRID, stroke="#7b8794", font="11px sans-serif")
    nothing = np.zeros(0)
    return gui.add_uplot(
        (nothing, *(nothing for _ in names)),
        tuple(series),
        scales={"x": uplot.Scale(time=False), "y": uplot.Scale()},
        axes=(axis, axis),
        legend=uplot.Legend(show=True, live=False),
        height=_PLOT_HEIGHT,
    )
