"""Number formats: which one a recipe means on this device, and how it is switched on."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def resolve_precision(precision: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """Return the format used: auto is bfloat16 on a GPU that computes in it, and 32-bit floats elsewhere."""
    if precision != "auto":
        return precision
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which forward passes run: convolutions in bfloat16, or nothing changed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
