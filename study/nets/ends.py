"""What stands before the first block and behind the last, in the order that a net's design asks for.

Legend: N batch, C channels, H height, W width, K classes.
"""

import torch
from torch import Tensor, nn

from study.nets.design import Design


class Ends(nn.Module):
    """A net with a first convolution, one batch norm beside those of its blocks, an activation and a linear layer."""

    bn1: nn.Module
    relu: nn.Module
    fc: nn.Linear

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.fixup = design.scaling == "fixup"
        if self.fixup:  # a scalar after the first convolution, and one before the linear layer
            self.first_bias = nn.Parameter(torch.zeros(()))
            self.last_bias = nn.Parameter(torch.zeros(()))

    @property
    def biased(self) -> bool:
        """Whether the first convolution has biases."""
        return not self.design.normalised and not self.fixup

    def settle(self) -> None:
        """Set what Fixup has of its own to its first value: the linear layer begins at 0 (its rule 1)."""
        if self.fixup:
            for own in (self.first_bias, self.last_bias, self.fc.weight):
                nn.init.zeros_(own)

    def begin(self, x: Tensor) -> Tensor:
        """Return what goes into the first block, from the first convolution's output."""
        if self.design.preactivation:
            return x
        active: Tensor = self.relu(x + self.first_bias if self.fixup else self.bn1(x))
        return active

    def end(self, x: Tensor) -> Tensor:
        """Return what is averaged, from the last block's output (N, C, H, W)."""
        if not self.design.preactivation:
            return x
        active: Tensor = self.relu(self.bn1(x))
        return active

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (N, K) from averaged features (N, C)."""
        logits: Tensor = self.fc(x + self.last_bias if self.fixup else x)
        return logits
