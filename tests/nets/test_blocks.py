"""The shortcut options and the two blocks."""

import pytest
import torch

from study.nets.blocks import BasicBlock, BlockSettings, Bottleneck, global_average, pad_shortcut, projection
from study.nets.families import make_stages


def test_option_a_takes_every_second_pixel_and_pads_at_the_end():
    x = torch.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    out = pad_shortcut(x, 5, 2)
    assert out.shape == (1, 5, 2, 2)
    assert out[0, 0].tolist() == [[1.0, 3.0], [9.0, 11.0]]
    assert out[0, 1].tolist() == [[17.0, 19.0], [25.0, 27.0]]
    # The new channels stand behind the old ones, all of them, and hold nothing.
    assert not out[0, 2:].any()


def test_option_a_on_odd_maps_has_the_size_of_a_stride_2_convolution():
    x = torch.arange(25.0).reshape(1, 1, 5, 5)
    out = pad_shortcut(x, 1, 2)
    assert out[0, 0].tolist() == [[0.0, 2.0, 4.0], [10.0, 12.0, 14.0], [20.0, 22.0, 24.0]]
    assert torch.nn.Conv2d(1, 1, 3, stride=2, padding=1)(x).shape == out.shape


def test_option_a_is_the_identity_where_nothing_changes():
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pad_shortcut(x, 3, 1), x)


@pytest.mark.parametrize(
    ("shortcut", "channels_out", "stride", "projects"),
    [
        ("none", 16, 1, False),
        ("none", 32, 2, False),
        ("A", 16, 1, False),
        ("A", 32, 2, False),
        ("B", 16, 1, False),
        ("B", 32, 1, True),
        ("B", 16, 2, True),
        ("C", 16, 1, True),
        ("C", 32, 2, True),
    ],
)
def test_which_options_project(shortcut, channels_out, stride, projects):
    made = projection(16, channels_out, stride, BlockSettings(shortcut))
    assert (made is not None) == projects
    if made is not None:
        conv, norm = made
        assert conv.weight.shape == (channels_out, 16, 1, 1)
        assert conv.stride == (stride, stride)
        assert conv.bias is None
        assert norm.num_features == channels_out


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_block_is_relu_of_branch_plus_skip(block, shortcut, stride):
    made = block(8, 8, stride, BlockSettings(shortcut)).eval()
    # Values of both signs, large enough for the last ReLU to cut some.
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        total = made.branch(x) + made.skip(x)
        assert (total < 0).any()
        # The ReLU stands after the addition (Figure 2).
        assert torch.equal(made(x), total.clamp(min=0))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_plain_block_has_no_path_past_its_branch(block):
    made = block(8, 8, 1).eval()
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(made(x), made.branch(x).clamp(min=0))
        last = made.bn3 if isinstance(made, Bottleneck) else made.bn2
        last.weight.zero_()
        assert not made(x).any()


def test_a_bottleneck_strides_in_its_3x3():
    made = Bottleneck(8, 4, 2, BlockSettings("B"))
    strides = [conv.stride for conv in (made.conv1, made.conv2, made.conv3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]
    assert made.conv2.kernel_size == (3, 3)


def test_only_the_first_block_of_a_stage_strides():
    first, stage = make_stages("bottleneck", 16, (4, 8), (1, 3), BlockSettings("B"))
    assert first[0].stride == 1
    assert [block.stride for block in stage] == [2, 1, 1]
    assert [block.downsample is not None for block in stage] == [True, False, False]
    assert [block.conv1.in_channels for block in stage] == [16, 32, 32]


def test_global_average():
    x = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert global_average(x).tolist() == [[1.5, 5.5]]
