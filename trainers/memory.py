"""Long short-term memory, which stands behind an encoder."""

import torch
from torch import Tensor, nn

from trainers.settings import MemorySettings


class Memory(nn.Module):
    """LSTM (Hochreiter & Schmidhuber 1997, doi 10.1162/neco.1997.9.8.1735), with ML-Agents' layout of its state.

    A state is memory_size numbers: the output h of the last step, then the cell c, half of them each. Weights begin as
    in ML-Agents: Xavier's uniform for each gate, no bias, but 1 for the gate that forgets (Gers et al. 2000).

    Args:
        input_size: F.
        settings: of the memory.

    Attributes:
        size: memory_size, S.
        output_size: H = S / 2.
    """

    def __init__(self, input_size: int, settings: MemorySettings) -> None:
        super().__init__()
        self.size, self.output_size = settings.memory_size, settings.memory_size // 2
        self.lstm = nn.LSTM(input_size, self.output_size)
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                begin = nn.init.zeros_ if name.startswith("bias") else nn.init.xavier_uniform_
                for gate in parameter.chunk(4):  # in the order: input, forget, cell, output
                    begin(gate)
                if name == "bias_ih_l0":
                    parameter.chunk(4)[1].fill_(1.0)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Read L steps of B sequences.

        Args:
            features: (L, B, F).
            state: before the first step, (B, S).

        Returns:
            Outputs h of all steps, (L, B, H), and the state after the last one, (B, S).
        """
        h, c = state.unsqueeze(0).chunk(2, dim=-1)
        outputs, (h, c) = self.lstm(features, (h.contiguous(), c.contiguous()))
        return outputs, torch.cat((h, c), dim=-1).squeeze(0)
