"""Lets `mlagents_envs` import under current protobuf, and under Python >= 3.12.

Its `communicator_objects/*_pb2.py` build their descriptors in a way that protobuf >= 4 refuses, but each
carries the serialised FileDescriptorProto. The finder reads those bytes without running the file, and builds the
module from them. It also takes StrictVersion from distutils, which left Python with 3.12.
"""

import ast
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_PACKAGE = "mlagents_envs.communicator_objects."


class _DescriptorLoader(Loader):
    def __init__(self, source: Path) -> None:
        self._source = source

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002  # importlib's signature
        return None

    def exec_module(self, module: ModuleType) -> None:
        file_proto = read_file_descriptor(self._source)
        for dependency in file_proto.dependency:
            __import__(dependency.removesuffix(".proto").replace("/", ".") + "_pb2")
        pool = descriptor_pool.Default()
        pool.Add(file_proto)
        file = pool.FindFileByName(file_proto.name)
        module.DESCRIPTOR = file  # type: ignore[attr-defined]  # generated modules carry it
        for name, message in file.message_types_by_name.items():
            setattr(module, name, message_factory.GetMessageClass(message))
        for name, enum in file.enum_types_by_name.items():
            setattr(module, name, EnumTypeWrapper(enum))
            for value in enum.values:
                setattr(module, value.name, value.number)


class _DescriptorFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not (fullname.startswith(_PACKAGE) and fullname.endswith("_pb2")):
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            return None
        return spec_from_loader(fullname, _DescriptorLoader(Path(found.origin)), origin=found.origin)


class StrictVersion:
    """As much of distutils' class of that name as mlagents_envs uses: `version`, three integers."""

    def __init__(self, text: str) -> None:
        major, minor, *patch = (int(part) for part in text.split("."))
        self.version = (major, minor, patch[0] if patch else 0)


class _DistutilsLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002  # importlib's signature
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.StrictVersion = StrictVersion  # type: ignore[attr-defined]  # what importers of distutils.version want


class _DistutilsFinder(MetaPathFinder):
    """Asked last, so a distutils that Python or setuptools still has comes first."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # importlib's signature
        target: ModuleType | None = None,  # noqa: ARG002  # as above
    ) -> ModuleSpec | None:
        if fullname not in ("distutils", "distutils.version"):
            return None
        return spec_from_loader(fullname, _DistutilsLoader(), is_package=fullname == "distutils")


def install() -> None:
    """Put the finders before and behind Python's own; a second call does nothing."""
    if not any(isinstance(finder, _DescriptorFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _DescriptorFinder())
        sys.meta_path.append(_DistutilsFinder())


def read_file_descriptor(generated: Path) -> descriptor_pb2.FileDescriptorProto:
    """Return the FileDescriptorProto inside a `_pb2.py` file that an old protoc generated.

    Raises:
        ImportError: the file holds none.
    """
    for node in ast.walk(ast.parse(generated.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb":
            literal = next((part for part in ast.walk(node.value) if isinstance(part, ast.Constant)), None)
            if literal is not None and isinstance(literal.value, str | bytes):
                value = literal.value
                data = value.encode("latin1") if isinstance(value, str) else value
                return descriptor_pb2.FileDescriptorProto.FromString(data)
    raise ImportError(f"{generated}: no serialised file descriptor inside; expected a file of mlagents-envs 0.28.0")
