import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from study.errors import StudyError
from study.probe.curvature import measure_effective_ranks, measure_sharpness


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def whole_hessian(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(P, P), entry by entry."""
    names = [name for name, _ in net.named_parameters()]
    shapes = [parameter.shape for parameter in net.parameters()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = torch.split(flat, [math.prod(shape) for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return F.cross_entropy(functional_call(net, weights, (images,)), labels)

    flat = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    return torch.autograd.functional.hessian(loss, flat)


@pytest.fixture
def tiny() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=4, bias=False),
        nn.BatchNorm2d(2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    for parameter in net.parameters():
        nn.init.normal_(parameter, generator=generator())
    return net.double()


@pytest.mark.parametrize("training", [False, True])
def test_the_eigenvalue_is_that_of_the_whole_hessian(tiny, batches, untouched, training):
    images, labels = batches[0][0].double(), batches[0][1]
    with untouched(tiny):
        found = measure_sharpness(
            tiny, [(images, labels)], generator(), training=training, tolerance=1e-4, max_products=3000
        )
    own = copy.deepcopy(tiny).train(training)
    own[1].track_running_stats = training is False
    if training:
        own[1].running_mean = own[1].running_var = None
    values = torch.linalg.eigvalsh(whole_hessian(own, images, labels))
    assert found.converged
    assert found.eigenvalue == pytest.approx(float(values[-1]), rel=1e-5)
    assert found.residual <= 1e-4 * found.eigenvalue


def test_batches_add_up(tiny, batches):
    wide = [(images.double(), labels) for images, labels in batches]
    parts = measure_sharpness(tiny, wide, generator(), tolerance=1e-4, max_products=3000)
    images, labels = (torch.cat(part) for part in zip(*wide, strict=True))
    whole = measure_sharpness(tiny, [(images, labels)], generator(), tolerance=1e-4, max_products=3000)
    assert parts.eigenvalue == pytest.approx(whole.eigenvalue, rel=1e-6)


class Bowl(nn.Module):
    """Two logits, x'(D x) and 0 of its weights x: near x = 0 the loss is ln 2 - x'Dx / 2 for label 0."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(len(values), dtype=torch.float64))
        self.values = torch.tensor(values, dtype=torch.float64)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logit = -(self.values * self.x**2).sum()
        return torch.stack([logit, 0 * logit]).expand(len(images), 2)


@pytest.mark.parametrize(
    ("values", "largest"), [([3.0, 1.0, -2.0], 3.0), ([1.0, 0.5, -4.0], 1.0), ([-1.0, -2.0, -5.0], -1.0)]
)
def test_the_largest_is_found_where_another_is_larger_in_magnitude(values, largest):
    batch = [(torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.int64))]
    found = measure_sharpness(Bowl(values), batch, generator(), tolerance=1e-6)
    assert found.converged
    assert found.eigenvalue == pytest.approx(largest)


def test_what_hasnt_converged_says_so(trained, batches, untouched):
    net = trained("plain-8")
    with untouched(net):
        short = measure_sharpness(net, batches[:1], generator(), tolerance=1e-9, max_products=3)
        found = measure_sharpness(net, batches[:1], generator())
        again = measure_sharpness(net, batches[:1], generator(1))
    assert (short.converged, short.iterations) == (False, 3)
    assert found.converged
    assert found.eigenvalue > 0
    assert again.eigenvalue == pytest.approx(found.eigenvalue, rel=0.02)  # from another start


class Staged(nn.Module):
    """A net whose one stage mixes the first two channels of its images into four."""

    def __init__(self, mixing: list[list[float]]) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(2, 4, 1))
        with torch.no_grad():
            self.layer1[0].weight.copy_(torch.tensor(mixing)[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer1(x)


@pytest.mark.parametrize(
    ("mixing", "rank"),
    [
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], 2.0),  # two alike, two dead
        ([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], 1.0),  # all on a line
        ([[0.0, 0.0]] * 4, 0.0),
        ([[3.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
    ],
)
def test_the_rank_is_that_of_the_singular_values(mixing, rank):
    images = torch.randn(20_000, 2, 1, 2, generator=generator())
    (row,) = measure_effective_ranks(Staged(mixing), [(part, torch.zeros(len(part))) for part in images.chunk(3)])
    assert row.rank == pytest.approx(rank, abs=0.01)
    assert (row.stage, row.channels, row.share) == (1, 4, row.rank / 4)


@pytest.mark.parametrize("name", ["plain-14", "resnet-14"])
def test_the_ranks_of_a_trained_net(trained, batches, untouched, name):
    net = trained(name)
    with untouched(net):
        rows = measure_effective_ranks(net, batches)
    assert [(row.stage, row.channels) for row in rows] == [(1, 16), (2, 32), (3, 64)]
    features = []
    hook = net.layer3.register_forward_hook(lambda _module, _inputs, y: features.append(y.permute(0, 2, 3, 1)))
    with torch.no_grad():
        net(torch.cat([images for images, _ in batches]))
    hook.remove()
    matrix = features[0].flatten(0, 2).double()
    sigma = torch.linalg.svdvals(matrix - matrix.mean(0))
    p = sigma / sigma.sum()
    assert rows[2].rank == pytest.approx(float(torch.exp(-torch.special.xlogy(p, p).sum())), rel=1e-3)


def test_a_net_without_stages_is_refused(batches):
    with pytest.raises(StudyError, match="stages"):
        measure_effective_ranks(nn.Linear(2, 2), batches)
