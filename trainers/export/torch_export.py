"""actor.pt2: the network by torch.export, for programs that have torch."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from trainers.actors import Actor
from trainers.export.robot_onnx import ROBOT_OUTPUTS
from trainers.export.unity_onnx import UnityActor, example_inputs, output_names


class RobotActor(nn.Module):
    """What decides without randomness in a Unity network, with the same inputs."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.unity = UnityActor(actor)
        self.names = robot_outputs(actor)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the order of `robot_outputs`."""
        outputs = dict(zip(output_names(self.unity.actor.shape), self.unity(*inputs), strict=True))
        return tuple(outputs[name] for name in self.names)


def robot_outputs(actor: Actor) -> list[str]:
    """Return the names of what a robot's network gives, in order."""
    return [name for name in output_names(actor.shape) if name in ROBOT_OUTPUTS]


def write_torch_export(actor: Actor, path: Path) -> None:
    """Write a program whose batch axis is dynamic."""
    examples = tuple(example.expand(2, *example.shape[1:]) for example in example_inputs(actor).values())
    batched = ({0: Dim("batch", min=1)},) * len(examples)
    program = torch.export.export(RobotActor(actor).eval(), examples, dynamic_shapes=(batched,))
    _drop_unused(program)
    torch.export.save(program, path)


def _drop_unused(program: ExportedProgram) -> None:
    """Remove what draws at random: torch keeps such operators, although nothing reads them."""
    for node in reversed(program.graph.nodes):
        if node.op == "call_function" and not node.users:
            program.graph.erase_node(node)
    program.graph_module.recompile()
