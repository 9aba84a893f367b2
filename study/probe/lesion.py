"""The error of a trained net without some blocks, or with blocks reordered: Veit et al. 2016 (arXiv 1605.06431).

Legend: N images, C channels, H height, W width.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from study.errors import StudyError
from study.nets.blocks import Block
from study.probe.subject import Batch, copy_net
from study.train.evaluate import Score, evaluate


@dataclass(frozen=True)
class Lesion:
    """The error of a net without some of its blocks."""

    blocks: tuple[str, ...]
    """Names of the removed blocks, such as `layer2.1`, in the net's order."""
    downsamples: bool
    """Whether one of the blocks changes the map or the channels."""
    draw: int
    error: float
    """Percent."""
    loss: float
    """Mean cross-entropy, in nats."""
    rise: float
    """Increase of the error over that of the whole net, in percentage points."""


@dataclass(frozen=True)
class Reordering:
    """The error of a net some of whose blocks are swapped."""

    swaps: int
    draw: int
    kendall_tau: float
    """Kendall's tau of the blocks' order and the trained one: 1 for the same, -1 for the reverse."""
    error: float
    """Percent."""
    loss: float
    rise: float
    """Increase of the error over that of the whole net, in percentage points."""


@dataclass(frozen=True, eq=False)
class _Place:
    """The place of a block: `stage[i]`."""

    name: str
    stage: nn.Sequential
    i: int
    block: Block

    @property
    def keeps_shape(self) -> bool:
        """Whether the output has the shape of the input."""
        return not self.block.changes


class _Shortcut(nn.Module):
    """A residual block without its branch: ReLU(shortcut(x)); with an identity shortcut that is x, as x >= 0."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block.without_branch(x)


class Lesions:
    """Scores of a net with some blocks removed or swapped, over batches of images (N, C, H, W) and labels (N,).

    The rest of the net, with its batch norm statistics, isn't changed or trained; the net given isn't either.
    """

    def __init__(self, net: nn.Module, batches: Iterable[Batch]) -> None:
        """Copy the net and score it whole.

        Raises:
            StudyError: the net has no blocks, like VGG nets.
        """
        self._net = copy_net(net, training=False)
        self._batches = batches
        self._places = [
            _Place(f"{name}.{i}", stage, i, block)
            for name, stage in self._net.named_children()
            if isinstance(stage, nn.Sequential)
            for i, block in enumerate(stage)
            if isinstance(block, Block)
        ]
        if not self._places:
            raise StudyError("the net has no blocks to take out: lesions are for plain-N and resnet-N")
        self._deletable = [place for place in self._places if place.keeps_shape or place.block.shortcut != "none"]
        self._whole = self._score()

    @property
    def deletable(self) -> int:
        """Number of blocks that can be removed."""
        return len(self._deletable)

    def delete_each(self) -> list[Lesion]:
        """Return the error without each block in turn, in the net's order (the paper's section 4.1).

        From a residual block, remove the branch and keep the shortcut. From a plain net, remove the block's layers if
        the other layers fit together, so not those of a block that changes the shape.
        """
        return [self._without([place], 0) for place in self._deletable]

    def delete_random(self, counts: Sequence[int], *, draws: int, generator: torch.Generator) -> list[Lesion]:
        """Return the error without `counts` blocks, `draws` random choices of each number (section 4.2).

        No count may be above `deletable`.
        """
        rows = []
        for count in counts:
            for draw in range(draws):
                chosen = torch.randperm(self.deletable, generator=generator)[:count].sort().values.tolist()
                rows.append(self._without([self._deletable[i] for i in chosen], draw))
        return rows

    def swap_random(self, counts: Sequence[int], *, draws: int, generator: torch.Generator) -> list[Reordering]:
        """Return the error after `counts` random swaps of two blocks of one stage, `draws` times each (section 4.3).

        Swaps are made one after another, so that a block may move more than once. Kendall's tau is over all blocks of
        the net, including those that can't move. Empty if no stage has two blocks that keep the shape of the map.
        """
        places = self._places
        movable = [i for i, place in enumerate(places) if place.keeps_shape]
        pairs = [(a, b) for a, b in combinations(movable, 2) if places[a].stage is places[b].stage]
        rows = []
        for count in counts if pairs else ():
            for draw in range(draws):
                order = list(range(len(places)))
                for pair in torch.randint(len(pairs), (count,), generator=generator).tolist():
                    a, b = pairs[pair]
                    order[a], order[b] = order[b], order[a]
                self._arrange(order)
                score = self._score()
                self._arrange(range(len(places)))
                rise = score.error - self._whole.error
                rows.append(Reordering(count, draw, kendall_tau(order), score.error, score.loss, rise))
        return rows

    def _without(self, chosen: Sequence[_Place], draw: int) -> Lesion:
        """Score the net without these blocks, and put them back afterwards."""
        for place in chosen:
            place.stage[place.i] = nn.Identity() if place.block.shortcut == "none" else _Shortcut(place.block)
        score = self._score()
        for place in chosen:
            place.stage[place.i] = place.block
        names = tuple(place.name for place in chosen)
        downsamples = any(not place.keeps_shape for place in chosen)
        return Lesion(names, downsamples, draw, score.error, score.loss, score.error - self._whole.error)

    def _arrange(self, order: Sequence[int]) -> None:
        """Put the block that was trained at `order[i]` in the i-th place."""
        for place, source in zip(self._places, order, strict=True):
            place.stage[place.i] = self._places[source].block

    def _score(self) -> Score:
        return evaluate(self._net, self._batches, "fp32", next(self._net.parameters()).device)


def kendall_tau(order: Sequence[int]) -> float:
    """Return Kendall's rank correlation of a permutation with the order 0, 1, 2, ...: 1 - 4 inversions / n(n - 1)."""
    pairs = list(combinations(order, 2))
    return sum(1 if a < b else -1 for a, b in pairs) / len(pairs) if pairs else 1.0
