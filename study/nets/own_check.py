"""Check nets of the user's own before a study begins: what its comparisons rest on must hold of them.

Legend: N images, C channels, H height, W width, K classes.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.config.own_nets import OwnNets, OwnNetsError
from study.names import join_net
from study.nets.own import build_own, in_a_line

IMAGES = 2
"""Images of the pass that a net must be able to do; some norms need two."""
SHORTCUT_WORDS = ("shortcut", "downsample")
"""What the name of a parameter that only a residual net has must hold one of."""


class _Pass(NamedTuple):
    """A net's first weights by name, and what a forward and backward pass gives: logits (N, K) and gradients."""

    name: str
    weights: dict[str, Tensor]
    logits: Tensor
    gradients: dict[str, Tensor]


def check_own_nets(
    own: OwnNets, nets: Mapping[int, Collection[bool]], image_shape: tuple[int, int, int], num_classes: int
) -> None:
    """Build the nets of a study, and their forward and backward passes on two images; twins where it has both.

    Args:
        own: the function.
        nets: for each depth, which of plain (False) and residual (True) the study has.
        image_shape: (C, H, W) of what a net is shown.
        num_classes: K.

    Raises:
        OwnNetsError: a net can't be built or trained, draws weights from elsewhere than its generator, or isn't its
            twin's in all but the shortcuts.
    """
    for depth in sorted(nets):
        plain, *residual = [_check_net(own, depth, kind, image_shape, num_classes) for kind in sorted(nets[depth])]
        if residual:
            _check_twins(own, plain, residual[0], must_differ=depth == max(nets))


def _check_net(own: OwnNets, depth: int, residual: bool, image_shape: tuple[int, int, int], num_classes: int) -> _Pass:
    """Build a net twice for a seed and once for another; take it through a pass of training and one of evaluation."""
    name = join_net("residual" if residual else "plain", depth)

    def build(seed: int, state: int) -> nn.Module:
        torch.default_generator.manual_seed(state)  # the net must not draw from this one
        return build_own(
            own,
            depth,
            residual=residual,
            num_classes=num_classes,
            in_channels=image_shape[0],
            generator=torch.Generator().manual_seed(seed),
        )

    with in_a_line(own, f"in building {name}"), torch.random.fork_rng(devices=[]):
        net, again, other = build(0, 1), build(0, 2), build(1, 3)
    weights = _first_weights(own, name, net, again, other)
    with in_a_line(own, f"in a pass of {name}"), torch.random.fork_rng(devices=[]):
        return _Pass(name, weights, *_train_once(own, name, net, image_shape, num_classes))


def _first_weights(own: OwnNets, name: str, net: nn.Module, again: nn.Module, other: nn.Module) -> dict[str, Tensor]:
    """Return the first weights of a net, compared with those of it built again and of one built for another seed."""
    if any(isinstance(parameter, nn.UninitializedParameter) for parameter in net.parameters()):
        raise OwnNetsError(f"{own.place}: {name} has lazy layers: give each layer its size")
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise OwnNetsError(f"{own.place}: {name} has no parameter to train")
    if shared := {*net.parameters()} & {*again.parameters(), *other.parameters()}:
        raise OwnNetsError(f"{own.place}: {len(shared)} weights of {name} are those of an earlier net: make new ones")
    if nan := next((key for key, value in net.named_parameters() if value.isnan().any()), ""):
        raise OwnNetsError(f"{own.place}: {nan} of {name} holds NaN at first")
    weights = _values(net)
    if not _first_difference(weights, _values(other)):
        raise OwnNetsError(
            f"{own.place}: {name} has the same weights for another seed, so that seeds tell little: draw them from "
            "`generator`"
        )
    if different := _first_difference(weights, _values(again)):
        raise OwnNetsError(
            f"{own.place}: {different} of {name} isn't the same for the same seed: draw all weights from `generator`"
        )
    return weights


def _train_once(
    own: OwnNets, name: str, net: nn.Module, image_shape: tuple[int, int, int], num_classes: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits (N, K) and gradients of a pass in training mode; one in evaluation mode follows."""
    torch.default_generator.manual_seed(0)
    images = torch.randn(IMAGES, *image_shape, generator=torch.Generator().manual_seed(0))
    images = images.to(memory_format=torch.channels_last)  # as in training
    logits = net.to(memory_format=torch.channels_last).train()(images)
    _check_logits(own, name, logits, num_classes)
    F.cross_entropy(logits, torch.zeros(IMAGES, dtype=torch.long)).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        _check_logits(own, name, net.eval()(images), num_classes)
    gradients = {key: weight.grad for key, weight in net.named_parameters() if weight.grad is not None}
    return logits.detach(), gradients


def _values(net: nn.Module) -> dict[str, Tensor]:
    """Return copies of a net's parameters and buffers by name."""
    return {key: value.clone() for key, value in net.state_dict().items() if isinstance(value, Tensor)}


def _check_logits(own: OwnNets, name: str, logits: object, num_classes: int) -> None:
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    if shape != (IMAGES, num_classes):
        raise OwnNetsError(
            f"{own.place}: {name} gives {shape} for {IMAGES} images in {num_classes} classes, not a tensor of "
            f"{(IMAGES, num_classes)}"
        )
    if isinstance(logits, Tensor) and logits.isnan().any():
        raise OwnNetsError(f"{own.place}: {name} gives NaN before it is trained")


def _check_twins(own: OwnNets, plain: _Pass, residual: _Pass, *, must_differ: bool) -> None:
    for key in plain.weights:
        if key not in residual.weights:
            raise OwnNetsError(f"{own.place}: {plain.name} has {key}, and {residual.name} doesn't: twins share weights")
    for key in residual.weights:
        if key not in plain.weights and not any(word in key for word in SHORTCUT_WORDS):
            raise OwnNetsError(
                f"{own.place}: {residual.name} has {key}, and {plain.name} doesn't: only shortcuts may have weights of "
                "their own, with 'shortcut' or 'downsample' in their names"
            )
    if different := _first_difference(plain.weights, residual.weights):
        raise OwnNetsError(
            f"{own.place}: {different} isn't the same at first in {plain.name} and {residual.name}: draw weights in "
            "the same order, those of shortcuts last"
        )
    same = torch.equal(plain.logits, residual.logits) and not _first_difference(plain.gradients, residual.gradients)
    if must_differ and same:
        raise OwnNetsError(
            f"{own.place}: {plain.name} and {residual.name} compute the same: `residual` changes nothing"
        )


def _first_difference(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> str:
    """Return the first name of `first` under which the two have other values or shapes; "" where none has."""
    return next((key for key, value in first.items() if not _equal(value, second.get(key))), "")


def _equal(first: Tensor, second: Tensor | None) -> bool:
    return second is not None and first.shape == second.shape and torch.equal(first.nan_to_num(), second.nan_to_num())
