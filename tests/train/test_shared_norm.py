import pytest
import torch
from torch import Tensor, nn

from study.train.parallel import ALONE, Group
from study.train.shared_norm import SharedBatchNorm2d, share_statistics
from tests.train.pair import Pair


def values(dtype: torch.dtype, offset: float) -> Tensor:
    return (
        torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).add(offset).to(dtype)
    )


def norm(dtype: torch.dtype) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(3).to(dtype)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
        made.bias.copy_(torch.tensor([0.1, 0.0, 3.0]))
    return made


def through(net: nn.Module, group: Group, x: Tensor) -> list[Tensor]:
    """Return what a layer gives for a rank's part of x, the gradients of a loss, and its buffers."""
    weights = torch.linspace(-1, 2, x.numel(), dtype=torch.float64).view_as(x)
    here = group.shard.of(slice(0, len(x)))
    mine = x[here].clone().requires_grad_()
    y = net(mine)
    (y.double().square() * weights[here]).sum().backward()  # type: ignore[no-untyped-call]
    assert mine.grad is not None
    return [
        y.detach(),
        mine.grad,
        *(group.total(p.grad) for p in net.parameters() if p.grad is not None),
        *net.buffers(),
    ]


def shared(group: Group, dtype: torch.dtype, offset: float) -> list[Tensor]:
    net = nn.Sequential(norm(dtype))
    share_statistics(net, group.size)
    assert isinstance(net[0], SharedBatchNorm2d)
    return through(net, group, values(dtype, offset))


@pytest.mark.parametrize(("dtype", "offset", "tolerance"), [(torch.float64, 0.0, 1e-12), (torch.float32, 1000.0, 1e-3)])
def test_statistics_and_gradients_are_those_of_the_whole_batch(
    pair: Pair, dtype: torch.dtype, offset: float, tolerance: float
) -> None:
    """Far from 0, where a difference of squares would have no digit left: 1000^2 / 2^24 is 0.06, the variance 1."""
    expected = through(norm(torch.float64), ALONE, values(dtype, offset).double())
    parts = pair.do(shared, dtype, offset)
    together = [torch.cat(pieces) for pieces in zip(*(part[:2] for part in parts), strict=True)]
    for found in ([*together, *parts[0][2:]], [*together, *parts[1][2:]]):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=tolerance)


def test_names_values_and_evaluation_stay() -> None:
    made = norm(torch.float32)
    made(values(torch.float32, 0.0))
    net = nn.Sequential(nn.Sequential(made), nn.ReLU())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = values(torch.float32, 1.0)
    net.eval()
    expected = net(x)
    share_statistics(net, 2)
    assert list(net.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(net(x), expected)


def bfloat16(group: Group) -> Tensor:
    net = nn.Sequential(norm(torch.float32))
    share_statistics(net, group.size)
    with torch.autocast("cpu", torch.bfloat16):
        y: Tensor = net(values(torch.bfloat16, 0.0)[group.shard.of(slice(0, 6))])
    return y.detach()


def test_in_bfloat16_sums_are_of_32_bits(pair: Pair) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        expected = norm(torch.float32)(values(torch.bfloat16, 0.0))
    found = torch.cat(pair.do(bfloat16))
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=2**-7)  # a unit in the last of 8 bits
