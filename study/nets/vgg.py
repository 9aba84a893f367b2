"""VGG-16 and VGG-19 (Simonyan and Zisserman 2014), as torchvision builds them: the paper's yardstick for cost."""

from torch import nn


def build_vgg(depth: int, num_classes: int, *, in_channels: int = 3) -> nn.Module:
    """Return torchvision's net without batch norm, its weights undrawn.

    Raises:
        ValueError: `depth` isn't 16 or 19.
    """
    if depth not in (16, 19):
        raise ValueError(f"depth {depth} isn't 16 or 19")
    from torchvision.models import vgg16, vgg19  # takes a second and a half to import

    build = vgg16 if depth == 16 else vgg19
    net: nn.Module = build(weights=None, num_classes=num_classes, init_weights=False)
    if in_channels != 3:
        features: nn.Sequential = net.get_submodule("features")  # type: ignore[assignment]
        features[0] = nn.Conv2d(in_channels, 64, 3, padding=1)
    return net
