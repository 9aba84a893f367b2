import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from study.config import Recipe
from study.data import Normalizer, TrainBatches, load_dataset
from study.probe.construction import build_by_construction
from study.probe.continuation import Mark, marked_iterations, train_on
from study.train import Score
from study.train.evaluate import Stopped, evaluate, never_stop
from tests.probe.conftest import DIGITS, Batches

RECIPE = Recipe(epochs=1, lr=0.05, batch_size=64)


def go_on(
    net: nn.Module, batches: Batches, total: int, recipe: Recipe = RECIPE, stop: Callable[[], bool] = never_stop
) -> list[Mark]:
    train = load_dataset(DIGITS).train
    feed = TrainBatches(train, Normalizer.fit(train, "pixel-mean"), batch_size=64, augment="none", seed=0)

    def score(one: nn.Module) -> Score:
        return evaluate(one, batches, "fp32", torch.device("cpu"))

    return list(train_on(net, feed, recipe, total, score, guessing=90.0, stop=stop))


def test_the_iterations_looked_at_are_close_at_first() -> None:
    assert sorted(marked_iterations(0)) == [0]
    assert sorted(marked_iterations(7)) == [0, 1, 2, 5, 7]
    assert sorted(marked_iterations(100)) == [0, 1, 2, 5, 10, 20, 50, 100]


def test_a_constructed_net_begins_where_the_shallow_one_ended(trained, batches: Batches) -> None:
    shallow = trained("plain-8")
    built = build_by_construction(shallow, 20, batches)
    marks = go_on(built.net, batches, 12)
    assert [mark.iteration for mark in marks] == [0, 1, 2, 5, 10, 12]
    assert marks[0].error == evaluate(shallow, batches, "fp32", torch.device("cpu")).error
    assert marks[0].distance == 0
    assert 0 < marks[1].distance < marks[-1].distance < 0.5
    assert marks[-1].loss < marks[0].loss  # it stays, and improves


def test_a_rate_of_next_to_nothing_changes_nothing(trained, batches: Batches) -> None:
    built = build_by_construction(trained("plain-8"), 14, batches, statistics="measured")
    marks = go_on(built.net, batches, 3, Recipe(epochs=1, lr=1e-30, batch_size=64, weight_decay=0.0))
    assert [mark.distance for mark in marks] == pytest.approx([0.0] * 4, abs=1e-20)


def test_a_net_that_diverges_counts_as_guessing_and_ends(digit_net, batches: Batches) -> None:
    marks = go_on(digit_net("plain-8"), batches, 10, Recipe(epochs=1, lr=1e30, batch_size=64))
    assert marks[-1].iteration < 10
    assert marks[-1].error == 90.0
    assert math.isnan(marks[-1].loss)


def test_it_ends_where_the_run_is_stopped(digit_net, batches: Batches) -> None:
    with pytest.raises(Stopped):
        go_on(digit_net("plain-8"), batches, 5, stop=lambda: True)
