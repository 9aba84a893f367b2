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
"""Batches that are ready or being read while the device computes."""
PART = 0.5
"""The most of a GPU's free memory that images may take: the rest is for nets, activations and other runs."""

Where = Tensor | slice
"""Which images of a split a batch holds: positions (B,) int64 on the split's device, or a slice."""


def place(dataset: Dataset, device: torch.device | str) -> Dataset:
    """Return the data set on `device`, or as it is where its images would take more than half of a GPU's free memory.

    Batches of images that stay where they are, which may be a file mapped into memory, are streamed.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what PyTorch keeps of an earlier data set is free too
        free, _ = torch.cuda.mem_get_info(device)
        if sum(split.nbytes for split in dataset.splits().values()) > PART * free:
            return dataset
    return dataset.to(device)


def batch_images(split: Split, wheres: Iterable[Where], device: torch.device) -> Iterator[Tensor]:
    """Yield the images (B, C, H, W) uint8 at each of `wheres`, in order, on `device`.

    Reads when asked where the split lies on the device, else ahead, in a thread that ends with the iterator.
    """
    if on_device(split, device):
        return (_read(split, where) for where in wheres)
    return _streamed(split, wheres, device)


def on_device(split: Split, device: torch.device) -> bool:
    """Whether the split's images lie on `device`; any GPU counts for a `device` without a number."""
    here = split.pixels.device
    return here.type == device.type and device.index in (None, here.index)


def _streamed(split: Split, wheres: Iterable[Where], device: torch.device) -> Iterator[Tensor]:
    """Read a few batches ahead; an error while reading is raised where its batch is asked for."""
    rest = iter(wheres)
    pin = device.type == "cuda" and split.pixels.device.type == "cpu"
    pool = ThreadPoolExecutor(1, thread_name_prefix="images")  # its thread ends with this process, come what may
    try:
        reading = deque(pool.submit(_fetch, split, where, pin) for where in islice(rest, AHEAD))
        while reading:
            images = reading.popleft().result()
            reading.extend(pool.submit(_fetch, split, where, pin) for where in islice(rest, 1))
            # The copy takes its turn on the device and nobody waits for it: PyTorch keeps pinned memory until then.
            yield images.to(device, non_blocking=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(split: Split, where: Where, pin: bool) -> Tensor:
    images = _read(split, where)
    return images.pin_memory() if pin else images


def _read(split: Split, where: Where) -> Tensor:
    return split.part(where) if isinstance(where, slice) else split.gather(where)
