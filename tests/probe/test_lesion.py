import copy

import pytest
import torch
from scipy import stats
from torch import nn

from study.errors import StudyError
from study.probe.construction import build_by_construction
from study.probe.lesion import Lesions, kendall_tau


def error_of(net, batches):
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        return 100 * float((net.eval()(images).argmax(1) != labels).float().mean())


def test_a_residual_block_is_its_shortcut_without_its_branch(trained, batches, untouched):
    net = trained("resnet-20")
    with untouched(net):
        rows = Lesions(net, batches).delete_each()
    assert [row.blocks for row in rows] == [(f"layer{stage}.{i}",) for stage in (1, 2, 3) for i in range(3)]
    assert [row.blocks[0] for row in rows if row.downsamples] == ["layer2.0", "layer3.0"]
    whole = error_of(copy.deepcopy(net), batches)
    for row in rows:
        # A branch whose last batch norm gives 0 adds nothing.
        silent = copy.deepcopy(net)
        norm = silent.get_submodule(row.blocks[0]).bn2
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)
        assert row.error == pytest.approx(error_of(silent, batches))
        assert row.rise == pytest.approx(row.error - whole, abs=1e-6)
    assert max(row.rise for row in rows) > 0


def test_of_a_plain_net_only_what_fits_together_is_taken_out(trained, batches, untouched):
    net = trained("plain-20")
    with untouched(net):
        rows = Lesions(net, batches).delete_each()
    assert [row.blocks[0] for row in rows] == [
        "layer1.0",
        "layer1.1",
        "layer1.2",
        "layer2.1",
        "layer2.2",
        "layer3.1",
        "layer3.2",
    ]
    assert not any(row.downsamples for row in rows)
    shorter = copy.deepcopy(net)
    del shorter.layer2[1]
    assert rows[3].error == pytest.approx(error_of(shorter, batches))


def test_identities_can_go_without_loss_and_a_residual_net_bears_it_better(trained, batches):
    deep = build_by_construction(trained("plain-8"), 20, batches)
    for row in Lesions(deep.net, batches).delete_each():
        assert (row.rise == 0) == (row.blocks[0] in deep.inserted)
    rises = {
        name: [row.rise for row in Lesions(trained(name), batches).delete_each() if not row.downsamples]
        for name in ("plain-20", "resnet-20")
    }
    assert sum(rises["resnet-20"]) / 7 < sum(rises["plain-20"]) / 7


def test_projections_stay_as_shortcuts(digit_net, batches):
    rows = Lesions(digit_net("resnet-8", shortcut="C"), batches[:1]).delete_each()
    assert [row.downsamples for row in rows] == [False, True, True]


def test_random_blocks_are_the_generators(trained, batches, untouched):
    net = trained("resnet-20")
    with untouched(net):
        first, again, other = (
            Lesions(net, batches).delete_random([0, 1, 3, 9], draws=2, generator=torch.Generator().manual_seed(seed))
            for seed in (0, 0, 1)
        )
    assert first == again
    assert [row.blocks for row in first] != [row.blocks for row in other]
    assert [len(row.blocks) for row in first] == [0, 0, 1, 1, 3, 3, 9, 9]
    assert [row.draw for row in first] == [0, 1] * 4
    assert first[0].rise == 0
    assert first[2] == next(row for row in Lesions(net, batches).delete_each() if row.blocks == first[2].blocks)
    assert first[-1].rise > 0  # without a single branch


def test_swapped_blocks(trained, batches, untouched):
    net = trained("plain-20")
    with untouched(net):
        rows = Lesions(net, batches).swap_random([0, 1, 6], draws=3, generator=torch.Generator().manual_seed(0))
    assert [row.swaps for row in rows] == [0] * 3 + [1] * 3 + [6] * 3
    assert all((row.rise, row.kendall_tau) == (0, 1) for row in rows[:3])
    # Of 36 pairs a swap of neighbours turns 1 round, one of blocks two apart 3.
    assert all(row.kendall_tau in (pytest.approx(1 - 2 / 36), pytest.approx(1 - 6 / 36)) for row in rows[3:6])
    swapped = []
    for stage, a, b in (("layer1", 0, 1), ("layer1", 0, 2), ("layer1", 1, 2), ("layer2", 1, 2), ("layer3", 1, 2)):
        other = copy.deepcopy(net)
        blocks = other.get_submodule(stage)
        blocks[a], blocks[b] = blocks[b], blocks[a]
        swapped.append(error_of(other, batches))
    assert all(any(row.error == pytest.approx(error) for error in swapped) for row in rows[3:6])
    assert max(row.rise for row in rows[3:]) > 0


def test_nothing_can_be_swapped_in_a_net_of_single_blocks(digit_net, batches):
    lesions = Lesions(digit_net("plain-8"), batches)
    assert lesions.swap_random([1], draws=1, generator=torch.Generator()) == []


def test_a_net_without_blocks_is_refused(batches):
    with pytest.raises(StudyError, match="no blocks"):
        Lesions(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), batches)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 3, 1, 4]])
def test_kendalls_tau_is_scipys(order):
    assert kendall_tau(order) == pytest.approx(stats.kendalltau(order, range(len(order))).statistic)


def test_an_imagenet_net(digit_net):
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    batches = [(images, torch.tensor([0, 1, 2, 3]))]
    residual = Lesions(digit_net("resnet-50", width=0.1, family="imagenet"), batches).delete_each()
    assert [row.blocks[0] for row in residual if row.downsamples] == [f"layer{i}.0" for i in (1, 2, 3, 4)]
    assert len(residual) == 16
    assert len(Lesions(digit_net("plain-18", width=0.1), batches).delete_each()) == 5
