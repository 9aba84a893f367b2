"""A CUDA graph made of the operations that Python calls: what it does with their tensors, a real one does with memory.

What Python decides while a body is recorded stays decided: a number is a constant, and a tensor keeps its place. So
where a body reads the host's state, or tensors are replaced later, replays give other bits than calls of it would.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode
from torch.utils._pytree import tree_iter, tree_map

WAITS = frozenset(
    "_local_scalar_dense equal nonzero masked_select _unique unique_dim unique_consecutive _unique2 bincount".split()
)
"""Operations whose values the host needs."""


class Recorder:
    """Stands in for `CudaGraph`: records the operations of a body, and does them again on the same tensors."""

    def __init__(self) -> None:
        self._recording = _Recording(self.is_of_host)

    def is_of_host(self, x: Tensor) -> bool:
        """Whether a tensor that isn't the body's own is the host's: of that, a graph holds the number."""
        return False

    def capture(self, body: Callable[[], None], stream: object) -> None:
        """Record the body's operations; afterwards nothing has happened yet."""
        if getattr(stream, "is_default", False):
            raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
        try:
            with self._recording:
                body()
        finally:
            self._recording.undo()

    def replay(self) -> None:
        """Do the recorded operations."""
        assert self._recording.operations, "replayed before it was captured"
        with torch.no_grad(), torch._C.DisableTorchFunction():
            for operation, args, kwargs, out in self._recording.operations:
                again = operation(*args, **kwargs)
                for old, new in zip(_tensors(out), _tensors(again), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class _Recording(TorchDispatchMode):
    """Notes each operation, and what memory held before the first one that may have written there."""

    def __init__(self, is_of_host: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self._is_of_host = is_of_host
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        """By address: all that isn't the recording's own, and a copy."""
        self._own: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ in WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        with _disable_current_modes():  # nothing that a graph does
            for storage in map(Tensor.untyped_storage, _tensors((args, kwargs))):
                if storage.data_ptr() not in self._own | self._before.keys():
                    self._before[storage.data_ptr()] = storage, storage.clone()
        out = func(*args, **kwargs)
        addresses = {tensor.untyped_storage().data_ptr() for tensor in _tensors(out)}
        self._own |= addresses - self._before.keys()  # never given away again: `operations` holds them
        self.operations.append((func, *tree_map(self._as_constant, (args, kwargs)), out))
        return out

    def _as_constant(self, x: Any) -> Any:
        number = isinstance(x, Tensor) and x.ndim == 0 and x.untyped_storage().data_ptr() not in self._own
        return x.clone() if number and self._is_of_host(x) else x

    def undo(self) -> None:
        """Put everything back."""
        with _disable_current_modes():
            for storage, copy in self._before.values():
                storage.copy_(copy)
        self._before.clear()


def is_recording() -> bool:
    """Whether a body is being recorded."""
    return isinstance(_get_current_dispatch_mode(), _Recording)


def _tensors(values: Any) -> list[Tensor]:
    return [x for x in tree_iter(values) if isinstance(x, Tensor)]
