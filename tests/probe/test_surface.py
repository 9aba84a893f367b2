import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from study.nets import build_net
from study.probe.subject import copy_net
from study.probe.surface import (
    Direction,
    SurfacePoint,
    filter_directions,
    measure_surface,
    points_at_once,
    summarise_surface,
)


def directions_of(net: nn.Module) -> tuple[Direction, Direction]:
    return filter_directions(net, torch.Generator().manual_seed(0))


def slice_of(f, points: int = 21) -> list[SurfacePoint]:
    """Return a slice of a function's values, as a surface's rows are."""
    ticks = torch.linspace(-1, 1, points).tolist()
    return [SurfacePoint(a, b, f(a, b), 0.0) for a in ticks for b in ticks]


def test_each_filter_of_a_direction_has_the_norm_of_the_nets(digit_net, untouched):
    net = digit_net("resnet-8", shortcut="C")
    with untouched(net):
        one, two = directions_of(net)
        again, _ = directions_of(net)
    weights = dict(net.named_parameters())
    assert set(one) == {name for name in weights if "conv" in name or "downsample.0" in name or name == "fc.weight"}
    for name, direction in one.items():
        norms = weights[name].detach().flatten(1).norm(dim=1)
        torch.testing.assert_close(direction.flatten(1).norm(dim=1), norms)
        assert torch.equal(direction, again[name])
        assert not torch.equal(direction, two[name])


@pytest.mark.parametrize("name", ["plain-8", "resnet-8"])
@pytest.mark.parametrize("recalibrate", [False, True])
def test_points_are_the_losses_of_moved_nets(trained, batches, untouched, name, recalibrate):
    net = trained(name)
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    d, e = directions_of(net)
    with untouched(net):
        rows = measure_surface(net, [(images, labels)], (d, e), span=0.5, points=5, recalibrate=recalibrate)
    assert [(row.a, row.b) for row in rows] == [(a / 4, b / 4) for a in range(-2, 3) for b in range(-2, 3)]
    for row in (rows[0], rows[7], rows[12], rows[21]):
        moved = copy_net(net, training=recalibrate)
        with torch.no_grad():
            for key, weight in moved.named_parameters():
                if key in d:
                    weight += row.a * d[key] + row.b * e[key]
            logits = moved(images)
        assert row.loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-3, abs=1e-5)
        assert row.error == pytest.approx(100 * float((logits.argmax(1) != labels).double().mean()), abs=0.6)
    if not recalibrate:
        parts = measure_surface(net, batches, (d, e), span=0.5, points=5)
        assert [row.loss for row in parts] == pytest.approx([row.loss for row in rows], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("recalibrate", [False, True])
def test_points_in_one_pass_are_those_one_by_one(trained, batches, untouched, recalibrate):
    net = trained("resnet-8")
    slices = []
    with untouched(net):
        for at_once in (1, 4):
            slices.append(
                measure_surface(
                    net, batches[:1], directions_of(net), points=3, recalibrate=recalibrate, at_once=at_once
                )
            )
    assert [row.loss for row in slices[1]] == pytest.approx([row.loss for row in slices[0]], rel=1e-3, abs=1e-5)


def test_the_centre_is_the_net(trained, batches):
    net = trained("plain-14")
    rows = measure_surface(net, batches, directions_of(net), points=3)
    with torch.no_grad():
        losses = [F.cross_entropy(net(images), labels, reduction="sum") for images, labels in batches]
    assert (rows[4].a, rows[4].b) == (0, 0)
    assert rows[4].loss == pytest.approx(float(sum(losses)) / 384, rel=1e-5)
    assert min(row.loss for row in rows) == rows[4].loss


def test_a_bowl_is_convex_with_one_minimum():
    found = summarise_surface(slice_of(lambda a, b: 0.5 + 2 * a * a + 3 * b * b + a * b), classes=10)
    assert found.loss == pytest.approx(0.5)
    assert (found.curvature_a, found.curvature_b) == pytest.approx((4, 6))
    assert found.minima == 1
    assert found.nonconvex == 0
    inside = [
        0.5 + 2 * a * a + 3 * b * b + a * b < math.log(10)
        for a in torch.linspace(-1, 1, 21).tolist()
        for b in torch.linspace(-1, 1, 21).tolist()
    ]
    assert found.basin == pytest.approx(sum(inside) / 441)


def test_a_saddle_and_waves_are_not():
    saddle = summarise_surface(slice_of(lambda a, b: 1 + a * a - 0.1 * b * b), classes=10)
    assert (saddle.nonconvex, saddle.minima) == (1, 0)
    assert (saddle.curvature_a, saddle.curvature_b) == pytest.approx((2, -0.2))
    # Convex along both axes, not between them: the mixed difference counts.
    twisted = summarise_surface(slice_of(lambda a, b: 1 + 0.1 * (a * a + b * b) + a * b * 0.5), classes=10)
    assert min(twisted.curvature_a, twisted.curvature_b) > 0
    assert twisted.nonconvex == 1
    waves = summarise_surface(slice_of(lambda a, b: 1 - 0.5 * math.cos(10 * a) * math.cos(10 * b), 81), classes=10)
    assert waves.minima == 3 * 3 + 4 * 4  # where both cosines are 1, and where both are -1
    assert 0.3 < waves.nonconvex < 0.9


def test_a_flat_slice_has_no_minima_and_no_curvature_from_rounding():
    values = iter(torch.rand(441, generator=torch.Generator().manual_seed(0)).mul(2e-7).tolist())
    found = summarise_surface(slice_of(lambda _a, _b: 1 + next(values)), classes=10)
    assert (found.minima, found.nonconvex) == (0, 0)


def test_a_slice_above_guessing_has_no_basin():
    nothing = summarise_surface(slice_of(lambda a, b: 5 + a * a + b * b, 9), classes=10)
    assert nothing.basin == 0
    assert math.isnan(nothing.nonconvex)


def test_an_imagenet_net(digit_net):
    net = copy.deepcopy(digit_net("resnet-50", width=0.1, family="imagenet"))
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    rows = measure_surface(net, [(images, torch.tensor([0, 1, 2, 3]))], directions_of(net), points=3, recalibrate=True)
    assert all(math.isfinite(row.loss) for row in rows)


@pytest.mark.parametrize(
    ("name", "width", "images", "side", "points"),
    [
        ("plain-56", 1.0, 256, 32, 32),
        ("plain-20", 4.0, 256, 32, 16),  # maps of 64 channels
        ("plain-20", 1.0, 256, 96, 7),
        ("resnet-18", 1.0, 256, 224, 1),
        ("resnet-50", 1.0, 2, 64, 11),  # its weights are more than its maps
    ],
)
def test_a_pass_takes_no_more_memory_the_larger_nets_and_images_are(name, width, images, side, points):
    batch = torch.zeros(1, 3, 1, 1).expand(images, 3, side, side), torch.zeros(images, dtype=torch.int64)
    assert points_at_once(build_net(name, 10, width=width).eval(), [batch]) == points


def on_a_fake_gpu(value: torch.Tensor) -> torch.Tensor:
    layout = torch.channels_last if value.ndim == 4 else torch.contiguous_format
    return torch.empty(value.shape, dtype=value.dtype, device="cuda", memory_format=layout)


@pytest.mark.skipif(not torch.backends.cudnn.is_available(), reason="a PyTorch without CUDA chooses as for a CPU")
@pytest.mark.parametrize("recalibrate", [False, True])
@pytest.mark.parametrize(("name", "side"), [("plain-8", 8), ("resnet-18", 64)])
def test_the_way_through_pytorch_on_a_gpu(name, side, recalibrate, monkeypatch):
    """PyTorch's own tensors without values choose operations as on a GPU, where `vmap` refuses some of them."""
    monkeypatch.setattr("study.probe.surface.copy_net", lambda net, training: net.train(training))
    net = build_net(name, 10)
    before = torch.backends.cudnn.enabled
    with FakeTensorMode():
        for module in net.modules():
            for own in (module._parameters, module._buffers):
                own.update({key: on_a_fake_gpu(value) for key, value in own.items() if value is not None})
        batch = on_a_fake_gpu(torch.empty(4, 3, side, side)), torch.empty(4, dtype=torch.int64, device="cuda")
        direction = {key: on_a_fake_gpu(weight) for key, weight in net.named_parameters() if weight.ndim > 1}
        with pytest.raises(DataDependentOutputException):  # when all is computed and is to be read
            measure_surface(net, [batch], (direction, direction), points=3, recalibrate=recalibrate)
    assert torch.backends.cudnn.enabled is before
