"""The stages that tables tell are those of the nets that are built."""

import pandas as pd
import pytest
import torch
from torch import nn

from study.data.augment import augmentation
from study.data.dogs_vs_cats import DOGS_SIZE as DOGS
from study.data.labelled import FOLDER_SIZE as FOLDER
from study.names import resolve_net
from study.nets import build_net
from study.nets.blocks import Block
from study.report.tables.architectures import SIDES, architectures_table, layout, layout_of, side_of
from study.report.tables.writer import NOTHING
from tests.report.tables.paper_studies import cifar_runs, imagenet_runs

CASES = [
    ("plain", 20, "cifar", 32, 1.0),
    ("residual", 56, "cifar", 28, 1.0),
    ("residual", 8, "cifar", 9, 2.0),
    ("residual", 50, "cifar", 32, 0.5),
    ("plain", 18, "imagenet", 224, 1.0),
    ("residual", 34, "imagenet", 64, 1.0),
    ("residual", 50, "imagenet", 224, 1.0),
    ("residual", 101, "imagenet", 97, 0.5),
    ("residual", 152, "imagenet", 224, 1.0),
]


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
    kernels = [
        m.kernel_size[0]
        for m in next(b for b in net.modules() if isinstance(b, Block)).children()
        if isinstance(m, nn.Conv2d)
    ]
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


def test_sizes_stand_beside_table_6():
    runs = cifar_runs().assign(parameters=853_018)
    table = architectures_table(runs)
    assert list(table.shown["Net"]) == [
        *(f"plain-{d}" for d in (20, 32, 44, 56)),
        *(f"resnet-{d}" for d in (20, 32, 44, 56, 110)),
    ]
    row = table.shown.set_index("Net").loc["plain-56"]
    assert row["Paper: parameters"] == "0.85 million"
    assert row["Parameters against paper"] == "+0.4%"
    assert (row["Blocks a stage"], row["Channels"], row["Side (pixels)"]) == ("9, 9, 9", "16, 32, 64", "32, 16, 8")
    assert not [column for column in table.shown if "multiply-adds" in column and "Paper" in column]
    percent = table.numbers.set_index("net").loc["plain-56", "parameters_difference_percent"]
    assert percent == pytest.approx(100 * (853_018 / 850_000 - 1))


def test_multiply_adds_stand_beside_table_1():
    table = architectures_table(imagenet_runs("AB").assign(multiply_adds=1_814_073_344))
    row = table.shown[(table.shown["Net"] == "resnet-18") & (table.shown["Shortcut"] == "B")].iloc[0]
    assert (row["Multiply-adds"], row["Paper: multiply-adds"]) == ("1,814,073,344", "1.8 billion")
    assert row["Multiply-adds against paper"] == "+0.8%"
    assert row["Side (pixels)"] == "56, 28, 14, 7"
    assert "Paper: parameters" not in table.shown
    assert "stride" in table.caption


def test_each_net_stands_once_with_what_tells_it_from_others():
    runs = cifar_runs().assign(dataset="digits")
    assert not {"Width", "Shortcut"} & set(architectures_table(runs).shown)
    shown = architectures_table(imagenet_runs("ABC")).shown
    assert len(shown) == 2 + 6
    assert "1512.03385" not in architectures_table(runs).caption


def test_a_run_whose_size_is_not_known_yet_is_left_out():
    runs = cifar_runs()
    assert architectures_table(runs.assign(parameters=0)).shown.empty
    assert len(architectures_table(runs[runs["net"] == "plain-20"].assign(outcome="running")).shown) == 1


def test_unknown_nets_have_dashes():
    shown = architectures_table(cifar_runs().assign(net="<b>|_", dataset="digits")).shown
    assert list(shown.iloc[0][["Block", "Blocks a stage", "Channels", "Side (pixels)"]]) == [NOTHING] * 4
