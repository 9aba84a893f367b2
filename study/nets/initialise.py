"""First weights: He's, the same for a plain net and its residual twin, and other initialisations."""

import math

import torch
from torch import Tensor, nn

from study.nets.activations import gain_of
from study.nets.design import PAPER, Design, Initialisation

DIRAC_PART = 0.1
"""Factor of the noise beside an identity (Zagoruyko and Komodakis 2017, arXiv 1706.00388, section 3.1)."""


def allocate(net: nn.Module, device: torch.device) -> None:
    """Move a net, also from meta, to a device without initialising its memory.

    Does what `nn.Module.to_empty` does, without loading PyTorch's compiler.
    """
    empty = {name: torch.empty(old.shape, dtype=old.dtype, device=device) for name, old in net.state_dict().items()}
    net.load_state_dict(empty, assign=True)


def initialise(net: nn.Module, generator: torch.Generator | None = None, design: Design = PAPER) -> None:
    """Draw all weights again, in place: biases 0, batch norm weight 1 and bias 0, and parameters of blocks.

    Projections on shortcuts (modules under `downsample`) are drawn last, so that the other layers get the same values
    with and without them.
    """
    for name, module in sorted(net.named_modules(), key=lambda named: _is_projection(named[0])):  # a stable sort
        if isinstance(module, nn.Conv2d | nn.Linear):
            in_branch = name.startswith("layer") and not _is_projection(name)
            kind = design.initialisation if design.initialisation != "dirac" or in_branch else "he"
            draw(module.weight, kind, gain_of(design.activation), generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    for module in net.modules():
        set_first_values = getattr(module, "set_first_values", None)
        if set_first_values is not None:
            set_first_values()


def _is_projection(name: str) -> bool:
    return "downsample" in name.split(".")


@torch.no_grad()
def draw(weight: Tensor, kind: Initialisation, gain: float, generator: torch.Generator | None = None) -> None:
    """Draw a weight (C_out, C_in, k, k) or (C_out, C_in) in place.

    - he: N(0, gain^2 / fan_in) (He et al. 2015, arXiv 1502.01852, equation 10).
    - xavier: N(0, 1 / mean of fan_in and fan_out) (Glorot and Bengio 2010, equation 12).
    - orthogonal: filters, as rows, or their transpose, orthonormal, times the gain (Saxe et al. 2014, arXiv 1312.6120).
    - delta-orthogonal: zero but for the kernel's centre, which is orthogonal (Xiao et al. 2018, arXiv 1806.05393,
      algorithm 2), times the gain, and times sqrt(C_out / C_in) where that is above 1, so that a layer of more channels
      keeps their mean square too (Martens et al. 2021, arXiv 2110.01765, section 10).
    - dirac: the identity, plus a tenth of noise of norm 1 for each filter, for layers in blocks; He's for others.
    """
    if kind == "he":
        fan_in = weight[0].numel()
        weight.normal_(0, gain / math.sqrt(fan_in), generator=generator)
    elif kind == "xavier":
        nn.init.xavier_normal_(weight, generator=generator)
    elif kind == "orthogonal":
        nn.init.orthogonal_(weight, gain, generator=generator)
    elif kind == "delta-orthogonal":
        _centre(weight).copy_(_orthogonal(weight.shape[0], weight.shape[1], gain, generator))
    else:
        noise = torch.empty_like(weight).normal_(0, 1, generator=generator)
        noise = noise.flatten(1) / noise.flatten(1).norm(dim=1, keepdim=True)
        _centre(weight).copy_(torch.eye(*weight.shape[:2]))
        weight += DIRAC_PART * noise.view_as(weight)


def _centre(weight: Tensor) -> Tensor:
    """Set a weight to zero and return the centre of its kernel (C_out, C_in)."""
    weight.zero_()
    return weight if weight.ndim == 2 else weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2]


def _orthogonal(rows: int, columns: int, gain: float, generator: torch.Generator | None) -> Tensor:
    return nn.init.orthogonal_(
        torch.empty(rows, columns), gain * math.sqrt(max(1.0, rows / columns)), generator=generator
    )
