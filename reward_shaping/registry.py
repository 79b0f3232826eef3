"""Terms by name: those of this package, one's own by `python:module:function`, and those that others publish."""

import importlib
import inspect
from importlib.metadata import entry_points
from math import inf
from typing import Any

from pydantic.errors import PydanticUserError

from reward_shaping.term import Array, RewardError, Term, nearest
from reward_shaping.terms import TERMS

PYTHON = "python:"
ENTRY_POINTS = "unity_robot_rl.reward_terms"


def find_term(name: str, path: tuple[str, ...]) -> Term:
    """Return the term of that name.

    `python:package.module:name` names a `Term`, or a function by the conventions of `Term`. An installed package
    may publish either as an entry point of the group `unity_robot_rl.reward_terms`.

    Args:
        name: as it stands in the YAML.
        path: of the setting, for messages.

    Raises:
        RewardError: there is no such term, or it is no term.
    """
    if name in TERMS:
        return TERMS[name]
    if name.startswith(PYTHON):
        return _as_term(_import(name, path), name, path)
    published = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in published:
        raise RewardError(path, f"unknown term {name}{nearest(name, [*TERMS, *published])}")
    try:
        found = published[name].load()
    except Exception as error:  # the module may be anybody's code
        raise RewardError(path, f"{name}, which {published[name].value} should be: {_short(error)}") from None
    return _as_term(found, name, path)


def all_terms() -> dict[str, Term]:
    """Return the terms of this package and those that installed packages publish, by name.

    Raises:
        RewardError: something published is no term.
    """
    published = {point.name for point in entry_points(group=ENTRY_POINTS)} - TERMS.keys()
    return TERMS | {name: find_term(name, (name,)) for name in sorted(published)}


def _import(name: str, path: tuple[str, ...]) -> Any:
    module_name, _, attribute = name.removeprefix(PYTHON).partition(":")
    if not module_name or not attribute:
        raise RewardError(path, f"{name}: expected python:package.module:function")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module may be anybody's code
        raise RewardError(path, f"{name}: {_short(error)}") from None
    if not hasattr(module, attribute):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise RewardError(path, f"{name}: no {attribute} in {module_name}{nearest(attribute, functions)}")
    return getattr(module, attribute)


def _as_term(found: Any, name: str, path: tuple[str, ...]) -> Term:
    """Take a function for a term that promises nothing."""
    if not (isinstance(found, Term) or inspect.isfunction(found)):
        raise RewardError(path, f"{name}: is {type(found).__name__}; expected a function or a Term")
    term = found if isinstance(found, Term) else Term(found, kind="per_step", range=(-inf, inf))
    try:
        arguments = inspect.signature(term.function, eval_str=True).parameters.values()
        _check_arguments([(p.name, p.annotation, p.kind) for p in arguments], len(term.inputs))
        assert term.parameters  # makes the schema, which refuses types that no YAML can give
    except (TypeError, ValueError, NameError, PydanticUserError) as error:
        raise RewardError(path, f"{name}: {_short(error)}") from None
    return term


def _check_arguments(arguments: list[tuple[str, Any, Any]], inputs: int) -> None:
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for index, (argument, annotation, kind) in enumerate(arguments):
        if annotation is inspect.Parameter.empty or kind not in plain:
            raise TypeError(
                f"argument {argument} needs a name and a type: np.ndarray for a signal or a part of the transition, "
                f"float for a parameter"
            )
        if annotation is Array and (index >= inputs or kind is inspect.Parameter.KEYWORD_ONLY):
            raise TypeError(f"argument {argument} is an array behind a parameter; arrays come first")


def _short(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error) or type(error).__name__).splitlines()[0]
