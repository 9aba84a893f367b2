"""The solution by construction: a shallow net made deep by blocks that pass their input on, as He et al. 2015 argue.

Section 1 (arXiv 1512.03385): "There exists a solution by construction to the deeper model: the added layers are
identity mapping, and the other layers are copied from the learned shallower model."

Legend: N images, C channels, H height, W width, K classes.
"""

import copy
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from study.errors import StudyError
from study.names import resolve_net
from study.nets.blocks import BasicBlock
from study.nets.families import CifarNet, StagedNet
from study.nets.initialise import allocate
from study.probe.layers import find_layers
from study.probe.subject import Batch, channel_sums, copy_net, sum_outputs

Statistics = Literal["unit", "measured"]
"""Statistics of the inserted batch norms: `unit` is mean 0 and variance 1, `measured` that of their inputs."""


@dataclass(frozen=True, eq=False)
class Construction:
    """A deep plain net that computes the same function as a shallow one, and the proof."""

    net: nn.Module
    """The deeper net of the family, in the shallow net's mode."""
    inserted: tuple[str, ...]
    """The blocks that are identities: `layer1.1`, ..."""
    change: "Change"
    """What it changes, in evaluation mode."""


@dataclass(frozen=True)
class Change:
    """How the outputs of two nets differ."""

    largest_difference: float
    """Largest difference of the two nets' logits, over all images and classes."""
    changed: int
    """Number of images to which the two nets give different classes."""
    images: int


def build_by_construction(
    net: nn.Module,
    depth: int,
    batches: Iterable[Batch],
    *,
    statistics: Statistics = "measured",
) -> Construction:
    """Insert identities at the end of each stage of a plain net, up to the family's net of this depth.

    An inserted block is two 3x3 Dirac kernels (1 at the centre, from a channel to itself), each with a batch norm and
    a ReLU. A stage's output is a ReLU's, so it's at least 0 and a further ReLU changes nothing. With running mean m and
    variance v, batch norm is the identity in evaluation mode where gamma = sqrt(v + eps) and beta = m:

    - `unit`: m = 0 and v = 1. In training mode, the batch's own statistics make it something else.
    - `measured`: m and v are those of the stage's output over the images, so that it's nearly the identity in training
      mode too: `compare_outputs` tells how nearly, for a batch's statistics aren't those of all images.

    Args:
        net: a plain net of basic blocks: of the CIFAR family, or of 18 or 34 layers of the ImageNet family.
        depth: of the net to build; the net's own inserts nothing.
        batches: images (N, C, H, W) and labels (N,) to measure statistics on and to compare logits; iterated
            several times.
        statistics: of the inserted batch norms.

    Raises:
        StudyError: another kind of net, or a depth that the family doesn't have or that is below the net's.
    """
    shallow = copy_net(net, training=False)
    counts = _deeper(shallow, depth)
    deep = copy.deepcopy(shallow)
    inserted = []
    for (name, stage), count in zip(_stages(deep).items(), counts, strict=True):
        if len(stage) < count:
            last = cast(BasicBlock, stage[-1])
            unit = torch.zeros(last.channels_out), torch.ones(last.channels_out)
            mean, var = _stage_statistics(shallow, name, batches) if statistics == "measured" else unit
            for i in range(len(stage), count):
                stage.append(_identity(last, mean, var))
                inserted.append(f"{name}.{i}")
    change = compare_outputs(deep, shallow, batches, training=False)
    return Construction(deep.train(net.training), tuple(inserted), change)


@torch.no_grad()
def compare_outputs(net: nn.Module, other: nn.Module, batches: Iterable[Batch], *, training: bool) -> Change:
    """Compare two nets' logits; in `training` mode batch norms use the statistics of each batch.

    Args:
        net: left unchanged, as is `other`.
        other: with as many classes.
        batches: images (N, C, H, W) and labels (N,).
        training: the mode of both.
    """
    a, b = copy_net(net, training=training), copy_net(other, training=training)
    largest, changed, count = 0.0, 0, 0
    for images, _ in batches:
        logits, others = a(images), b(images)  # (N, K) each
        largest = max(largest, float((logits - others).abs().max()))  # sync point
        changed += int((logits.argmax(1) != others.argmax(1)).sum())
        count += len(images)
    return Change(largest, changed, count)


@torch.no_grad()
def add_noise(
    net: nn.Module, scale: float, generator: torch.Generator, *, blocks: Collection[str] | None = None
) -> nn.Module:
    """Return a copy with Gaussian noise on the filters of its 3x3 layers, or of those in `blocks` alone.

    A filter W (C, 3, 3) gets noise of deviation scale ||W|| / sqrt(9 C), whose norm is about scale ||W||: `scale` is
    the relative size of the change, alike for dense filters and for Dirac kernels. Batch norms stay as they are. Noise
    is drawn on the generator's device, so that equal generators give equal noise on every device.
    """
    net_copy = copy_net(net, training=net.training)
    for layer in find_layers(net_copy):
        weight = layer.conv.weight  # (C_out, C_in, 3, 3)
        if blocks is None or any(layer.name.startswith(f"{name}.") for name in blocks):
            noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype, device=generator.device)
            norm = weight.flatten(1).norm(dim=1)[:, None, None, None]
            weight += noise.to(weight.device) * norm * (scale / math.sqrt(weight[0].numel()))
    return net_copy


def _stages(net: nn.Module) -> dict[str, nn.Sequential]:
    return {name: child for name, child in net.named_children() if isinstance(child, nn.Sequential)}


def _deeper(net: nn.Module, depth: int) -> Sequence[int]:
    """Return the number of blocks in each stage of the deeper net of the same family.

    Raises:
        StudyError: see `build_by_construction`.
    """
    blocks = [block for stage in _stages(net).values() for block in stage]
    plain = all(isinstance(block, BasicBlock) and block.shortcut == "none" for block in blocks)
    if not isinstance(net, StagedNet) or not plain or not net.design.is_common:
        raise StudyError("only a plain net of basic blocks can be made deeper by identities: plain-20, plain-18")
    own_depth = 2 * len(blocks) + 2
    family: Literal["cifar", "imagenet"] = "cifar" if isinstance(net, CifarNet) else "imagenet"
    name = resolve_net("plain", depth, family)
    kind, counts = net.stages(depth)
    if depth < own_depth or kind != "basic":
        why = "has other blocks" if depth > own_depth else "is shallower"
        raise StudyError(f"{name} can't be built from plain-{own_depth} by inserting identities: it {why}")
    return counts


def _stage_statistics(net: nn.Module, stage: str, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Return mean and variance (C,) of a stage's output over all images and positions, in evaluation mode."""
    (sums,) = sum_outputs(net, [net.get_submodule(stage)], batches, channel_sums)
    count, total, squares = sums
    mean = total / count
    return mean, (squares / count - mean.square()).clamp_min(0)


@torch.no_grad()
def _identity(last: BasicBlock, mean: Tensor, var: Tensor) -> BasicBlock:
    """Return a block that passes on the output of the `last` one, with these statistics (C,) of its batch norms."""
    channels, weight = last.channels_out, last.conv1.weight
    with torch.device("meta"):  # without a draw
        block = BasicBlock(channels, channels, 1).to(weight.dtype)
    allocate(block, weight.device)
    norms = (cast(nn.BatchNorm2d, norm) for norm in (block.bn1, block.bn2))
    for conv, norm in zip((block.conv1, block.conv2), norms, strict=True):
        nn.init.dirac_(conv.weight)
        cast(Tensor, norm.running_mean).copy_(mean)
        cast(Tensor, norm.running_var).copy_(var)
        cast(Tensor, norm.num_batches_tracked).zero_()
        stored = cast(Tensor, norm.running_var).double()  # in the stored dtype, so that storing it doesn't round
        norm.weight.copy_((stored + norm.eps).sqrt())
        norm.bias.copy_(cast(Tensor, norm.running_mean))
    return block.eval()
