"""Copies of a net to measure on, so that no measurement can change the net itself."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from study.train.shared_norm import part_statistics


def replica(net: nn.Module, *, training: bool) -> nn.Module:
    """Return a copy in the mode asked for, without gradients: it has its own weights and running statistics."""
    own = copy.deepcopy(net).train(training)
    part_statistics(own)  # every rank of a run measures by itself, on all the images
    own.requires_grad_(True)
    own.zero_grad(set_to_none=True)
    return own


@torch.no_grad()
def recalibrated(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> nn.Module:
    """Return a copy in evaluation mode whose running statistics are those of these batches, averaged.

    At initialisation running statistics are mean 0 and variance 1, so that batch norm does nothing in evaluation mode:
    a net is to be recalibrated before it is measured there. Batches are images (N, C, H, W) and labels (N,).
    """
    own = replica(net, training=True)
    norms = [module for module in own.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    for images, _ in batches:
        own(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return own.eval()
