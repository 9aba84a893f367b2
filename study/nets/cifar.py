"""The CIFAR family of He et al. 2015, section 4.2: 6n+2 weighted layers, plain or residual.

| depth | n | parameters |
| --- | --- | --- |
| 20 | 3 | 0.27M |
| 32 | 5 | 0.46M |
| 44 | 7 | 0.66M |
| 56 | 9 | 0.85M |
| 110 | 18 | 1.7M |
| 1202 | 200 | 19.4M |

Legend: N batch, C channels of the images, H and W height and width, K classes, w width multiplier.
"""

from torch import Tensor, nn

from study.nets.blocks import Shortcut, conv3x3, global_average, norm
from study.nets.design import PAPER, Design
from study.nets.staged_net import StagedNet, block_settings, make_stages


class CifarNet(StagedNet):
    """3x3 convolution (16), three stages of n basic blocks (16, 32, 64 channels), global average, linear layer."""

    def __init__(
        self,
        depth: int,
        num_classes: int,
        *,
        in_channels: int = 3,
        shortcut: Shortcut = "A",
        width: float = 1.0,
        design: Design = PAPER,
    ) -> None:
        """Build the net.

        Raises:
            ValueError: `depth` isn't 6n+2 with n >= 1.
        """
        super().__init__(design)
        n, rest = divmod(depth - 2, 6)
        if n < 1 or rest:
            raise ValueError(f"depth {depth} isn't 6n+2")
        w1, w2, w3 = (max(1, round(channels * width)) for channels in (16, 32, 64))
        settings = block_settings(design, depth)
        self.conv1 = conv3x3(in_channels, w1, bias=self.biased)
        self.bn1 = norm(w3 if design.preactivation else w1, design)
        self.relu = settings.activation()
        self.layer1, self.layer2, self.layer3 = make_stages(
            "basic", w1, (w1, w2, w3), (n, n, n), shortcut=shortcut, settings=settings
        )
        self.fc = nn.Linear(w3, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(self.conv1(x))  # (N, 16w, H, W)
        x = self.layer1(x)  # (N, 16w, H, W)
        x = self.layer2(x)  # (N, 32w, H/2, W/2)
        x = self.layer3(x)  # (N, 64w, H/4, W/4)
        x = self.end(x)
        x = global_average(x)  # (N, 64w)
        return self.classify(x)  # (N, K)
