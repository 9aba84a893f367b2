"""Size of every net: the paper's and torchvision's tables to the last digit, and closed forms."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import models

from study.nets import Complexity, build_net, count

CIFAR_IMAGE = (3, 32, 32)
IMAGENET_IMAGE = (3, 224, 224)

# depth: parameters with options A, B and C, multiply-adds with A and B.
CIFAR = {
    8: (75_290, 78_042, 78_330, 12_239_488, 12_501_632),
    14: (172_506, 175_258, 181_146, 26_395_264, 26_657_408),
    20: (269_722, 272_474, 283_962, 40_551_040, 40_813_184),
    32: (464_154, 466_906, 489_594, 68_862_592, 69_124_736),
    44: (658_586, 661_338, 695_226, 97_174_144, 97_436_288),
    56: (853_018, 855_770, 900_858, 125_485_696, 125_747_840),
    110: (1_727_962, 1_730_714, 1_826_202, 252_887_680, 253_149_824),
}

# torchvision's nets (option B) with 1000 classes on 224x224: parameters, multiply-adds.
TORCHVISION = {
    "resnet-18": (11_689_512, 1_814_073_344, models.ResNet18_Weights.IMAGENET1K_V1),
    "resnet-34": (21_797_672, 3_663_761_408, models.ResNet34_Weights.IMAGENET1K_V1),
    "resnet-50": (25_557_032, 4_089_184_256, models.ResNet50_Weights.IMAGENET1K_V1),
    "resnet-101": (44_549_160, 7_801_405_440, models.ResNet101_Weights.IMAGENET1K_V1),
    "resnet-152": (60_192_808, 11_513_626_624, models.ResNet152_Weights.IMAGENET1K_V1),
    "vgg-16": (138_357_544, 15_470_264_320, models.VGG16_Weights.IMAGENET1K_V1),
    "vgg-19": (143_667_240, 19_632_062_464, models.VGG19_Weights.IMAGENET1K_V1),
}


def cifar(name: str, shortcut: str | None = None) -> Complexity:
    with torch.device("meta"):
        net = build_net(name, 10, shortcut=shortcut, family="cifar")
    return count(net, CIFAR_IMAGE)


def imagenet(name: str, shortcut: str | None = None) -> Complexity:
    with torch.device("meta"):
        net = build_net(name, 1000, shortcut=shortcut)
    return count(net, IMAGENET_IMAGE)


@pytest.mark.parametrize("depth", CIFAR)
def test_cifar_sizes(depth):
    params_a, params_b, params_c, macs_a, macs_b = CIFAR[depth]
    # Option C adds a 1x1 convolution to each of the 3n blocks; the two that shrink the map cost half as much.
    macs_c = macs_a + 262_144 * (3 * (depth - 2) // 6 - 1)
    assert cifar(f"plain-{depth}") == (depth, params_a, macs_a)
    assert cifar(f"resnet-{depth}") == (depth, params_a, macs_a)
    assert cifar(f"resnet-{depth}", "B") == (depth, params_b, macs_b)
    assert cifar(f"resnet-{depth}", "C") == (depth, params_c, macs_c)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.7"), (1202, "19.4")]
)
def test_cifar_parameters_as_the_paper_prints_them(depth, millions):
    digits = len(millions.partition(".")[2])
    assert f"{cifar(f'resnet-{depth}').parameters / 1e6:.{digits}f}" == millions


@given(n=st.integers(1, 30), architecture=st.sampled_from(["plain", "resnet"]))
@settings(max_examples=8)
def test_cifar_closed_forms(n, architecture):
    depth = 6 * n + 2
    assert cifar(f"{architecture}-{depth}") == (depth, 97_216 * n - 21_926, 14_155_776 * n - 1_916_288)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_sizes(name):
    parameters, multiply_adds, weights = TORCHVISION[name]
    size = imagenet(name)
    assert size == (int(name.partition("-")[2]), parameters, multiply_adds)
    # What torchvision publishes beside its weights; its "GFLOPS" are multiply-adds.
    assert size.parameters == weights.meta["num_params"]
    assert math.isclose(size.multiply_adds / 1e9, weights.meta["_ops"], abs_tol=0.0006)


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_515_688), (34, 21_623_848)])
def test_imagenet_sizes_without_projections(depth, parameters):
    plain = imagenet(f"plain-{depth}")
    assert plain.parameters == parameters
    # Table 1 of the paper: 1.8 and 3.6 billion, of which 34 layers are 18% of VGG-19.
    assert round(plain.multiply_adds / 1e9, 3) == {18: 1.795, 34: 3.644}[depth]


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_an_imagenet_plain_net_costs_what_its_option_a_twin_does(depth):
    plain = imagenet(f"plain-{depth}")
    assert plain.layers == depth
    assert plain == imagenet(f"resnet-{depth}", "A")
    # B and C project, so they can't be compared with a plain net at equal cost.
    assert plain.parameters < imagenet(f"resnet-{depth}", "B").parameters < imagenet(f"resnet-{depth}", "C").parameters


def test_counting_leaves_the_net_as_it_was():
    net = build_net("resnet-8", 10).train()
    before = {name: one.clone() for name, one in net.state_dict().items()}
    first = count(net, CIFAR_IMAGE)
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert first == cifar("resnet-8")
    assert count(net, CIFAR_IMAGE) == first


def test_counting_does_not_load_the_compiler():
    code = """
import sys, torch
from study.nets import build_net, count
with torch.device("meta"):
    net = build_net("resnet-8", 10, shortcut="B")
count(net, (3, 32, 32))
print([name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_cost_follows_the_image():
    with torch.device("meta"):
        net = build_net("plain-8", 10, in_channels=1)
    small, large = count(net, (1, 8, 8)), count(net, (1, 16, 16))
    assert small.parameters == large.parameters
    # Four times the pixels, four times the convolutions; the linear layer (64 x 10) stays.
    assert large.multiply_adds - 640 == 4 * (small.multiply_adds - 640)
