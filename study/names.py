"""Names of nets, without PyTorch: what `plain-20`, `resnet-50` and `vgg-16` mean, and which depths exist."""

import math
import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from study.errors import StudyError, nearest

Architecture = Literal["plain", "residual", "vgg"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
"""Architectures in the order in which they are shown."""
Family = str
"""`cifar`, `imagenet`, `vgg`, or nets of the user's own: the place of their function, `nets.py:build`."""

IMAGENET_DEPTHS = (18, 34, 50, 101, 152)
VGG_DEPTHS = (16, 19)
SHALLOWEST = (8, IMAGENET_DEPTHS[0], VGG_DEPTHS[0])
"""Least depth of each family."""
PREFIXES: dict[str, Architecture] = {"plain": "plain", "resnet": "residual", "vgg": "vgg"}


def is_own(family: Family) -> bool:
    """Whether a family is nets of the user's own, named by the place of the function that builds them."""
    return ":" in family


def stated_family(text: object) -> Family:
    """Return a family as a run's parameters state it; `auto` where they state none that a depth needs."""
    family = str(text)
    return family if family in ("cifar", "imagenet") or is_own(family) else "auto"


def default_shortcut(family: Family) -> Literal["A", "B"]:
    """Return the paper's option: A for CIFAR nets (section 4.2), B for ImageNet nets (Table 3, and torchvision)."""
    return "B" if family == "imagenet" else "A"


@dataclass(frozen=True)
class NetName:
    """An architecture at a depth, and the family that the depth belongs to."""

    architecture: Architecture
    depth: int
    family: Family

    def __str__(self) -> str:
        return join_net(self.architecture, self.depth)

    @property
    def deeper(self) -> tuple["NetName", ...]:
        """The nets to try beyond this one: the next of a family that ends, else those about 1.4 and 2 times as deep.

        From 56 on these are 80 and 110. Empty for the deepest net of its family, and for a net of the user's own.
        """
        if is_own(self.family):
            return ()
        if self.family == "cifar":
            depths = [depth for depth in range(self.depth + 6, 3 * self.depth, 6) if depth not in IMAGENET_DEPTHS]
            first = min(depths, key=lambda depth: abs(depth - math.sqrt(2) * self.depth))
            beyond = [depth for depth in depths if depth > first]
            depths = [first, min(beyond, key=lambda depth: abs(depth - 2 * self.depth))]
        else:
            family = IMAGENET_DEPTHS if self.family == "imagenet" else VGG_DEPTHS
            depths = [depth for depth in family if depth > self.depth][:1]
        return tuple(replace(self, depth=depth) for depth in depths)


def resolve_net(architecture: Architecture, depth: int, family: Family) -> NetName:
    """Return the net with its family settled.

    With `auto`, depths 18, 34, 50, 101 and 152 are the ImageNet family's and every other 6n+2 the CIFAR family's
    (50 and 152 are both: ask for `cifar` to get 6n+2). Which depths the user's own nets have, their function says.

    Raises:
        StudyError: no net of that family has this depth.
    """
    if is_own(family):
        if architecture == "vgg":
            raise StudyError("nets of your own are plain or residual: leave vgg out")
        if depth < 1:
            raise StudyError(f"no net has depth {depth}: depths are from 1 on")
        return NetName(architecture, depth, family)
    if architecture == "vgg":
        if depth not in VGG_DEPTHS:
            raise StudyError(f"vgg has no depth {depth}: it has 16 and 19")
        return NetName("vgg", depth, "vgg")
    if family == "auto":
        family = "imagenet" if depth in IMAGENET_DEPTHS else "cifar"
    if family == "imagenet" and depth not in IMAGENET_DEPTHS:
        raise StudyError(f"the ImageNet family has no depth {depth}: it has {', '.join(map(str, IMAGENET_DEPTHS))}")
    if family == "cifar" and (depth < 8 or (depth - 2) % 6):
        below = max(8, depth - (depth - 2) % 6)
        raise StudyError(f"no net has depth {depth}: the CIFAR family has 6n+2 (nearest {below} and {below + 6})")
    return NetName(architecture, depth, family)


def parse_net(name: str, family: Family = "auto") -> NetName:
    """Read a name such as `plain-20`, `resnet-56` or `vgg-16`.

    Raises:
        StudyError: the name isn't of that form, or no net has this depth.
    """
    return resolve_net(*split_net(name), family)


def split_net(name: str) -> tuple[Architecture, int]:
    """Read architecture and depth from a net's name, whichever depths its family has.

    Raises:
        StudyError: the name isn't of that form.
    """
    match = re.fullmatch(r"([a-z]+)-?(\d{1,5})", name)
    if match is None or match[1] not in PREFIXES:
        word = match[1] if match else name
        hint = nearest(word, list(PREFIXES))
        raise StudyError(f"no net is called '{name}'{hint}: names are plain-N, resnet-N and vgg-N, like resnet-56")
    return PREFIXES[match[1]], int(match[2])


def join_net(architecture: str, depth: object) -> str:
    """Return the name of an architecture at a depth: `resnet-56`."""
    return f"{'resnet' if architecture == 'residual' else architecture}-{depth}"
