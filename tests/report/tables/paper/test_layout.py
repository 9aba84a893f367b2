"""The stages that tables tell are those of the nets that are built."""

import pandas as pd
import pytest
import torch
from torch import nn

from study.data.augment import augmentation
from study.data.image_sources import DOGS_SIZE as DOGS
from study.data.image_sources import FOLDER_SIZE as FOLDER
from study.names import resolve_net
from study.nets import build_net
from study.nets.blocks import Block
from study.report.tables.paper.layout import SIDES, layout, layout_of, side_of

CASES = [
    ("plain", 20, "cifar", 32, 1.0), ("residual", 56, "cifar", 28, 1.0), ("residual", 8, "cifar", 9, 2.0),
    ("residual", 50, "cifar", 32, 0.5), ("plain", 18, "imagenet", 224, 1.0), ("residual", 34, "imagenet", 64, 1.0),
    ("residual", 50, "imagenet", 224, 1.0), ("residual", 101, "imagenet", 97, 0.5),
    ("residual", 152, "imagenet", 224, 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "depth", "family", "side", "width"), CASES)
def test_stages_are_those_of_the_net(architecture, depth, family, side, width):
    name = resolve_net(architecture, depth, family)
    found = layout(name, side, width)
    shapes: dict[str, list[tuple[int, int]]] = {}
    with torch.device("meta"):
        net = build_net(str(name), 10, family=family, width=width)
    for path, module in net.named_modules():
        if isinstance(module, Block):
            stage = shapes.setdefault(path.partition(".")[0], [])
            module.register_forward_hook(lambda _m, _i, out, stage=stage: stage.append((out.shape[1], out.shape[2])))
    net.eval()(torch.empty(1, 3, side, side, device="meta"))
    assert found.blocks == tuple(len(stage) for stage in shapes.values())
    assert all(len(set(stage)) == 1 for stage in shapes.values())
    assert list(zip(found.channels, found.sides, strict=True)) == [stage[0] for stage in shapes.values()]
    kernels = [m.kernel_size[0] for m in next(b for b in net.modules() if isinstance(b, Block)).children()
               if isinstance(m, nn.Conv2d)]  # fmt: skip
    assert found.block == ", ".join(f"{kernel}x{kernel}" for kernel in kernels)


def test_vgg_has_the_paper_s_stages():
    found = layout(resolve_net("vgg", 16, "auto"), 224)
    assert sum(found.blocks) == 13
    assert found.sides == (224, 112, 56, 28, 14)


def test_sides_are_those_of_the_data():
    assert (SIDES["image-folder"], SIDES["dogs-vs-cats"]) == (FOLDER, DOGS)
    for side in (64, 256, 100):
        run = pd.Series({"dataset": "image-folder", "image_size": str(side), "augment": "imagenet"})
        assert side_of(run) == augmentation("imagenet").side(side)
    assert side_of(pd.Series({"dataset": "digits", "image_size": float("nan"), "augment": "none"})) == 8
    assert side_of(pd.Series({"dataset": "new"})) is None


def test_unknown_nets_have_no_layout():
    assert layout_of(pd.Series({"dataset": "digits", "net": "<b>-20"})) is None
    assert layout_of(pd.Series({"dataset": "new", "net": "plain-20"})) is None
