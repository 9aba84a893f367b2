"""He initialisation, the same for a plain net and its residual twin."""

import torch
from torch import nn


def he_initialise(net: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw all weights anew, in place: N(0, 2 / fan_in), biases 0, batch norm weight 1 and bias 0.

    He et al. 2015, "Delving Deep into Rectifiers" (arXiv 1502.01852), equation 10. Projections on shortcuts
    (modules under `downsample`) are drawn last, so that the other layers get the same values with and without them.
    """
    modules = list(net.named_modules())
    shared = [module for name, module in modules if "downsample" not in name.split(".")]
    projections = [module for name, module in modules if "downsample" in name.split(".")]
    for module in shared + projections:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
