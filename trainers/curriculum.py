"""Curricula of environment parameters: which lesson each one is in, and when the next one begins."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reward_shaping.term import nearest
from trainers.metrics import Ended
from trainers.settings import RunSettings
from trainers.yaml_file import Document, Key
from unity_env.settings import CompletionCriteria, Curriculum, EnvironmentParameter, Lesson, Sampler
from unity_env.sim.role import all_roles, parameter_fault

Parameters = Mapping[str, EnvironmentParameter]
Values = dict[str, float | Sampler]
SMOOTHING = 0.25  # weight of the earlier measure, as in ML-Agents


@dataclass(frozen=True)
class LessonStart:
    """A lesson that begins.

    Attributes:
        parameter: whose lesson.
        lesson: from now on.
        number: of the lesson, from 1.
        count: lessons of the curriculum.
        reset: whether the episodes under way are to be given up.
    """

    parameter: str
    lesson: Lesson
    number: int
    count: int
    reset: bool = False

    def __str__(self) -> str:
        value = self.lesson.value
        what = f"{value:g}" if isinstance(value, float | int) else value.sampler_type
        return f"{self.parameter}: lesson {self.lesson.name} ({self.number} of {self.count}), {what}"


class Curricula:
    """The lessons of a run's environment parameters, with ML-Agents' rules where it has them.

    A lesson ends when its measure is above its threshold and it has taken min_lesson_length episodes. Measures
    are means over the last min_lesson_length episodes, at least one; the training asks for them after each
    update. Two things differ from ML-Agents. Episodes that began before any lesson changed do not count: they
    were played under other parameters. And the first measure of a lesson stands for itself, where ML-Agents
    smooths it towards 0, above any negative return.

    Args:
        parameters: environment_parameters of the run.
        rows: behavior -> number of rows.
    """

    def __init__(self, parameters: Parameters, rows: Mapping[str, int]) -> None:
        self._parameters = parameters
        self._curricula = {name: of.curriculum for name, of in parameters.items() if isinstance(of, Curriculum)}
        self._number = dict.fromkeys(self._curricula, 0)
        self._smoothed: dict[str, float | None] = dict.fromkeys(self._curricula)
        lengths = [criteria.min_lesson_length for criteria in self._criteria()]
        self._memory = max([1, *lengths])
        self._episodes: dict[str, deque[list[float]]] = {}
        self._outdated: dict[str, np.ndarray] = {}
        for behavior, count in rows.items():
            self.join(behavior, count)

    def join(self, behavior: str, rows: int) -> None:
        """Look at the episodes of one more behavior."""
        self._episodes[behavior] = deque(maxlen=self._memory)
        self._outdated[behavior] = np.zeros(rows, dtype=bool)

    def values(self) -> Values:
        """Return what the parameters are in their present lessons."""
        return {
            name: self._lesson(name).value if isinstance(of, Curriculum) else of
            for name, of in self._parameters.items()
        }

    def present(self) -> list[LessonStart]:
        """Return the lesson that each curriculum is in."""
        return [self._start_of(name) for name in self._curricula]

    def add(self, behavior: str, ended: Ended) -> None:
        """Take in training episodes of a behavior that have ended."""
        successes = np.zeros_like(ended.returns) if ended.successes is None else ended.successes
        outdated = self._outdated[behavior]
        counts = ~outdated[ended.rows]
        outdated[ended.rows] = False
        self._episodes[behavior] += np.stack([ended.returns, successes], axis=1)[counts].tolist()

    def advance(self, progress: Mapping[str, float]) -> list[LessonStart]:
        """Begin the next lesson where the present one is over.

        Args:
            progress: behavior -> steps done over max_steps.

        Returns:
            The lessons that begin now.
        """
        over = [name for name in self._curricula if self._is_over(name, progress)]
        resets = [self._criteria_of(name).require_reset for name in over]
        for name in over:
            self._number[name] += 1
            self._smoothed[name] = None
        if over:
            for behavior, episodes in self._episodes.items():
                episodes.clear()
                self._outdated[behavior][:] = not any(resets)
        return [self._start_of(name, reset) for name, reset in zip(over, resets, strict=True)]

    def summary(self) -> dict[str, float]:
        """Return, for the log, each curriculum's lesson, from 0 as in ML-Agents, and its value where that is one."""
        lessons = {f"environment/lesson/{name}": float(number) for name, number in self._number.items()}
        values = {f"environment/{name}": self._lesson(name).value for name in self._curricula}
        return lessons | {name: value for name, value in values.items() if isinstance(value, float | int)}

    def status(self) -> dict[str, dict[str, int]]:
        """Return the lessons as ML-Agents' training_status.json has them."""
        return {name: {"lesson_num": number} for name, number in self._number.items()}

    def state_dict(self) -> dict[str, Any]:
        """What the lessons to come depend on."""
        return {
            "number": dict(self._number),
            "smoothed": dict(self._smoothed),
            "episodes": {behavior: list(episodes) for behavior, episodes in self._episodes.items()},
            "outdated": {behavior: rows.copy() for behavior, rows in self._outdated.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken, as far as the curricula are still the same."""
        for name in self._number.keys() & state["number"].keys():
            self._number[name] = min(state["number"][name], len(self._curricula[name]) - 1)
            self._smoothed[name] = state["smoothed"][name]
        for behavior in self._episodes.keys() & state["episodes"].keys():
            self._episodes[behavior] += state["episodes"][behavior]
            if len(self._outdated[behavior]) == len(state["outdated"][behavior]):
                self._outdated[behavior][:] = state["outdated"][behavior]

    def _lesson(self, name: str) -> Lesson:
        return self._curricula[name][self._number[name]]

    def _start_of(self, name: str, reset: bool = False) -> LessonStart:
        return LessonStart(name, self._lesson(name), self._number[name] + 1, len(self._curricula[name]), reset)

    def _criteria_of(self, name: str) -> CompletionCriteria:
        criteria = self._lesson(name).completion_criteria
        assert criteria is not None
        return criteria

    def _criteria(self) -> Iterator[CompletionCriteria]:
        for lessons in self._curricula.values():
            yield from (lesson.completion_criteria for lesson in lessons if lesson.completion_criteria is not None)

    def _is_over(self, name: str, progress: Mapping[str, float]) -> bool:
        if self._number[name] == len(self._curricula[name]) - 1:
            return False
        criteria = self._criteria_of(name)
        episodes = self._episodes.get(criteria.behavior)
        if episodes is None:  # the behavior has not appeared yet
            return False
        if len(episodes) < criteria.min_lesson_length:
            return False
        if criteria.measure == "progress":
            return progress[criteria.behavior] > criteria.threshold
        if not episodes:
            return False
        recent = np.array(episodes)[-max(1, criteria.min_lesson_length) :]
        measure = float(recent[:, 0 if criteria.measure == "reward" else 1].mean())
        before = self._smoothed[name]
        if criteria.signal_smoothing and before is not None:
            measure = SMOOTHING * before + (1.0 - SMOOTHING) * measure
        self._smoothed[name] = measure
        return measure > criteria.threshold


def first_values(parameters: Parameters) -> Values:
    """Return what the parameters are when a training begins."""
    return Curricula(parameters, {}).values()


def last_values(parameters: Parameters) -> Values:
    """Return what the parameters are when every lesson has been learned: the difficulty that is the aim."""
    return {name: of.curriculum[-1].value if isinstance(of, Curriculum) else of for name, of in parameters.items()}


def check_parameters(settings: RunSettings, document: Document) -> list[str]:
    """Check environment_parameters against each other, the behaviors, and the embedded task if there is one.

    Returns:
        A line for every setting without effect.

    Raises:
        UserError: the first thing that does not fit, with its line.
    """
    idle = []
    roles = all_roles().get(settings.env_settings.sim_task or "")
    for name, parameter in settings.environment_parameters.items():
        for path, value in _settings_of(name, parameter):
            fault = parameter_fault(roles, name, value) if roles else None
            if fault:
                raise document.error(path, fault)
        if isinstance(parameter, Curriculum):
            idle += _check_lessons(name, parameter.curriculum, settings, document)
    return idle


def check_signals(settings: RunSettings, name: str, signals: Collection[str], document: Document) -> None:
    """Refuse curricula that measure the success of a behavior that signals none.

    Raises:
        UserError: with the line of the measure.
    """
    for parameter, of in settings.environment_parameters.items():
        for index, lesson in enumerate(of.curriculum if isinstance(of, Curriculum) else []):
            criteria = lesson.completion_criteria
            if criteria and (criteria.behavior, criteria.measure) == (name, "success") and "success" not in signals:
                path = ("environment_parameters", parameter, "curriculum", index, "completion_criteria", "measure")
                raise document.error(path, f"{name} sends no signal named success; measure reward or progress")


def _settings_of(name: str, parameter: EnvironmentParameter) -> Iterator[tuple[Key, float | Sampler]]:
    """Yield everything that a parameter is set to in the course of a training, with its place in the YAML."""
    path: Key = ("environment_parameters", name)
    if not isinstance(parameter, Curriculum):
        yield path, parameter
        return
    for index, lesson in enumerate(parameter.curriculum):
        yield (*path, "curriculum", index, "value"), lesson.value


def _check_lessons(name: str, lessons: list[Lesson], settings: RunSettings, document: Document) -> list[str]:
    for index, lesson in enumerate(lessons):
        path = ("environment_parameters", name, "curriculum", index)
        criteria = lesson.completion_criteria
        if criteria is None and lesson is not lessons[-1]:
            raise document.error(path, f"lesson {lesson.name} is not the last one and needs completion_criteria")
        unknown = settings.default_settings is None and criteria is not None
        if unknown and criteria is not None and criteria.behavior not in settings.behaviors:
            wrong = criteria.behavior
            hint = nearest(wrong, settings.behaviors)
            raise document.error((*path, "completion_criteria", "behavior"), f"no behavior {wrong}{hint}")
    if lessons[-1].completion_criteria is None:
        return []
    return [f"environment_parameters.{name}: completion_criteria of its last lesson have no effect"]
