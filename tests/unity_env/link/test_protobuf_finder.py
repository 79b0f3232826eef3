import importlib
import pkgutil
import sys
from pathlib import Path

import mlagents_envs.communicator_objects as objects
import pytest
from google.protobuf.message import Message

from unity_env.link.protobuf_finder import install, read_file_descriptor

MODULES = sorted(
    f"{objects.__name__}.{module.name}"
    for module in pkgutil.iter_modules(objects.__path__)
    if module.name.endswith("_pb2")
)


def test_there_are_modules_to_import() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_its_messages_round_trip(name: str) -> None:
    module = importlib.import_module(name)
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Message)]
    file = module.DESCRIPTOR
    assert classes or file.enum_types_by_name or file.services_by_name
    for cls in classes:
        message = cls()
        for field in message.DESCRIPTOR.fields:
            if field.cpp_type == field.CPPTYPE_STRING and not field.is_repeated:
                setattr(message, field.name, b"x" if field.type == field.TYPE_BYTES else "x")
            elif field.cpp_type in {field.CPPTYPE_FLOAT, field.CPPTYPE_INT32} and not field.is_repeated:
                setattr(message, field.name, 3)
        assert cls.FromString(message.SerializeToString()) == message


def test_nested_messages_are_the_same_classes_as_their_modules() -> None:
    output = importlib.import_module(f"{objects.__name__}.unity_output_pb2")
    message = importlib.import_module(f"{objects.__name__}.unity_message_pb2")
    header = importlib.import_module(f"{objects.__name__}.header_pb2")
    sent = message.UnityMessageProto(header=header.HeaderProto(status=200, message="ok"))
    sent.unity_output.CopyFrom(output.UnityOutputProto())
    back = message.UnityMessageProto.FromString(sent.SerializeToString())
    assert back.header.status == 200
    assert isinstance(back.unity_output, output.UnityOutputProto)


def test_enum_values_exist_by_name() -> None:
    command = importlib.import_module(f"{objects.__name__}.command_pb2")
    assert (command.STEP, command.RESET, command.QUIT) == (0, 1, 2)
    assert command.CommandProto.Name(1) == "RESET"
    compression = importlib.import_module(f"{objects.__name__}.observation_pb2")
    assert compression.CompressionTypeProto.Value("PNG") == 1


def test_observations_carry_packed_floats() -> None:
    observation = importlib.import_module(f"{objects.__name__}.observation_pb2").ObservationProto()
    observation.shape.extend([3])
    observation.float_data.data.extend([1.0, 2.5, -3.0])
    back = type(observation).FromString(observation.SerializeToString())
    assert list(back.float_data.data) == [1.0, 2.5, -3.0]


def test_the_unity_environment_itself_imports() -> None:
    environment = importlib.import_module("mlagents_envs.environment")
    assert environment.UnityEnvironment.API_VERSION == "1.5.0"


def test_a_second_install_does_nothing() -> None:
    before = list(sys.meta_path)
    install()
    assert sys.meta_path == before


@pytest.mark.parametrize("text", ["", "x = 1\n", "DESCRIPTOR = f(name='a')\n", "DESCRIPTOR = f(serialized_pb=3)\n"])
def test_a_file_without_a_descriptor_is_an_import_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some_pb2.py"
    path.write_text(text)
    with pytest.raises(ImportError, match=r"some_pb2\.py"):
        read_file_descriptor(path)


def test_a_module_that_does_not_exist_stays_an_import_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{objects.__name__}.nowhere_pb2")
