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

from study.nets.blocks import BasicBlock, Block, Bottleneck, Shortcut, global_average, make_stage

STAGES: dict[int, tuple[type[Block], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ImageNetNet(nn.Module):
    """7x7 convolution /2, 3x3 max pool /2, four stages (64, 128, 256, 512 channels), global average, linear layer."""

    def __init__(
        self, depth: int, num_classes: int, *, in_channels: int = 3, shortcut: Shortcut = "B", width: float = 1.0
    ) -> None:
        """Build the net.

        Raises:
            ValueError: `depth` isn't one of 18, 34, 50, 101, 152.
        """
        super().__init__()
        if depth not in STAGES:
            raise ValueError(f"depth {depth} isn't one of {', '.join(map(str, STAGES))}")
        block, (n1, n2, n3, n4) = STAGES[depth]
        w1, w2, w3, w4 = (max(1, round(channels * width)) for channels in (64, 128, 256, 512))
        e = block.expansion
        self.conv1 = nn.Conv2d(in_channels, w1, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(w1)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = make_stage(block, w1, w1, n1, stride=1, shortcut=shortcut)
        self.layer2 = make_stage(block, w1 * e, w2, n2, stride=2, shortcut=shortcut)
        self.layer3 = make_stage(block, w2 * e, w3, n3, stride=2, shortcut=shortcut)
        self.layer4 = make_stage(block, w3 * e, w4, n4, stride=2, shortcut=shortcut)
        self.fc = nn.Linear(w4 * e, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64w, H/2, W/2)
        x = self.maxpool(x)  # (N, 64w, H/4, W/4)
        x = self.layer1(x)  # (N, 64we, H/4, W/4)
        x = self.layer2(x)  # (N, 128we, H/8, W/8)
        x = self.layer3(x)  # (N, 256we, H/16, W/16)
        x = self.layer4(x)  # (N, 512we, H/32, W/32)
        x = global_average(x)  # (N, 512we)
        logits: Tensor = self.fc(x)  # (N, K)
        return logits
