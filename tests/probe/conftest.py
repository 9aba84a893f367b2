"""What the tests of probes share: real digits, nets trained on them, and proof that a net is as it was."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.config import DatasetSpec
from study.data import Normalizer, TrainBatches, evaluation_batches, load_dataset
from study.nets import build_net

Batches = list[tuple[Tensor, Tensor]]
DIGITS = DatasetSpec(name="digits", train_limit=384, test_limit=50, validation=0)


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread(one_thread: None) -> None:
    """Compute so in all of them."""


@pytest.fixture(scope="session")
def batches() -> Batches:
    """384 clean digits (N, 1, 8, 8) with their labels, 128 at a time."""
    train = load_dataset(DIGITS).train
    return list(evaluation_batches(train, Normalizer.fit(train, "pixel-mean"), augment="none", batch_size=128))


@pytest.fixture(scope="session")
def digit_net() -> Callable[..., nn.Module]:
    """Return nets for digits by name and seed."""

    def build(name: str, *, seed: int = 0, **options: object) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        return build_net(name, 10, in_channels=1, generator=generator, **options)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def trained(digit_net: Callable[..., nn.Module]) -> Callable[[str], nn.Module]:
    """Return nets trained for a few epochs on 384 digits, each trained once and not to be changed."""
    done: dict[str, nn.Module] = {}
    train = load_dataset(DIGITS).train
    normalizer = Normalizer.fit(train, "pixel-mean")

    def get(name: str) -> nn.Module:
        if name not in done:
            net = digit_net(name).train()
            optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
            feed = TrainBatches(train, normalizer, batch_size=64, augment="none", seed=0)
            for step in range(36):
                images, labels = feed.batch(step)
                optimizer.zero_grad()
                F.cross_entropy(net(images), labels).backward()
                optimizer.step()
            optimizer.zero_grad()
            done[name] = net.eval()
        return done[name]

    return get


@pytest.fixture(scope="session")
def untouched() -> Callable[[nn.Module], AbstractContextManager[None]]:
    """Return a context that fails where a net, its mode, its gradients or PyTorch's generator isn't as it was."""

    @contextmanager
    def check(net: nn.Module) -> Iterator[None]:
        before = copy.deepcopy(net.state_dict())
        modes = [module.training for module in net.modules()]
        hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules()]
        modules = [id(module) for module in net.modules()]
        needs = [parameter.requires_grad for parameter in net.parameters()]
        state = torch.random.get_rng_state()
        yield
        after = net.state_dict()
        assert list(before) == list(after)
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert [module.training for module in net.modules()] == modes
        assert [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules()] == hooks
        assert [id(module) for module in net.modules()] == modules
        assert [parameter.requires_grad for parameter in net.parameters()] == needs
        assert all(parameter.grad is None for parameter in net.parameters())
        assert torch.equal(torch.random.get_rng_state(), state)

    return check
