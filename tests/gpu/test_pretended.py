"""What the pretended GPU notices, and what it lets pass."""

import copy
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.gpu.pretended import GPU, DeviceMismatch, pretended_gpu
from tests.gpu.sync import never_waited_for

HERE = torch.arange(4.0)

WAITS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "item": (lambda x: x.sum().item(), "item"),
    "float": (lambda x: float(x[0]), "__float__"),
    "if": (lambda x: 1 if x.any() else 0, "__bool__"),
    "range": (lambda x: range(x.long()[0]), "__index__"),
    "in": (lambda x: 2.0 in x, "__contains__"),
    "f-string": (lambda x: f"{x[0]:.1f}", "__format__"),
    "tolist": (lambda x: x.tolist(), "tolist"),
    "cpu": (lambda x: x.cpu(), "copied to the host"),
    "to the host": (lambda x: x.to("cpu", non_blocking=True), "copied to the host"),
    "into the host": (lambda x: torch.empty(4).copy_(x), "copied to the host"),
    "assigned to the host": (lambda x: torch.empty(4).__setitem__(0, x[0]), "copied to the host"),
    "from the host": (lambda x: HERE.to(x.device), "copied from the host"),
    "from pinned memory": (lambda x: HERE.pin_memory().to(x.device), "copied from the host"),
    "from memory that isn't pinned": (lambda x: HERE.to(x.device, non_blocking=True), "copied from the host"),
    "to that of another": (lambda x: HERE.to(x), "copied from the host"),
    "into": (lambda x: x.copy_(HERE), "copied from the host"),
    "assigned": (lambda x: x.__setitem__(slice(None), HERE), "copied from the host"),
    "tensor": (lambda x: torch.tensor(1.0, device=x.device), "made on the host"),
    "new_tensor": (lambda x: x.new_tensor([1.0]), "new_tensor"),
    "mask": (lambda x: x[x > 1], "indexed by a mask"),
    "assigned by a mask": (lambda x: x.__setitem__(x > 1, 0.0), "indexed by a mask"),
    "a list": (lambda x: x[[0, 1]], "indexed from the host"),
    "an array": (lambda x: x[np.array([0, 1])], "indexed from the host"),
    "an index of the host": (lambda x: x[torch.tensor([0, 1])], "indexed from the host"),
    "a number": (lambda x: x[x.argmax()], "indexed by a number"),
    "a bound": (lambda x: x[: x.argmax()], "indexed by a number"),
    "nonzero": (lambda x: x.nonzero(), "nonzero"),
    "where": (lambda x: torch.where(x > 1), "where"),
    "one_hot": (lambda x: F.one_hot(x.long()), "one_hot"),
    "unique": (lambda x: x.unique(), "unique"),
    "a factor": (lambda x: x.add(x, alpha=x[1]), "_local_scalar_dense"),
    "a fill value": (lambda x: torch.full((2,), x[1], device=GPU), "_local_scalar_dense"),
    "synchronize": (lambda x: torch.cuda.synchronize(), "synchronize"),
}
FREE: dict[str, Callable[[Tensor], Any]] = {
    "arithmetic": lambda x: (x * 2 + torch.tensor(3.0)).softmax(0).argmax(),
    "made there": lambda x: [torch.zeros((), device=GPU), torch.arange(3, device="cuda"), torch.empty_like(x)],
    "selected": lambda x: [x[0], x[1:3], x[x.long()], x[None, ..., 0], x.index_select(0, x.long())],
    "where of three": lambda x: torch.where(x > 1, x, 0.0),
    "one_hot of a known size": lambda x: F.one_hot(x.long(), 4),
    "from pinned memory": lambda x: HERE.pin_memory().to(x.device, non_blocking=True),
    "into, from pinned memory": lambda x: x.copy_(HERE.pin_memory(), non_blocking=True),
    "a part of what is pinned": lambda x: HERE.pin_memory()[:2].to(x.device, non_blocking=True),
    "made pinned": lambda x: torch.empty(4, pin_memory=True).to(x.device, non_blocking=True),
    "assigned": lambda x: x.__setitem__(0, 1.0),
    "the host's own": lambda x: [HERE.sum().item(), HERE[HERE > 1].tolist()],
}
REFUSED: dict[str, Callable[[Tensor], Any]] = {
    "added": lambda x: x + HERE,
    "added to a number": lambda x: torch.tensor(0.0).add_(x.sum()),
    "counted by a number": lambda x: operator.iadd(torch.tensor(0.0), x.sum()),
    "stacked": lambda x: torch.stack([x, HERE]),
    "selected": lambda x: x.index_select(0, torch.tensor([0])),
    "indexed": lambda x: HERE[x.long()],
    "a layer": lambda x: F.linear(x, torch.ones(2, 4)),
    "numpy": lambda x: x.numpy(),
    "an array": lambda x: np.asarray(x),
    "a generator of the host": lambda x: torch.randn(3, device=x.device, generator=torch.Generator()),
    "dropped by a generator of the host": lambda x: x.bernoulli(0.5, generator=torch.Generator()),
    "pinned": lambda x: x.pin_memory(),
}


@pytest.mark.parametrize("what", WAITS)
def test_a_wait_is_counted(what: str) -> None:
    use, kind = WAITS[what]
    with pretended_gpu() as gpu:
        x = torch.arange(4.0, device="cuda")
        assert not gpu.waits
        use(x)
        assert gpu.waits == {kind: 1}


@pytest.mark.parametrize("what", FREE)
def test_what_a_gpu_does_by_itself_is_none(what: str) -> None:
    with pretended_gpu() as gpu:
        FREE[what](torch.arange(4.0, device="cuda"))
        assert not gpu.waits


@pytest.mark.parametrize("what", REFUSED)
def test_two_devices_are_refused(what: str) -> None:
    with pretended_gpu():
        x = torch.arange(4.0, device="cuda")
        with pytest.raises(DeviceMismatch):
            REFUSED[what](x)


def test_nets_and_their_copies_lie_there() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    with pretended_gpu() as gpu:
        net.to(GPU, memory_format=torch.channels_last)
        both = net, copy.deepcopy(net)
        gpu.waits.clear()
        for one in both:
            loss = one(torch.zeros(2, 3, 4, 4, device=GPU)).square().sum()
            loss.backward()
            tensors = [loss, *one.parameters(), *one.buffers(), *(weight.grad for weight in one.parameters())]
            assert all(tensor.device == GPU and tensor.is_cuda for tensor in tensors)
            torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9, fused=True).step()
        assert not gpu.waits
        with pytest.raises(DeviceMismatch):
            net(torch.zeros(2, 3, 4, 4))


def test_it_ends_with_its_block() -> None:
    before = torch.load, torch.save, torch.autocast, Tensor.pin_memory, torch.cuda.synchronize
    with pretended_gpu():
        x = torch.arange(4.0, device="cuda")
    assert (torch.load, torch.save, torch.autocast, Tensor.pin_memory, torch.cuda.synchronize) == before
    with pytest.raises(DeviceMismatch, match="outside"):
        x + 1


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="a PyTorch without CUDA has no such mode")
@pytest.mark.parametrize("fault", [None, RuntimeError("waited")])
def test_the_mode_of_a_real_one_ends_with_its_block(fault: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # PyTorch's warning is an error in these tests, and comes once
    try:
        with suppress(RuntimeError), never_waited_for():
            assert torch.cuda.get_sync_debug_mode() == 2
            if fault is not None:
                raise fault
        assert torch.cuda.get_sync_debug_mode() == 0
    finally:
        torch.set_warn_always(always)
