"""The work that is foretold of probes, beside what convolutions compute when they are made."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from study.config import PROBES, DatasetSpec, ProbeName, ProbePlan, Probes, Recipe, RunSpec
from study.data import Dataset, load_dataset
from study.events import Probed
from study.probe import Prober
from study.probe.prober import PRODUCTS
from study.probe.work import count_work
from study.train import CheckpointPlan, build_spec_net, run

DATA = DatasetSpec(name="digits", train_limit=120, test_limit=50)
MEASURED = Probes(steps=(0, 2, 40), images=60, points=5, noise=(0.0, 0.1), rates=(1.0, 0.1), continuation=0.5)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


def spec(net: str, **recipe: Any) -> RunSpec:
    name, _, depth = net.partition("-")
    fields = {"iterations": 8, "batch_size": 60, "lr": 0.05, "precision": "fp32"} | recipe
    architecture = {"plain": "plain", "resnet": "residual"}[name]
    return RunSpec(dataset=DATA, architecture=architecture, depth=int(depth), recipe=Recipe(**fields), seed=0)  # type: ignore[arg-type]


def plan(*names: ProbeName, targets: tuple[int, ...] = ()) -> ProbePlan:
    return ProbePlan(probes=MEASURED, names=names, targets=targets)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Yield the multiply-adds of all blocks' convolutions, one number for each pass forward."""
    done = list[int]()
    forward = nn.Conv2d.forward

    def pass_on(self: nn.Conv2d, x: Tensor) -> Tensor:
        y = forward(self, x)
        if self.in_channels > 3:  # the first layer is the same at every depth
            done.append(y.numel() * self.weight[0].numel())
        return y

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Conv2d, "forward", pass_on)
        yield done


def trained(one: RunSpec, digits: Dataset, path: Path, probe: Prober | None) -> tuple[int, list[Probed]]:
    """Train; return the multiply-adds of all ways forward, and what the probes found."""
    more: dict[str, Any] = {} if probe is None else {"probe": probe}
    with counted() as done:
        events = list(run(one, digits, torch.device("cpu"), CheckpointPlan(path), **more))
    return sum(done), [event for event in events if isinstance(event, Probed)]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("name", "net"),
    [(name, net) for name in PROBES for net in ("plain-14", "resnet-14")]
    + [("construction", "plain-8"), ("lesion", "plain-20"), ("lesion", "resnet-8")],
)
def test_the_work_is_what_is_done(name: ProbeName, net: str, digits: Dataset, tmp_path: Path) -> None:
    one = spec(net)
    asked = plan(name, targets=(20, 26) if net.startswith("plain") else ())
    without, _ = trained(one, digits, tmp_path / "without.pt", None)
    done, found = trained(one, digits, tmp_path / "with.pt", Prober(asked))
    with counted() as image:
        build_spec_net(one, 10, 1, torch.Generator())(torch.zeros(1, *digits.image_shape))
    foretold = count_work(asked, one, len(digits.train))
    product = foretold.product
    if name == "curvature":  # it may end sooner
        done_products = [int(event.tables["curvature"]["iterations"][0]) for event in found]  # type: ignore[call-overload]
        product *= sum(done_products) / (PRODUCTS * len(done_products))
    expected = foretold.forward + foretold.gradient + product + one.recipe.batch_size * foretold.steps
    assert (done - without) / sum(image) == pytest.approx(expected, rel=0.05)
