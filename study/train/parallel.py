"""The processes that train one run together, a GPU each: ranks, sums over ranks, and common decisions.

Every process (rank) holds the whole net, sees its part of each batch, and goes through the same steps. Gradients are
averaged as they are computed (Li et al. 2020, arXiv 2006.15704); decisions by a clock or a user are made by rank 0 for
all. With one process, no function here copies or waits.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from study.data import Shard

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""Timeout between ranks: practically infinite, since the process that started them checks that they are alive."""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
"""The machine's loopback network."""


@dataclass(frozen=True)
class Group:
    """The processes of a run, seen from one of them. All ranks must call the same methods in the same order."""

    rank: int = 0
    """Number of this process, from 0; only rank 0 writes files and reports events."""
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def shard(self) -> Shard:
        """The part of every batch that this process sees."""
        return Shard(self.rank, self.size)

    def wrap(self, net: nn.Module) -> nn.Module:
        """Return the module to call in training: the net, or a wrapper that averages its gradients over the ranks.

        Running statistics are separate for each rank until `align`.
        """
        if self.alone:
            return net
        averaged = nn.parallel.DistributedDataParallel
        # The same setting by two names: PyTorch 2.14 warns of the older one, and PyTorch 2.11 lacks the newer.
        names = ("forward_sync_buffers", "broadcast_buffers")
        name = next(name for name in names if name in signature(averaged).parameters)
        options: dict[str, Any] = {name: False}
        return averaged(net, **options)

    def align(self, net: nn.Module) -> None:
        """Give all ranks the running statistics of rank 0, which are used to score and save the net."""
        if not self.alone:
            for buffer in net.buffers():
                dist.broadcast(buffer, 0)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over the ranks, the same bits on all."""
        if self.alone:
            return value
        value = value.clone()
        dist.all_reduce(value)
        return value

    def each(self, value: Tensor) -> Tensor:
        """Return the values of a scalar on all ranks, (ranks,) in their order; with one rank, the scalar itself."""
        if self.alone:
            return value
        values = value.new_zeros(self.size)
        values[self.rank] = value
        dist.all_reduce(values)  # the others add 0 to each
        return values

    def own(self, values: Tensor) -> Tensor:
        """Return this rank's scalar from the result of `each`."""
        return values if self.alone else values[self.rank].clone()

    def agree(self, ask: Callable[[], bool]) -> bool:
        """Return what `ask` returns on rank 0; the other ranks don't call it."""
        if self.alone:
            return ask()
        answer = torch.tensor(self.rank == 0 and ask())  # on the CPU, where nothing waits for a GPU
        dist.broadcast(answer, 0)
        return bool(answer)

    def first(self, do: Callable[[], T]) -> T:
        """Call `do` on rank 0 first, and after its return on the other ranks."""
        if self.rank > 0:
            self.agree(bool)
        result = do()
        if self.rank == 0:
            self.agree(bool)
        return result


ALONE = Group()


@contextmanager
def joined(meeting: Path, rank: int, size: int, device: torch.device) -> Iterator[Group]:
    """Join the `size` processes of a run, each with its own device, for the duration of this context.

    They meet at a file, which must be new. NCCL sums values on GPUs, gloo values on the CPU.

    Raises:
        RuntimeError: another rank is gone; in the context, any method of the group may raise it.
    """
    if sys.platform in LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])  # else it listens to the whole network
    backend = "cpu:gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend += ",cuda:nccl"
    where = f"file://{meeting.absolute()}"
    dist.init_process_group(backend, init_method=where, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Group(rank, size)
    finally:
        dist.destroy_process_group()
