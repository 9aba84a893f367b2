"""The subject of probes: copies of a run's net, its 3x3 layers, and images; the user can stop passes over them.

Legend: N images, C channels, H height, W width.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from study.config import ProbePlan
from study.data import Split, TrainBatches, derived_seed, evaluation_batches
from study.data.splits import stratified_choice
from study.errors import StudyError
from study.train import Scorer, raise_if_stopped, train_batches
from study.train.shared_norm import unshare_statistics

Batch = tuple[Tensor, Tensor]
"""Images (N, C, H, W) and labels (N,)."""


class Batches:
    """Batches, held or read anew in each pass, which `stop` ends: iteration raises Stopped when it returns True."""

    def __init__(self, read: Callable[[], Iterable[Batch]], stop: Callable[[], bool]) -> None:
        self._read = read
        self._stop = stop

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._read():
            raise_if_stopped(self._stop)
            yield batch


def copy_net(net: nn.Module, *, training: bool) -> nn.Module:
    """Return a copy in the given mode, without gradients, with its own weights and running statistics."""
    net_copy = copy.deepcopy(net).train(training)
    unshare_statistics(net_copy)  # every rank of a run measures all images itself
    net_copy.requires_grad_(True)
    net_copy.zero_grad(set_to_none=True)
    return net_copy


@torch.no_grad()
def recalibrated(net: nn.Module, batches: Iterable[Batch]) -> nn.Module:
    """Return a copy in evaluation mode whose running statistics are those of these batches, averaged.

    At initialisation running statistics are mean 0 and variance 1, so that batch norm has no effect in evaluation mode:
    recalibrate a net before measuring it there. Batches are images (N, C, H, W) and labels (N,).
    """
    net_copy = copy_net(net, training=True)
    norms = [module for module in net_copy.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    for images, _ in batches:
        net_copy(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net_copy.eval()


def sum_outputs(
    net: nn.Module, modules: Sequence[nn.Module], batches: Iterable[Batch], sums: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Return the total over the batches of `sums` of each module's output.

    Raises:
        StudyError: there are no batches.
    """
    totals: list[list[Tensor]] = [[] for _ in modules]

    def add(total: list[Tensor], output: Tensor) -> None:
        now = sums(output.detach())
        total[:] = [total[0] + now] if total else [now]

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, total=total: add(total, output))
        for module, total in zip(modules, totals, strict=True)
    ]
    with torch.no_grad():
        for images, _ in batches:
            net(images)
    for hook in hooks:
        hook.remove()
    if not all(totals):
        raise StudyError("there are no images to measure on")
    return [total for (total,) in totals]


def channel_sums(y: Tensor) -> Tensor:
    """(N, C, H, W) -> counts, sums and sums of squares of the channels (3, C), in double precision."""
    wide = y.double()
    total = wide.sum((0, 2, 3))
    return torch.stack([torch.full_like(total, y.numel() // y.shape[1]), total, wide.square().sum((0, 2, 3))])


@dataclass(frozen=True, eq=False)
class Subject:
    """A net at one iteration of its run, and the images that probes use."""

    plan: ProbePlan
    scorer: Scorer

    @property
    def net(self) -> nn.Module:
        """The run's net, which must not be changed."""
        return self.scorer.state.net

    @cached_property
    def batches(self) -> Batches:
        """The images that probes see, in one batch: the same for all runs of a study."""
        dataset, spec = self.scorer.dataset, self.scorer.spec
        count = min(self.plan.probes.images, len(dataset.train))
        seed = derived_seed(spec.dataset.split_seed, "probe images")
        chosen = torch.from_numpy(stratified_choice(dataset.train.labels.cpu().numpy(), count, seed))
        shown = dataset.train.take(chosen.to(dataset.train.pixels.device))
        held = list(self._clean(shown, count))
        return Batches(lambda: held, self.scorer.stop)

    @cached_property
    def training_images(self) -> Batches:
        """All training images, clean; they may not fit into memory."""
        return Batches(lambda: self._clean(self.scorer.dataset.train, None), self.scorer.stop)

    def train_batches(self) -> TrainBatches:
        """Return the run's training batches, from its first on."""
        scorer = self.scorer
        return train_batches(scorer.spec, scorer.dataset, scorer.state.normalizer, scorer.device)

    @cached_property
    def first_epoch(self) -> Batches:
        """The training batches of the run's first epoch."""
        batches = self.train_batches()
        return Batches(lambda: map(batches.batch, range(batches.iterations_per_epoch)), self.scorer.stop)

    @cached_property
    def settled(self) -> nn.Module:
        """The net with the running statistics of these images; a net that has hardly trained has others."""
        return recalibrated(self.net, self.batches)

    def generator(self, *words: str | int) -> torch.Generator:
        """Return a generator seeded by words, the same for every run, so that nets see the same draws."""
        return torch.Generator().manual_seed(derived_seed(0, "probe", *words))

    def _clean(self, split: Split, size: int | None) -> Iterator[Batch]:
        scorer = self.scorer
        return evaluation_batches(
            split, scorer.state.normalizer, augment=scorer.spec.recipe.augment, batch_size=size, device=scorer.device
        )
