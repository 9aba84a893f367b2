"""Number formats: which one a recipe means on this device, and how it is switched on."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def resolve_precision(precision: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """Return the format used: auto is bfloat16 where the hardware multiplies in it, and 32-bit floats elsewhere."""
    if precision != "auto":
        return precision
    return "bf16" if _multiplies_bf16(device) else "fp32"


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bfloat16; where it emulates them, they are slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())  # a processor with AMX has it too


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which forward passes run: convolutions in bfloat16, or nothing changed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
