"""Sources of nets of the user's own, for tests."""

from pathlib import Path

from study.config.own_nets import OwnNets, read_own_nets

GOOD = '''\
"""Plain and residual perceptrons."""
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, depth, residual, num_classes, in_channels):
        super().__init__()
        self.first = nn.Linear(64 * in_channels, 16)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.last = nn.Linear(16, num_classes)
        self.residual = residual

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        for layer in self.layers:
            y = layer(x).relu()
            x = x + y if self.residual else y
        return self.last(x)

def build(*, depth, residual, num_classes, in_channels, generator):
    if depth > 9:
        raise ValueError(f"depth {depth} is above 9")
    net = Net(depth, residual, num_classes, in_channels)
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.3, generator=generator)
    return net
'''


GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {family: nets.py:build, epochs: 1, batch_size: 32, lr: 0.05, precision: fp32}
grid: {net: [plain-2, resnet-2], seed: 0}
"""
"""A grid of two short runs of them."""


def own(folder: Path, *changes: tuple[str, str], text: str = GOOD, function: str = "build") -> OwnNets:
    """Write a source with changes into a folder, and read it as a grid in that folder does."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "nets.py").write_text(text)
    return read_own_nets(f"nets.py:{function}", folder)


def write_vanishing(folder: Path) -> None:
    """Write `GRID` into a new folder, with a source that deletes itself as soon as the launcher has loaded it."""
    folder.mkdir()
    (folder / "g.yaml").write_text(GRID)
    own(folder, ("import torch\n", "import torch, pathlib\npathlib.Path(__file__).unlink(missing_ok=True)\n"))
