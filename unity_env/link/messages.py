"""ML-Agents' messages, parsed only as deep as the codec needs.

The wire format of a sub-message and of `bytes` is the same: a tag, a length, that many bytes. In a descriptor
pool of their own, two fields are therefore declared as `bytes`: an agent's observations, which then arrive as
byte strings that numpy reads by the batch, and a behavior's list of actions, which numpy writes by the batch.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError
from mlagents_envs.communicator_objects import unity_message_pb2

from unity_env.link.errors import MalformedMessageError

OK = 200
GOODBYE = 400

_PACKAGE = "communicator_objects"
_FIELDS_AS_BYTES = {("AgentInfoProto", "observations"), ("AgentActionsEntry", "value")}


def _files_in_order(file: FileDescriptor, seen: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    for dependency in file.dependencies:
        _files_in_order(dependency, seen)
    if file.name not in seen:
        seen[file.name] = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(seen[file.name])


def _retype(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        if (message.name, field.name) in _FIELDS_AS_BYTES:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    for nested in message.nested_type:
        _retype(nested)


def _shallow_message_class() -> Any:
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    _files_in_order(unity_message_pb2.DESCRIPTOR, files)
    pool = descriptor_pool.DescriptorPool()
    for file in files.values():
        for message in file.message_type:
            _retype(message)
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.UnityMessageProto"))


ShallowMessage = _shallow_message_class()


def read_message(data: bytes) -> Any:
    """Parse a UnityMessageProto whose observations stay bytes.

    Raises:
        MalformedMessageError: the bytes are none.
    """
    try:
        return ShallowMessage.FromString(data)
    except DecodeError as error:
        raise MalformedMessageError(
            f"the player sent {len(data)} bytes that are no ML-Agents message ({error}); is it an ML-Agents player?"
        ) from error
