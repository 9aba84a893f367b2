"""Scores of a run: the points of its curves, and its final figures."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from study.config import RunSpec
from study.data import Dataset, Split, evaluation_batches
from study.events import Epoch, Finished
from study.train.evaluate import Score, error_over_views, evaluate
from study.train.memory import peak_memory
from study.train.state import RunState


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores a run's net on a data set; every method raises `Stopped` if `stop` returns True between two batches."""

    state: RunState
    dataset: Dataset
    device: torch.device
    stop: Callable[[], bool]

    @property
    def spec(self) -> RunSpec:
        return self.state.spec

    @property
    def error_of_guessing(self) -> float:
        return 100 - 100 / self.dataset.num_classes

    def measure(self, clock: float) -> Epoch | None:
        """Read the running sums and score the held-out images; None where the loss is no longer finite."""
        start = time.monotonic()
        group, steps = self.state.group, self.state.steps_since_point
        train_loss = group.total(self.state.loss_sum).item() / (steps * group.size)  # sync point
        images = steps * self.state.batches.batch_size
        train_error = 100 * group.total(self.state.error_sum).item() / images
        self.state.training_seconds += time.monotonic() - start  # on a GPU, the steps end here
        if not math.isfinite(train_loss) or not self.state.finite():
            return None
        group.align(self.state.net)
        test = self.score(self.dataset.test)
        validation = self.score(self.dataset.validation) if self.dataset.validation else None
        point = Epoch(
            step=self.state.step,
            epoch=self.state.step / self.state.batches.iterations_per_epoch,
            lr=self.spec.recipe.lr_at(self.state.step - 1, self.state.total),
            train_error=train_error,
            train_loss=train_loss,
            test_error=test.error,
            test_loss=test.loss,
            validation_error=validation.error if validation else None,
            validation_loss=validation.loss if validation else None,
            images_per_second=images / max(self.state.training_seconds, 1e-9),
            seconds=time.monotonic() - clock,
            memory_mib=peak_memory(self.device),
            time=time.time(),
        )
        self.state.loss_sum.zero_()
        self.state.error_sum.zero_()
        self.state.steps_since_point = 0
        self.state.training_seconds = 0.0
        return point

    def finish(self, clock: float) -> Finished:
        """Score the last weights on every split, on augmented training images, and over more views of test images."""
        self.state.group.align(self.state.net)  # a run may resume here
        train = self.score(self.dataset.train)
        augmented = train if self.spec.recipe.augment == "none" else self.score(self.dataset.train, seed=self.spec.seed)
        test = self.score(self.dataset.test)
        validation = self.score(self.dataset.validation) if self.dataset.validation else None
        return Finished(
            step=self.state.step,
            final_train_error=train.error,
            final_train_loss=train.loss,
            final_train_error_augmented=augmented.error,
            final_test_error=test.error,
            final_test_loss=test.loss,
            final_test_error_views=self._error_over_views(self.dataset.test),
            final_validation_error=validation.error if validation else None,
            final_validation_loss=validation.loss if validation else None,
            seconds=time.monotonic() - clock,
        )

    def score(self, split: Split, net: nn.Module | None = None, *, seed: int | None = None) -> Score:
        """Score the run's net, or `net`, on clean images; with a `seed`, on augmented ones."""
        group = self.state.group
        batches = evaluation_batches(
            split,
            self.state.normalizer,
            augment=self.spec.recipe.augment,
            seed=seed,
            device=self.device,
            shard=group.shard,
        )
        return evaluate(net or self.state.net, batches, self.state.precision, self.device, self.stop, group)

    def _error_over_views(self, split: Split) -> float | None:
        """Return the error over the recipe's views of clean images; None if the recipe has the centre view alone."""
        recipe = self.spec.recipe
        if recipe.test_views == "center":
            return None
        return error_over_views(
            self.state.net,
            split,
            self.state.normalizer,
            augment=recipe.augment,
            views=recipe.test_views,
            precision=self.state.precision,
            stop=self.stop,
            group=self.state.group,
        )
