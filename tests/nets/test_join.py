import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.nets import build_net, can_join, join, unjoin
from study.nets.blocks import pad_shortcut

NETS = [
    ("plain-14", {}, 8),
    ("resnet-14", {}, 8),
    ("resnet-14", {"shortcut": "B", "width": 0.5}, 8),
    ("resnet-8", {"shortcut": "C"}, 8),
    ("resnet-18", {"width": 0.1}, 32),
    ("resnet-50", {"width": 0.1, "family": "imagenet"}, 32),
    ("plain-18", {"width": 0.1, "family": "imagenet"}, 32),
]


def together(images: torch.Tensor) -> torch.Tensor:
    """(R, N, C, H, W) -> (N, R C, H, W)."""
    return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("name", "options", "side"), NETS)
def test_joined_nets_do_what_each_does_alone(name: str, options: dict[str, object], side: int) -> None:
    nets = [build_net(name, 5, generator=torch.Generator().manual_seed(i), **options).double() for i in range(3)]  # type: ignore[arg-type]
    alone = copy.deepcopy(nets)
    assert all(can_join(net) for net in nets)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 8, 3, side, side, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (3, 8), generator=generator)
    whole = join(nets)
    assert not list(whole.parameters())  # each net keeps its own
    for _ in range(2):  # the running statistics go on
        logits = whole(together(images))
    F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1).sum().backward()
    unjoin(nets)
    for net, single, mine, x, y in zip(nets, alone, logits, images, labels, strict=True):
        for _ in range(2):
            expected = single(x)
        F.cross_entropy(expected, y).backward()
        torch.testing.assert_close(mine, expected, atol=1e-9, rtol=1e-9)
        for (label, p), q in zip(single.named_parameters(), net.parameters(), strict=True):
            assert p.grad is not None
            assert q.grad is not None
            scale = float(p.grad.abs().max()) + 1e-12
            torch.testing.assert_close(q.grad / scale, p.grad / scale, atol=1e-8, rtol=0, msg=label)
        for p, q in zip(single.buffers(), net.buffers(), strict=True):
            torch.testing.assert_close(q, p, atol=1e-9, rtol=1e-9)


def test_parted_nets_share_nothing() -> None:
    nets = [build_net("plain-8", 5) for _ in range(2)]
    join(nets)
    norms = [net.bn1 for net in nets]
    assert norms[0].running_mean.untyped_storage().data_ptr() == norms[1].running_mean.untyped_storage().data_ptr()  # type: ignore[union-attr, operator]
    unjoin(nets)
    for norm in norms:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_mean.untyped_storage().nbytes() == norm.running_mean.nbytes


def test_one_nets_infinities_are_not_the_others() -> None:
    nets = [build_net("resnet-8", 5, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    with torch.no_grad():
        next(nets[0].parameters()).fill_(float("inf"))
    images = torch.randn(2, 4, 3, 8, 8)
    logits = join(nets)(together(images))
    logits.sum((1, 2)).sum().backward()
    assert not logits[0].isfinite().any()
    assert logits[1].isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in nets[1].parameters())


def test_a_padded_shortcut_of_several_nets_is_that_of_each() -> None:
    x = torch.randn(2, 6, 5, 5).contiguous(memory_format=torch.channels_last)
    expected = torch.cat([pad_shortcut(one, 4, 2) for one in x.chunk(3, 1)], 1)
    torch.testing.assert_close(pad_shortcut(x, 4, 2, 3), expected, atol=0, rtol=0)
    torch.testing.assert_close(pad_shortcut(x, 2, 1, 3), x, atol=0, rtol=0)


def test_vgg_nets_are_not_joined() -> None:
    assert not can_join(build_net("vgg-16", 5))
