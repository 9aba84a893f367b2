"""The most multiply-adds a second that a device does: what a net's rate is measured against."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor

from study.train import arithmetic

PRODUCTS = {"cpu": (1024, 2048), "cuda": (4096, 8192, 16384)}
"""Sides of square matrices."""
CONVOLUTIONS = {
    "cpu": ((32, 64, 32), (32, 256, 16)),
    "cuda": ((256, 64, 64), (256, 256, 32), (256, 512, 16)),
}
"""Images, channels and side of the maps of 3x3 convolutions."""


def peak_rate(device: torch.device, precision: str, threads: int) -> float:
    """Return multiply-adds a second of the fastest of several large matrix products and 3x3 convolutions.

    `precision` is `bf16`, `fp32` without rounding to TF32, or `tf32`: 32-bit floats as PyTorch multiplies them
    on a GPU by default.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    exact = nullcontext() if precision == "tf32" else arithmetic(device, deterministic=False)
    with exact, torch.no_grad():
        rates = [_product(device, kind, side) for side in PRODUCTS[device.type]]
        rates += [_convolution(device, kind, *shape) for shape in CONVOLUTIONS[device.type]]
    torch.set_num_threads(before)
    return max(rates)


def _product(device: torch.device, kind: torch.dtype, side: int) -> float:
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    return float(side**3 / _fastest(partial(torch.matmul, a, b)))


def _convolution(device: torch.device, kind: torch.dtype, images: int, channels: int, side: int) -> float:
    x = torch.randn(images, channels, side, side, device=device, dtype=kind)  # (N, C, H, W)
    conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device, dtype=kind)
    call = partial(conv.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last))
    return 9 * channels * x.numel() / _fastest(call)


def _fastest(call: Callable[[], Tensor]) -> float:
    """Return the least seconds of some calls, each waited for."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call().flatten()[0].item()  # sync point
        times.append(time.perf_counter() - start)
    return min(times)
