"""Put a data set on the device, or stream the images that don't fit there: a thread reads ahead.

Legend: B images of a batch, C channels, H height, W width.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from study.data.dataset import Dataset, Split

AHEAD = 4
"""Number of batches read ahead while the device computes."""
MAX_MEMORY = 0.5
"""Maximal part of a GPU's free memory for the images of all its workers: the rest is for nets and activations."""

Index = Tensor | slice
"""Which images of a split a batch holds: positions (B,) int64 on the split's device, or a slice."""


def place(dataset: Dataset, device: torch.device | str, per_card: int = 1) -> Dataset:
    """Return the data set on `device`, or as it is if its images would take more than half of a GPU's free memory.

    Each of the `per_card` workers on the GPU may take an equal part of it, since all may see the same memory free.
    Batches of images that stay where they are, which may be a file mapped into memory, are streamed.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # memory that PyTorch caches of an earlier data set is free too
        free, _ = torch.cuda.mem_get_info(device)
        if per_card * sum(split.nbytes for split in dataset.splits().values()) > MAX_MEMORY * free:
            return dataset
    return dataset.to(device)


def batch_images(split: Split, indices: Iterable[Index], device: torch.device) -> Iterator[Tensor]:
    """Yield the images (B, C, H, W) uint8 at each of `indices`, in order, on `device`.

    If the split is on the device, batches are read when needed, else ahead, in a thread that ends with the iterator.
    """
    if on_device(split, device):
        return (_read(split, index) for index in indices)
    return _streamed(split, indices, device)


def on_device(split: Split, device: torch.device) -> bool:
    """Whether the split's images are on `device`; any GPU counts for a `device` without a number."""
    split_device = split.pixels.device
    return split_device.type == device.type and device.index in (None, split_device.index)


def _streamed(split: Split, indices: Iterable[Index], device: torch.device) -> Iterator[Tensor]:
    """Read batches ahead; raise a read error when its batch is needed."""
    rest = iter(indices)
    pin = device.type == "cuda" and split.pixels.device.type == "cpu"
    pool = ThreadPoolExecutor(1, thread_name_prefix="images")  # its thread always ends with this process
    try:
        reading = deque(pool.submit(_fetch, split, index, pin) for index in islice(rest, AHEAD))
        while reading:
            images = reading.popleft().result()
            reading.extend(pool.submit(_fetch, split, index, pin) for index in islice(rest, 1))
            # The copy is queued on the device without a wait: PyTorch keeps pinned memory until it is done.
            yield images.to(device, non_blocking=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(split: Split, index: Index, pin: bool) -> Tensor:
    images = _read(split, index)
    return images.pin_memory() if pin else images


def _read(split: Split, index: Index) -> Tensor:
    return split.part(index) if isinstance(index, slice) else split.gather(index)
