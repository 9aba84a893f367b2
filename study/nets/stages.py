"""A net's stages, of the blocks that its design asks for."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import nn

from study.nets.activations import build_activation
from study.nets.blocks import BasicBlock, Block, Bottleneck, Made, Shortcut
from study.nets.design import Design
from study.nets.fixup import FixupBasic, FixupBottleneck
from study.nets.preactivation import PreactivationBasic, PreactivationBottleneck

Kind = Literal["basic", "bottleneck"]
BLOCKS: dict[Kind, tuple[type[Block], type[Block], type[Block]]] = {
    "basic": (BasicBlock, PreactivationBasic, FixupBasic),
    "bottleneck": (Bottleneck, PreactivationBottleneck, FixupBottleneck),
}
"""In the paper's order of layers, in that of He et al. 2016, and without batch norm by Fixup."""


def how(design: Design, depth: int) -> Made:
    """Return how the blocks of a net of `depth` weighted layers are made."""
    in_place = not design.preactivation  # there, a shortcut carries what comes in
    return Made(design, partial(build_activation, design.activation, depth, in_place=in_place))


def make_stages(
    kind: Kind,
    channels_in: int,
    widths: Sequence[int],
    counts: Sequence[int],
    *,
    shortcut: Shortcut,
    made: Made,
) -> list[nn.Sequential]:
    """Return stages of `counts` blocks each; the first block of a stage takes its stride, 1 in the first stage, else 2.

    Args:
        kind: of the blocks.
        channels_in: of the first stage's input.
        widths: channels of each stage, before a bottleneck's expansion.
        counts: blocks of each stage.
        shortcut: option.
        made: which order of layers, and what else differs from the paper's.
    """
    basic, preactivation, fixup = BLOCKS[kind]
    block = fixup if made.design.scaling == "fixup" else preactivation if made.design.preactivation else basic
    made = made._replace(blocks=sum(counts))
    stages = []
    for i, (width, count) in enumerate(zip(widths, counts, strict=True)):
        row: list[nn.Module] = []
        for j in range(count):
            stride = 2 if i > 0 and j == 0 else 1
            row.append(block(channels_in, width, stride, shortcut, made))
            channels_in = width * block.expansion
        stages.append(nn.Sequential(*row))
    return stages
