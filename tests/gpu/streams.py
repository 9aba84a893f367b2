"""Streams of the pretended GPU: which of them has written what, and what of that another may read.

A stream sees its own work, and of another's only what the host has waited for. PyTorch has 32 of them beside the
default one and hands them out in turn. Work done in C++ alone, as that of a backward pass, is seen as far as it writes.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from tests.gpu.recorder import WAITS

DEFAULT, POOL = 0, 32
"""Number of the default stream; number of the others."""


class Clock:
    """What each stream has done and what of it the host has seen, in operations."""

    def __init__(self) -> None:
        self.current = DEFAULT
        self.races: list[str] = []
        """Where a stream has used what another may still write."""
        self._given = 0
        self._now = 0
        self._seen: Counter[int] = Counter()
        """By stream: the last operation that the host knows to have ended."""
        self._written: dict[int, tuple[int, int]] = {}
        """By address: the stream that wrote there last, and its operation."""

    def draw(self) -> int:
        """Return the number of the pool's next stream, whoever has it."""
        self._given += 1
        return 1 + self._given % POOL

    @property
    def now(self) -> int:
        return self._now

    def wait(self, *streams: int, until: int | None = None) -> None:
        """Let the host wait for the work of streams so far, or up to an operation."""
        for stream in streams:
            self._seen[stream] = max(self._seen[stream], self._now if until is None else until)

    def read(self, tensor: Tensor, what: str) -> None:
        """Note that the current stream uses a tensor of the GPU."""
        stream, when = self._written.get(tensor.untyped_storage().data_ptr(), (self.current, 0))
        if stream != self.current and when > self._seen[stream]:
            self.races.append(f"{what} of {tuple(tensor.shape)}: stream {self.current} can't know of {stream}'s work")

    def write(self, tensors: list[Tensor]) -> None:
        """Note that an operation of the current stream has written tensors."""
        self._now += 1
        for tensor in tensors:
            self._written[tensor.untyped_storage().data_ptr()] = self.current, self._now


class PretendedStream:
    """A stream, or with `until` an event there: what was asked of it is done, but to wait for it is to wait."""

    def __init__(self, clock: Clock, wait: Callable[[str], None], number: int, until: int | None = None) -> None:
        self._clock, self._wait, self._number, self._until = clock, wait, number, until

    @property
    def is_default(self) -> bool:
        return self._number == DEFAULT

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PretendedStream) and self._number == other._number

    def __hash__(self) -> int:
        return self._number

    def record_event(self) -> "PretendedStream":
        return PretendedStream(self._clock, self._wait, self._number, self._clock.now)

    def synchronize(self) -> None:
        self._wait("synchronize")
        self._clock.wait(self._number, until=self._until)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make it the current one."""
        before, self._clock.current = self._clock.current, self._number
        try:
            yield
        finally:
            self._clock.current = before


class Beneath(TorchDispatchMode):
    """Sees the operations of C++ too: which memory they use, and those in which the host waits."""

    def __init__(self, clock: Clock, on_gpu: Callable[[object], bool], wait: Callable[[str], None]) -> None:
        super().__init__()
        self._clock, self._on_gpu, self._wait = clock, on_gpu, wait

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        here = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor) and self._on_gpu(x)]
        for tensor in here:
            self._clock.read(tensor, name)
        out = func(*args, **(kwargs or {}))
        written = [x for x in tree_iter(out) if isinstance(x, Tensor)]
        if not any(result.alias_info is not None and not result.alias_info.is_write for result in func._schema.returns):
            self._clock.write([*written, *_changed(func, args, kwargs or {})])  # not a view
        if here and name in WAITS:
            self._wait(name)
            self._clock.wait(self._clock.current)
        return out


def _changed(func: Any, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """Return the tensors among an operation's arguments that it writes."""
    values = [*zip(func._schema.arguments, args, strict=False)]
    values += [(x, kwargs[x.name]) for x in func._schema.arguments if x.name in kwargs]
    statistics = "batch_norm" in func.overloadpacket.__name__  # which it doesn't say that it writes
    changed = [value for x, value in values if statistics or (x.alias_info is not None and x.alias_info.is_write)]
    return [x for x in tree_iter(changed) if isinstance(x, Tensor)]
