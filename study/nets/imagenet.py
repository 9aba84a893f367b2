"""The ImageNet family of He et al. 2015, Table 1: 18, 34, 50, 101 and 152 layers, plain or residual.

Parameter names and shapes are torchvision's, so that its weights load with `strict=True` (option B).

| depth | block | blocks a stage | parameters (option B, 1000 classes) |
| --- | --- | --- | --- |
| 18 | basic | 2, 2, 2, 2 | 11,689,512 |
| 34 | basic | 3, 4, 6, 3 | 21,797,672 |
| 50 | bottleneck | 3, 4, 6, 3 | 25,557,032 |
| 101 | bottleneck | 3, 4, 23, 3 | 44,549,160 |
| 152 | bottleneck | 3, 8, 36, 3 | 60,192,808 |

Legend: N batch, C channels of the images, H and W height and width, K classes, w width multiplier, e block expansion.
"""

from torch import Tensor, nn

from study.nets.blocks import Shortcut, global_average, norm
from study.nets.design import PAPER, Design
from study.nets.staged_net import BLOCKS, Kind, StagedNet, block_settings, make_stages

STAGES: dict[int, tuple[Kind, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


class ImageNetNet(StagedNet):
    """7x7 convolution /2, 3x3 max pool /2, four stages (64, 128, 256, 512 channels), global average, linear layer."""

    def __init__(
        self,
        depth: int,
        num_classes: int,
        *,
        in_channels: int = 3,
        shortcut: Shortcut = "B",
        width: float = 1.0,
        design: Design = PAPER,
    ) -> None:
        """Build the net.

        Raises:
            ValueError: `depth` isn't one of 18, 34, 50, 101, 152.
        """
        super().__init__(design)
        if depth not in STAGES:
            raise ValueError(f"depth {depth} isn't one of {', '.join(map(str, STAGES))}")
        kind, counts = STAGES[depth]
        widths = tuple(max(1, round(channels * width)) for channels in (64, 128, 256, 512))
        last = widths[-1] * BLOCKS[kind][0].expansion
        settings = block_settings(design, depth)
        self.conv1 = nn.Conv2d(in_channels, widths[0], 7, stride=2, padding=3, bias=self.biased)
        self.bn1 = norm(last if design.preactivation else widths[0], design)
        self.relu = settings.activation()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = make_stages(
            kind, widths[0], widths, counts, shortcut=shortcut, settings=settings
        )
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(self.conv1(x))  # (N, 64w, H/2, W/2)
        x = self.maxpool(x)  # (N, 64w, H/4, W/4)
        x = self.layer1(x)  # (N, 64we, H/4, W/4)
        x = self.layer2(x)  # (N, 128we, H/8, W/8)
        x = self.layer3(x)  # (N, 256we, H/16, W/16)
        x = self.layer4(x)  # (N, 512we, H/32, W/32)
        x = self.end(x)
        x = global_average(x)  # (N, 512we)
        return self.classify(x)  # (N, K)
