"""What must hold of nets of the user's own before a study trusts a comparison of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from study.config.own_nets import OwnNetsError
from study.nets.complexity import count, count_any
from study.nets.own_check import check_own_nets
from study.nets.registry import build_net
from tests.nets.own_nets import own

BOTH = {3: {False, True}, 6: {False, True}}
PROJECTED = ("        self.residual = residual\n", "        self.residual = residual\n        if residual:\n%s")


def check(folder: Path, *changes: tuple[str, str], nets: Mapping[int, set[bool]] | None = None) -> None:
    check_own_nets(own(folder, *changes), BOTH if nets is None else nets, (1, 8, 8), 10)


def test_good_twins_pass_and_leave_pytorchs_generator_as_it_was(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    check(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["shortcut", "downsample"])
def test_shortcuts_may_have_weights_of_their_own_that_are_drawn_last(tmp_path: Path, name: str) -> None:
    extra = (PROJECTED[0], PROJECTED[1] % f"            self.{name} = nn.Linear(16, 16)\n")
    used = ("x = x + y if", f"x = self.{name}(x) + y if")
    check(tmp_path, extra, used)
    first = (
        "        self.first =",
        f"        if residual:\n            self.{name} = nn.Linear(16, 16)\n        self.first =",
    )
    with pytest.raises(OwnNetsError, match=r"isn't the same at first in plain-3 and resnet-3: .* shortcuts last"):
        check(tmp_path, first, used)


CASES = [
    (
        (PROJECTED[0], PROJECTED[1] % "            self.more = nn.Linear(16, 16)\n"),
        r"resnet-3 has more\.(weight|bias), and plain-3 doesn't: only shortcuts may have weights of their own",
    ),
    (
        (
            PROJECTED[0],
            PROJECTED[1].replace("if residual", "if not residual") % "            self.more = nn.Linear(2, 2)\n",
        ),
        r"plain-3 has more\.weight, and resnet-3 doesn't: twins share weights",
    ),
    (("self.last = nn.Linear(16,", "self.last = nn.Linear(16 + 0 * residual, 1 +"), r"plain-3 gives \(2, 11\) for 2"),
    (("(16, 16) for", "(16, 16, bias=not residual) for"), r"plain-3 has layers\.0\.bias, and resnet-3 doesn't"),
    ((", generator=generator", ""), r"first\.weight of plain-3 isn't the same for the same seed: draw all weights"),
    (("0, 0.3,", "0, 0.4 if residual else 0.3,"), r"first\.weight isn't the same at first in plain-3 and resnet-3"),
    (("x + y if", "y if"), r"plain-6 and resnet-6 compute the same: `residual` changes nothing"),
    (("return self.last(x)", "return self.last(x).sum()"), r"plain-3 gives \(\) for 2 images in 10 classes"),
    (("return self.last(x)", "return [self.last(x)]"), r"plain-3 gives a list for 2 images in 10 classes"),
    (("return self.last(x)", "return self.lost(x)"), r"nets\.py:18: AttributeError: .*lost.* \(in a pass of plain-3\)"),
    (("x.flatten(1)", "x.view(len(x), -1)"), None),
    (("return self.last(x)", "x[0] = 0; return self.last(x.relu_())"), r"RuntimeError: .* \(in a pass of plain-3\)"),
    (("depth > 9", "depth > 5"), r"nets\.py:22: depth 6 is above 9 \(in building plain-6\)"),
    (("(*, depth,", "(*, deep,"), r"nets\.py:20: TypeError: build\(\) got an unexpected .* \(in building plain-3\)"),
    (("nn.Linear(16, num", "nn.LazyLinear(num"), r"lazy|Uninitialized"),
    (
        ("nn.init.normal_(parameter", "parameter.requires_grad_(False); nn.init.normal_(parameter"),
        "no parameter to train",
    ),
    (
        (", generator=generator", ", generator=torch.Generator().manual_seed(0)"),
        "plain-3 has the same weights for another seed, so that seeds tell little",
    ),
    (("return self.last(x)", "return self.last(x) * float('nan')"), "plain-3 gives NaN before it is trained"),
    (
        ("    return net\n", "    nn.init.constant_(net.last.weight, float('nan'))\n    return net\n"),
        r"last\.weight .* NaN",
    ),
]


@pytest.mark.parametrize(("change", "said"), CASES)
def test_what_must_not_be_is_told_in_a_line(tmp_path: Path, change: tuple[str, str], said: str | None) -> None:
    if said is None:
        check(tmp_path, change)
        return
    with pytest.raises(OwnNetsError, match=said) as raised:
        check(tmp_path, change)
    assert len(str(raised.value).splitlines()) == 1


def test_each_run_needs_a_net_of_its_own(tmp_path: Path) -> None:
    kept = ("    net = Net(", "    net = NETS.setdefault((depth, residual), 0) or Net(")
    stored = ("    for parameter in", "    NETS[depth, residual] = net\n    for parameter in")
    with pytest.raises(OwnNetsError, match="weights of plain-3 are those of an earlier net: make new ones"):
        check(tmp_path, ("def build(", "NETS = {}\n\ndef build("), kept, stored)


def test_a_study_of_one_architecture_needs_no_twins(tmp_path: Path) -> None:
    only_plain = ("    if depth > 9:", "    assert not residual\n    if depth > 9:")
    check(tmp_path, only_plain, nets={3: {False}})
    with pytest.raises(OwnNetsError, match=r"nets\.py:21: AssertionError \(in building resnet-3\)"):
        check(tmp_path, only_plain)


def test_images_of_several_channels_are_laid_out_as_in_training(tmp_path: Path) -> None:
    nets = own(tmp_path, ("x.flatten(1)", "x.view(len(x), -1)"))
    with pytest.raises(OwnNetsError, match=r"nets\.py:14: RuntimeError: view size is not compatible"):
        check_own_nets(nets, BOTH, (3, 8, 8), 10)


def test_operations_of_any_net_are_those_of_the_programs_own() -> None:
    for name, shortcut in (("plain-8", None), ("resnet-8", "B"), ("resnet-18", None)):
        net = build_net(name, 10, shortcut=shortcut, width=0.5)  # type: ignore[arg-type]
        assert count_any(net, (3, 32, 32)) == count(net, (3, 32, 32))


def test_attention_counts_its_projections_and_shared_weights_count_once() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.first, self.last = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
            self.last.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x.flatten(2).transpose(1, 2))  # (N, T, 8)
            return self.last(self.attention(y, y, y, need_weights=False)[0]).mean(1)

    complexity = count_any(Net(), (8, 3, 2))
    assert complexity.multiply_adds == 6 * (2 * 64 + 4 * 64)
    assert complexity.parameters == 64 + 4 * 64 + 4 * 8
