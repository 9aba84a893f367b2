"""The 3x3 convolutions of a net with the batch norms behind them, in the order in which an image meets them."""

from dataclasses import dataclass

from torch import nn

from study.errors import StudyError


@dataclass(frozen=True, eq=False)
class Layer:
    """A 3x3 convolution and its batch norm."""

    index: int
    """Position among the net's 3x3 convolutions, from 0."""
    name: str
    """Of the convolution: `layer2.0.conv1`."""
    stage: int
    """0 for the stem, then the number in `layer1`, `layer2`, ..."""
    conv: nn.Conv2d
    norm: nn.BatchNorm2d


def find_layers(net: nn.Module) -> list[Layer]:
    """Return the 3x3 convolutions in order: the stem and 6n more in a net of the CIFAR family.

    Of the ImageNet family both convolutions of a basic block and the middle one of a bottleneck; its stem is 7x7.
    Projections on shortcuts are 1x1. A batch norm belongs to the convolution that was registered before it.

    Raises:
        StudyError: there are none, as in VGG nets, which have no batch norm.
    """
    found: list[Layer] = []
    last: tuple[str, nn.Conv2d] | None = None
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            last = (name, module) if module.kernel_size == (3, 3) else None
        elif isinstance(module, nn.BatchNorm2d) and last is not None:
            found.append(Layer(len(found), last[0], _stage(last[0]), last[1], module))
            last = None
    if not found:
        raise StudyError("the net has no 3x3 convolution with batch norm: probes are for plain-N and resnet-N")
    return found


def _stage(name: str) -> int:
    digits = name.split(".")[0].removeprefix("layer")
    return int(digits) if digits.isdecimal() and name.startswith("layer") else 0
