"""Environment parameters that a stock ML-Agents client sends to a player."""

import logging
from collections.abc import Callable

import numpy as np
import pytest
from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel

from unity_env.sim.player_channels import EnvironmentParameters
from unity_env.sim.role import roles_of


def sent(write: Callable[[EnvironmentParametersChannel], None]) -> IncomingMessage:
    """Return the message that the stock channel writes."""
    channel = EnvironmentParametersChannel()
    write(channel)
    return IncomingMessage(channel.message_queue[0])


def raw(kind: int, *sampler: int) -> IncomingMessage:
    message = OutgoingMessage()
    message.write_string("mass_scale")
    for number in (kind, *sampler):
        message.write_int32(number)
    return IncomingMessage(bytes(message.buffer))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (sent(lambda channel: channel.set_float_parameter("mass_scal", 1.0)), "did you mean mass_scale?"),
        (sent(lambda channel: channel.set_float_parameter("mass_scale", float("nan"))), "nan is outside its range"),
        (sent(lambda channel: channel.set_float_parameter("mass_scale", 0.1)), "0.1 is outside its range"),
        (
            sent(lambda channel: channel.set_uniform_sampler_parameters("mass_scale", 1.5, 1.0, 0)),
            "min_value 1.5 is above max_value 1",
        ),
        (
            sent(lambda channel: channel.set_multirangeuniform_sampler_parameters("mass_scale", [], 0)),
            "at least 1 item",
        ),
        (
            sent(lambda channel: channel.set_gaussian_sampler_parameters("mass_scale", 1.0, -1.0, 0)),
            "greater than or equal to 0",
        ),
        (raw(1, 0, 7), "type 7"),
    ],
)
def test_a_parameter_that_means_nothing_here_is_ignored_with_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture, message: IncomingMessage, reason: str
) -> None:
    channel = EnvironmentParameters(roles_of("arm_reach"))
    with caplog.at_level(logging.INFO):
        channel.on_message_received(message)
    assert channel.take_changed() is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("environment parameter mass_scal")
    assert reason in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("value", [0.1, 0.3, 1.1, 0.7, 1.0 / 3.0])
def test_numbers_arrive_as_they_were_written_as_far_as_32_bits_tell(value: float) -> None:
    channel = EnvironmentParameters(roles_of("arm_reach"))
    channel.on_message_received(sent(lambda stock: stock.set_float_parameter("push_scale", value)))
    changed = channel.take_changed()
    assert changed is not None
    received = changed["push_scale"]
    assert isinstance(received, float)
    assert np.float32(received) == np.float32(value)
    assert value in (received, 1.0 / 3.0)
