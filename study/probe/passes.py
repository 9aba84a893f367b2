"""Images that a probe goes through as often as it likes, while the run can still be stopped."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

from torch import Tensor

from study.train import heed

Batch = tuple[Tensor, Tensor]
"""Images (N, C, H, W) and labels (N,)."""


class Held(Sequence[Batch]):
    """Batches that are held; whether to stop is asked before each one, in every pass."""

    def __init__(self, batches: Iterable[Batch], stop: Callable[[], bool]) -> None:
        self._batches = list(batches)
        self._stop = stop

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> Batch: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Batch]: ...

    def __getitem__(self, index: int | slice) -> Batch | Sequence[Batch]:
        return self._batches[index]

    def __iter__(self) -> Iterator[Batch]:
        """Go through them.

        Raises:
            Stopped: `stop` said so.
        """
        for batch in self._batches:
            heed(self._stop)
            yield batch


class Passes:
    """Batches that are read anew for each pass, of a split that is too large to be held; else like `Held`."""

    def __init__(self, read: Callable[[], Iterable[Batch]], stop: Callable[[], bool]) -> None:
        self._read = read
        self._stop = stop

    def __iter__(self) -> Iterator[Batch]:
        """Go through them.

        Raises:
            Stopped: `stop` said so.
        """
        for batch in self._read():
            heed(self._stop)
            yield batch
