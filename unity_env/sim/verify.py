"""Is a player the task that it says it is? Its specification, clock, ranges and geometry, line by line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps

from unity_env.make import make_base_env
from unity_env.settings import EngineSettings, EnvSettings
from unity_env.sim.baselines.measure import as_action, read_components
from unity_env.sim.role import Role, roles_of
from unity_env.sim.transplant import DERIVED, sense_again

Array = np.ndarray
AREAS = 4
PERIOD_TOLERANCE = 0.05  # of the control period
GEOMETRY_TOLERANCE = 1e-3  # m, rad; float32, and an engine's own arithmetic
_ROUNDING = 1e-5
_STEADY = 3  # steps until drives have reached their velocities
_TIMED = 15


@dataclass(frozen=True)
class Line:
    """One thing that was compared."""

    agrees: bool
    what: str
    found: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.agrees else 'DIFF '} {self.what:<32} {self.found}"


def open_player(env: str, task: str, timeout_s: int = 60) -> BaseEnv:
    """Start a player for `verify`: four areas, nothing random but the starts.

    Args:
        env: a build, or `sim:<task>`.
        task: told to the player as `--task`.
        timeout_s: for its start and every step.

    Raises:
        UnityException: it did not start or connect.
    """
    settings = EnvSettings(env_path=env, env_args=["--task", task], num_areas=AREAS, seed=1, timeout_wait=timeout_s)
    parameters = {"obstacle_count": 0.0} if task.startswith("mobile_goal") else {}
    return make_base_env(settings, engine=EngineSettings(no_graphics=True), parameters=parameters)


def verify(env: BaseEnv, task: str, steps: int = 200) -> Iterator[Line]:
    """Compare a running player with a task's description and with the embedded simulation.

    Args:
        env: the player.
        task: what it should be.
        steps: with random actions.

    Yields:
        What was compared, as soon as it is known.

    Raises:
        ValueError: unknown task.
        UnityException: the player fails meanwhile.
    """
    roles = {role.behavior: role for role in roles_of(task)}
    env.reset()
    full = {name.partition("?")[0]: name for name in env.behavior_specs}
    lines = list(_specifications(roles, {plain: env.behavior_specs[name] for plain, name in full.items()}))
    yield from lines
    if not all(line.agrees for line in lines):
        yield Line(False, "clock, ranges, geometry", "not compared: the sensors or actions differ")
        return
    session = _Session(env, roles, full)
    yield from _clocks(session)
    yield from _behave(session, task, steps)


def _specifications(roles: Mapping[str, Role], specs: Mapping[str, BehaviorSpec]) -> Iterator[Line]:
    found = ", ".join(sorted(specs)) or "none"
    if set(specs) == set(roles):
        yield Line(True, "behaviors", found)
    else:
        yield Line(False, "behaviors", f"{found}; described: {', '.join(sorted(roles))}")
    for name in sorted(set(roles) & set(specs)):
        yield from _sensors(roles[name], specs[name])
        described, announced = _actions(roles[name].spec), _actions(specs[name])
        yield _same(f"{name} actions", announced, described)


def _sensors(role: Role, spec: BehaviorSpec) -> Iterator[Line]:
    described = {sensor.name: sensor.shape for sensor in role.spec.observation_specs}
    announced = {sensor.name: tuple(sensor.shape) for sensor in spec.observation_specs}
    for name in dict.fromkeys([*described, *announced]):
        what = f"{role.behavior} sensor {name}"
        if name not in announced:
            yield Line(False, what, f"missing; described: {_values(described[name])}")
        elif name not in described:
            yield Line(False, what, f"{_values(announced[name])}; not described")
        else:
            yield _same(what, _values(announced[name]), _values(described[name]))
    if list(described) != list(announced) and set(described) == set(announced):
        yield Line(
            False, f"{role.behavior} order of sensors", f"{', '.join(announced)}; described: {', '.join(described)}"
        )


def _same(what: str, found: str, described: str) -> Line:
    return Line(found == described, what, found if found == described else f"{found}; described: {described}")


def _values(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} values" if len(shape) == 1 else f"shape {shape}"


def _actions(spec: BehaviorSpec) -> str:
    action = spec.action_spec
    branches = "".join(f", a choice of {size}" for size in action.discrete_branches)
    return f"{action.continuous_size} continuous{branches}"


class _Session:
    """A player, one step after the other.

    Attributes:
        roles: behavior name -> its part in the task.
    """

    def __init__(self, env: BaseEnv, roles: Mapping[str, Role], full: Mapping[str, str]) -> None:
        self._env, self._full = env, full
        self.roles = roles

    def decisions(self, behavior: str) -> DecisionSteps:
        """Return the behavior's requests."""
        return self._env.get_steps(self._full[behavior])[0]

    def known(self, behavior: str) -> dict[str, Array]:
        """Return what both sensors say, component -> (agents, size)."""
        return read_components(self.roles[behavior], self.decisions(behavior))

    def ended(self) -> bool:
        """Tell whether an episode has just ended."""
        return any(len(self._env.get_steps(name)[1]) for name in self._full.values())

    def act(self, actions: Mapping[str, ActionTuple]) -> None:
        """Send actions and wait for the next requests."""
        for behavior, action in actions.items():
            self._env.set_actions(self._full[behavior], action)
        self._env.step()

    def restart(self) -> None:
        """Begin new episodes."""
        self._env.reset()


def _clocks(session: _Session) -> Iterator[Line]:
    """Turn a joint, or the base on the spot: the period is the way over the velocity."""
    for behavior, role in session.roles.items():
        session.restart()
        way, velocity = _turn(session, behavior, role)
        seconds = float((way * velocity).sum() / max(float(np.square(velocity).sum()), 1e-12))
        described = role.control.period_s
        agrees = abs(seconds - described) <= PERIOD_TOLERANCE * described
        yield Line(agrees, f"{behavior} control period", f"{seconds:.4f} s measured; described: {described:g} s")


def _turn(session: _Session, behavior: str, role: Role) -> tuple[Array, Array]:
    """Return angles turned in each step, rad, and mean velocities, rad/s, (T,) each, of the first agent."""
    is_arm = role.robot.kind == "arm"  # type: ignore[attr-defined]  # every description has it
    command = np.zeros(role.command_size)
    command[0 if is_arm else 1] = 0.5
    angles, velocities = [], []
    for _ in range(_STEADY + _TIMED):
        known = session.known(behavior)
        x, y = known["heading"][0] if not is_arm else (1.0, 0.0)
        angles.append(float(known["joint_pos"][0, 0]) if is_arm else float(np.arctan2(y, x)))
        velocities.append(float(known["joint_vel" if is_arm else "yaw_velocity"][0, 0]))
        count = len(session.decisions(behavior))
        session.act({behavior: as_action(role, np.repeat(command[None], count, axis=0))})
    turned = np.diff(np.unwrap(angles))[_STEADY:]
    speed = np.array(velocities)
    return turned, (0.5 * (speed[1:] + speed[:-1]))[_STEADY:]


def _behave(session: _Session, task: str, steps: int) -> Iterator[Line]:
    """Act at random, and look at what the sensors say."""
    rng = np.random.default_rng(0)
    session.restart()
    lowest: dict[tuple[str, str], float] = {}
    highest: dict[tuple[str, str], float] = {}
    worst: dict[tuple[str, str], float] = {}
    echoed = True
    for step in range(steps):
        known = {behavior: session.known(behavior) for behavior in session.roles}
        for behavior, components in known.items():
            for name, value in components.items():
                key = (behavior, name)
                lowest[key] = min(lowest.get(key, np.inf), _nan_is(-np.inf, value.min()))
                highest[key] = max(highest.get(key, -np.inf), _nan_is(np.inf, value.max()))
        if step % 10 == 0:
            _compare(sense_again(task, known), known, worst)
        actions = {name: _random(role, len(session.decisions(name)), rng) for name, role in session.roles.items()}
        session.act(actions)
        echoed &= session.ended() or all(
            _is_echo(role, session.known(name)["last_action"], actions[name]) for name, role in session.roles.items()
        )
    yield Line(echoed, "last_action", "what was sent" if echoed else "is not what was sent before")
    yield from _ranges(session, lowest, highest, steps)
    yield from _geometry(task, worst)


def _nan_is(value: float, number: float) -> float:
    return value if np.isnan(number) else float(number)


def _random(role: Role, count: int, rng: np.random.Generator) -> ActionTuple:
    return as_action(role, rng.uniform(-1.0, 1.0, (count, role.command_size)))


def _is_echo(role: Role, last: Array, action: ActionTuple) -> bool:
    sent = role.command(action)
    return last.shape == sent.shape and bool(np.abs(last - sent).max() <= _ROUNDING)


def _ranges(
    session: _Session, lowest: Mapping[tuple[str, str], float], highest: Mapping[tuple[str, str], float], steps: int
) -> Iterator[Line]:
    for behavior, role in session.roles.items():
        parts = {part.name: part for sensor in role.sensors.values() for part in sensor}
        outside = []
        for name, part in parts.items():
            low, high = lowest[behavior, name], highest[behavior, name]
            if low < part.limit[0] - _ROUNDING or high > part.limit[1] + _ROUNDING:
                limit = f"{part.limit[0]:g} .. {part.limit[1]:g} {part.unit.removeprefix('1')}".rstrip()
                outside.append(Line(False, f"{behavior} {name}", f"{low:g} .. {high:g}; described: {limit}"))
        yield from outside
        within = len(parts) - len(outside)
        yield Line(
            not outside, f"{behavior} ranges", f"{within} of {len(parts)} components within their limits, {steps} steps"
        )


def _compare(
    again: Mapping[str, Mapping[str, Array]],
    known: Mapping[str, Mapping[str, Array]],
    worst: dict[tuple[str, str], float],
) -> None:
    for behavior, components in again.items():
        for name, value in components.items():
            difference = np.abs(value - known[behavior][name])
            if name.endswith("_bearing"):
                difference = np.minimum(difference, 2.0 * np.pi - difference)
            worst[behavior, name] = max(worst.get((behavior, name), 0.0), float(difference.max()))


def _geometry(task: str, worst: Mapping[tuple[str, str], float]) -> Iterator[Line]:
    for behavior in DERIVED[task]:
        own = {name: difference for (of, name), difference in worst.items() if of == behavior}
        wrong = {name: difference for name, difference in own.items() if not difference <= GEOMETRY_TOLERANCE}
        for name, difference in wrong.items():
            yield Line(False, f"{behavior} {name}", f"differs from the embedded simulation's by up to {difference:.2g}")
        name, most = max(own.items(), key=lambda entry: entry[1])
        found = (
            f"{len(own) - len(wrong)} of {len(own)} components as in the embedded simulation, to {most:.1e} ({name})"
        )
        yield Line(not wrong, f"{behavior} geometry", found)
