"""YAML with line numbers: every error says file, line, key and what would be right."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainers.errors import UserError

Key = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Reads 3e-4 as a number, as YAML 1.2 does and PyYAML does not."""


class _Dumper(yaml.SafeDumper):
    """Quotes a text that `_Loader` would read as a number."""


for _one in (_Loader, _Dumper):
    _one.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
        list("-+.0123456789"),
    )


@dataclass
class Document:
    """A parsed YAML mapping.

    Attributes:
        source: file name, for messages.
        data: its content.
        lines: path of keys -> line, from 1.
        included: path of keys -> the document whose content stands there.
        overridden: paths of keys that the command line has set.
    """

    source: str
    data: dict[str, Any]
    lines: dict[Key, int] = field(default_factory=dict)
    included: "dict[Key, Document]" = field(default_factory=dict)
    overridden: set[Key] = field(default_factory=set)

    def error(self, path: Sequence[str | int], message: str) -> UserError:
        """Return an error that points at the deepest known key of `path`."""
        known = self._deepest(path)
        if known in self.included:
            return self.included[known].error(path[len(known) :], message)
        return UserError(f"{self.where(path)}: {dotted(path)}: {message}" if path else f"{self.where(path)}: {message}")

    def where(self, path: Sequence[str | int]) -> str:
        """Return file:line of the deepest known key of `path`."""
        known = self._deepest(path)
        if known in self.included:
            return self.included[known].where(path[len(known) :])
        if known in self.overridden:
            return "command line"
        return f"{self.source}:{self.lines[known]}" if known in self.lines else self.source

    def _deepest(self, path: Sequence[str | int]) -> Key:
        known = tuple(path)
        while known and known not in self.lines and known not in self.overridden and known not in self.included:
            known = known[:-1]
        return known


def read_yaml(path: Path, holds: str = "behaviors") -> Document:
    """Read a file that holds one mapping, with the key that `holds` names.

    Raises:
        UserError: missing, unreadable, empty, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); expected a YAML file") from None
    return parse_yaml(text, str(path), holds)


def parse_yaml(text: str, source: str, holds: str = "behaviors") -> Document:
    """Parse the text of one mapping; see `read_yaml`."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise UserError(_syntax_error(source, error)) from None
    except Exception as error:  # PyYAML's constructors raise many kinds: 2020-13-45 looks like a date to it
        raise UserError(f"{source}: not YAML: {error}") from None
    if root is None or data is None:
        raise UserError(f"{source}: is empty; expected a mapping with the key {holds}")
    if not isinstance(data, dict):
        raise UserError(f"{source}:1: expected a mapping with the key {holds}, found a {type(data).__name__}")
    document = Document(source, data)
    _note_lines(root, (), document, ())
    return document


def dump_yaml(data: Any) -> str:
    """Return YAML that `parse_yaml` reads back unchanged."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False)


def parse_value(text: str) -> Any:
    """Parse a scalar or flow value, as given on the command line.

    Raises:
        ValueError: not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except Exception:  # see parse_yaml
        raise ValueError("not a YAML value") from None


def validate(model: type[Model], data: Any, document: Document, at: Key = ()) -> Model:
    """Build settings from the document's data.

    Raises:
        UserError: the first thing that does not fit, with its line and the nearest valid key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = at + _yaml_path(first["loc"], data, missing=first["type"] == "missing")
        raise document.error(path, _message(first, path, model, data)) from None


def _message(error: ErrorDetails, path: Key, model: type[BaseModel], data: Any) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return "unknown key" + _hint(str(path[-1]), model, error["loc"][:-1], data)
    if kind == "union_tag_invalid":
        key, wrong, known = (error["ctx"][part] for part in ("discriminator", "tag", "expected_tags"))
        return f"unknown {key.strip(chr(39))} {wrong}, known are {known}"
    if kind == "missing":
        return "is missing"
    if kind in ("dict_type", "model_type"):
        return f"expected a mapping, found {_short(error['input'])}"
    message = error["msg"].removeprefix("Value error, ")
    return message if kind == "value_error" else f"{message}, found {_short(error['input'])}"


def dotted(path: Sequence[str | int]) -> str:
    """Return a.b.c for a path of keys."""
    return ".".join(str(key) for key in path)


def _syntax_error(source: str, error: yaml.MarkedYAMLError) -> str:
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    problem = error.problem or "not YAML"
    if problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    return f"{source}:{line}: {problem}"


def _note_lines(node: yaml.Node, path: Key, document: Document, above: tuple[yaml.Node, ...]) -> None:
    if node in above:
        raise document.error(path, "an alias that holds itself")
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key_node, value_node in node.value:
            key = (*path, str(key_node.value))
            document.lines[key] = key_node.start_mark.line + 1
            if key in seen:
                raise document.error(key, "stands twice")
            seen.add(key)
            _note_lines(value_node, key, document, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
            _note_lines(item, (*path, index), document, above)


def _yaml_path(loc: tuple[str | int, ...], data: Any, *, missing: bool) -> Key:
    """Leave out of pydantic's location the names of union members, which are not in the YAML."""
    path: list[str | int] = []
    for depth, key in enumerate(loc, start=1):
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            if not (missing and depth == len(loc)):
                continue
        path.append(key)
    return tuple(path)


def _hint(wrong: str, model: type[BaseModel], parents: tuple[str | int, ...], data: Any) -> str:
    """Say which key may have been meant: of the settings that another key has chosen, before those of the others."""
    models: list[Any] = [model]
    chosen: list[Any] = []
    for key in parents:
        chosen = [of for inner in models for of in _chosen(inner, str(key), data)]
        fields = [inner.model_fields[str(key)].annotation for inner in models if str(key) in inner.model_fields]
        models = chosen or [inner for annotation in fields for inner in _models_inside(annotation)] or models
        data = data[key] if isinstance(data, dict) and key in data else None
    known = list(dict.fromkeys(name for inner in models for name in inner.model_fields))
    close = difflib.get_close_matches(wrong, known, n=1)
    return f", did you mean {close[0]}?" if close else f"; known are {', '.join(known)}" if known else ""


def _chosen(model: type[BaseModel], key: str, data: Any) -> list[Any]:
    """Return the settings that a model's `chosen_by` has for a key: (field that chooses, default, value -> them)."""
    if key not in (table := getattr(model, "chosen_by", {})):
        return []
    field, default, kinds = table[key]
    kind = data.get(field) if isinstance(data, dict) else None
    return [kinds[kind or default]] if (kind or default) in kinds else []


def _models_inside(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes inside X, X | Y, dict[str, X], list[X] or Annotated[X, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_inside(part)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
