import copy

import pytest
import torch
import torch.nn.functional as F

from study.errors import StudyError
from study.nets import build_net
from study.probe.construction import add_noise, build_by_construction, compare_outputs

PAIRS = [("plain-8", 20), ("plain-8", 56), ("plain-14", 20), ("plain-14", 32)]
both = pytest.mark.parametrize("statistics", ["unit", "measured"])


@both
@pytest.mark.parametrize(("name", "depth"), PAIRS)
def test_the_deep_net_gives_the_shallow_nets_logits(trained, batches, untouched, name, depth, statistics):
    net = trained(name)
    with untouched(net):
        found = build_by_construction(net, depth, batches, statistics=statistics)
    assert found.change.largest_difference <= 1e-4
    assert found.change.changed == 0
    # The number is what a comparison from outside gives, and the net is the family's.
    family = build_net(f"plain-{depth}", 10, in_channels=1)
    family.load_state_dict(found.net.state_dict())
    images = torch.cat([images for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    with torch.no_grad():
        shallow, deep = net(images), family.eval()(images)
    torch.testing.assert_close(deep, shallow, atol=1e-4, rtol=0)
    assert torch.equal(deep.argmax(1), shallow.argmax(1))
    assert (shallow.argmax(1) != labels).float().mean() < 0.5  # it has learned: its statistics aren't trivial
    assert len(found.inserted) == 3 * (depth - int(name.split("-")[1])) // 6
    assert not found.net.training


@both
@pytest.mark.parametrize(("name", "depth"), PAIRS[:3])
def test_in_double_precision_to_the_tenth_digit(trained, batches, name, depth, statistics):
    net = copy.deepcopy(trained(name)).double()
    wide = [(images.double(), labels) for images, labels in batches]
    found = build_by_construction(net, depth, wide, statistics=statistics)
    assert found.change.largest_difference <= 1e-10
    assert found.change.changed == 0
    assert found.net.fc.weight.dtype == torch.float64


def test_measured_statistics_hold_in_training_mode_and_unit_ones_dont(trained, batches, untouched):
    net, changes = trained("plain-8"), {}
    for statistics in ("unit", "measured"):
        deep = build_by_construction(net, 56, batches, statistics=statistics).net
        with untouched(net), untouched(deep):
            change = changes[statistics] = compare_outputs(deep, net, batches, training=True)
        # What it counts is what one sees from outside.
        nets = [copy.deepcopy(either).train() for either in (deep, net)]
        with torch.no_grad():
            logits = [[either(images) for either in nets] for images, _ in batches]
        assert change.changed == sum(int((a.argmax(1) != b.argmax(1)).sum()) for a, b in logits)
        assert change.largest_difference == max(float((a - b).abs().max()) for a, b in logits)
        assert change.images == 384
    assert changes["measured"].changed < 0.1 * 384 < 0.3 * 384 < changes["unit"].changed
    assert changes["unit"].largest_difference > 2 * changes["measured"].largest_difference


def test_it_can_be_trained_on(trained, batches):
    deep = build_by_construction(trained("plain-8"), 14, batches).net.train()
    F.cross_entropy(deep(batches[0][0]), batches[0][1]).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in deep.parameters())


@pytest.mark.parametrize("width", [0.1, 0.3, 1.5])
def test_widths_are_the_shallow_nets(digit_net, batches, width):
    net = digit_net("plain-8", width=width).eval()
    deep = build_by_construction(net, 14, batches[:1]).net
    expected = digit_net("plain-14", width=width).state_dict()
    assert {name: value.shape for name, value in deep.state_dict().items()} == {
        name: value.shape for name, value in expected.items()
    }


def test_a_net_of_the_imagenet_family(digit_net):
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    batch = [(images, torch.zeros(4, dtype=torch.int64))]
    net = digit_net("plain-18", width=0.2)
    found = build_by_construction(net, 34, batch)
    assert found.change.largest_difference <= 1e-4
    assert found.inserted == ("layer1.2", "layer2.2", "layer2.3", *[f"layer3.{i}" for i in range(2, 6)], "layer4.2")
    with pytest.raises(StudyError, match=r"plain-50 can't be built from plain-18.*other blocks"):
        build_by_construction(net, 50, batch)


def test_its_own_depth_inserts_nothing(trained, batches):
    found = build_by_construction(trained("plain-8"), 8, batches)
    assert (found.inserted, found.change.largest_difference, found.change.changed) == ((), 0, 0)


@pytest.mark.parametrize(
    ("name", "depth", "words"),
    [
        ("resnet-8", 20, "only a plain net of basic blocks"),
        ("plain-20", 14, "plain-14 can't be built from plain-20.*shallower"),
        ("plain-8", 21, "no net has depth 21"),
    ],
)
def test_what_cant_be_made_deeper_is_refused(digit_net, batches, name, depth, words):
    with pytest.raises(StudyError, match=words):
        build_by_construction(digit_net(name), depth, batches)


def test_noise_is_relative_to_each_filter_and_the_generators(trained, batches, untouched):
    found = build_by_construction(trained("plain-8"), 20, batches)
    with untouched(found.net):
        noisy = [add_noise(found.net, 0.1, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    first, again, other = (net.state_dict() for net in noisy)
    before = found.net.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    for name, weight in before.items():
        if weight.ndim != 4:
            assert torch.equal(first[name], weight)
        elif name.startswith("layer3"):
            # 288 or more draws a filter: the norm of the noise is within a few percent of its mean.
            change = (first[name] - weight).flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
            torch.testing.assert_close(change, torch.full_like(change, 0.1), atol=0.02, rtol=0)


def test_noise_on_inserted_layers_alone(trained, batches):
    found = build_by_construction(trained("plain-8"), 14, batches)
    assert found.inserted == ("layer1.1", "layer2.1", "layer3.1")
    noisy = add_noise(found.net, 0.1, torch.Generator().manual_seed(0), blocks=found.inserted).state_dict()
    changed = {name for name, value in found.net.state_dict().items() if not torch.equal(value, noisy[name])}
    assert changed == {f"{block}.conv{i}.weight" for block in found.inserted for i in (1, 2)}
