import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from study.report.tables.writer import write_table
from study.report.why.curvature import at_loss
from study.report.why.surface import surface_chapter

from .probes import make_evidence, with_probe
from .slices import with_slices

STEPS = (0, 1, 10, 100, 220)
SLOW, FAST = (2.5, 2.4, 2.3, 2.1, 2.0), (2.5, 2.25, 1.0, 0.1, 0.01)


def loss_of(run):
    return SLOW if run["net"] == "plain-56" else FAST


def by_loss(run, loss):
    """Return an eigenvalue that is a power of the loss, 50 times as large for plain-56 at any."""
    return (500 if run["net"] == "plain-56" else 10) * loss**2


def followed(evidence=None, losses=loss_of, eigenvalue=by_loss, noise=0.0, steps=STEPS, converged=lambda step: True):
    """Return the evidence with a table `curvature` of losses at some steps, and eigenvalues by the run and loss."""

    def rows(run, random):
        for step, loss in zip(steps, losses(run), strict=True):
            yield {
                "step": step,
                "loss": loss,
                "eigenvalue": eigenvalue(run, loss) * math.exp(random.normal(0, noise)),
                "residual": 0.1,
                "iterations": 9,
                "converged": converged(step),
            }

    return with_probe(evidence or make_evidence(seeds=1), "curvature", rows)


def course(losses, eigenvalues):
    return pd.DataFrame({"loss": losses, "eigenvalue": eigenvalues})


@pytest.mark.parametrize(
    ("losses", "level", "expected"),
    [
        ((4.0, 1.0), 2.0, 20.0),  # half of the way in the logarithm: between 40 and 10
        ((4.0, 1.0), 4.0, 40.0),
        ((4.0, 1.0), 1.0, 10.0),
        ((4.0, 1.0), 0.9, math.nan),  # never extrapolated
        ((4.0, 1.0), 4.1, math.nan),
        ((1.0, 4.0), 2.0, math.nan),  # it rises there
        ((1.0, 4.0, 1.0), 2.0, 20.0),
        ((4.0, 1.0, 4.0, 1.0), 2.0, 20.0),
    ],
)
def test_the_eigenvalue_at_a_loss_is_interpolated_where_the_loss_first_falls_to_it(losses, level, expected):
    found = at_loss(course(losses, [10 * loss for loss in losses]), level)
    assert found == pytest.approx(expected, nan_ok=True)


def test_the_first_of_several_falls_counts():
    assert at_loss(course((4.0, 1.0, 4.0, 1.0), (1.0, 1.0, 9.0, 9.0)), 2.0) == pytest.approx(1.0)


def test_a_run_has_an_eigenvalue_at_its_own_lowest_loss():
    for losses in -np.sort(-np.random.default_rng(0).uniform(1e-4, 3.0, (3000, 2))):
        assert at_loss(course(losses, losses), losses[-1]) == pytest.approx(losses[-1])


def test_nets_are_compared_where_training_left_them_and_at_equal_loss(tmp_path):
    chapter = surface_chapter(followed(), tmp_path)
    end, equal = chapter.sentences
    assert "is 2,000 for plain-56 at 2.00 nats, 0.00100 for plain-20 at 0.0100 nats and 0.00100 for resnet-56" in end
    assert end.endswith("(one seed each).")
    assert equal == (
        "At equal loss, 2.00 nats, the lowest that all of them reached, that of plain-56 is 2,000, higher than the "
        "40.0 of plain-20 (50 times, one seed each) and higher than the 40.0 of resnet-56 (50 times, one seed each)."
    )
    (table,) = chapter.tables
    assert list(table.shown["At 2.00 nats"]) == ["40.0", "2,000", "40.0", "40.0"]
    assert list(table.shown["At 1 nats"]) == ["10.0", "–", "10.0", "10.0"]  # noqa: RUF001
    assert list(table.shown["Moments"]) == ["5"] * 4
    write_table(table, tmp_path)
    assert (tmp_path / "why-curvature.csv").read_text(encoding="utf-8").count("\n") == 5


def test_a_difference_that_the_loss_explains_is_none_at_equal_loss(tmp_path):
    chapter = surface_chapter(followed(eigenvalue=lambda run, loss: 10 * loss**2), tmp_path)
    assert "is 40.0 for plain-56 at 2.00 nats, 0.00100 for plain-20" in chapter.sentences[0]
    assert "that of plain-56 is 40.0, not clearly unlike the 40.0 of plain-20 (1.0 times" in chapter.sentences[1]


def test_several_seeds_have_an_interval_of_the_factor(tmp_path):
    end, equal = surface_chapter(followed(make_evidence(), noise=0.05), tmp_path).sentences
    assert end.endswith("(geometric means over 3 seeds).")
    assert "times, 95% interval 4" in equal
    assert "higher than" in equal


def test_a_net_whose_moments_dont_enclose_the_loss_is_not_comparable(tmp_path):
    def losses(run):
        return (1.5, 1.2, 1.0, 0.1, 0.01) if run["net"] == "resnet-56" else loss_of(run)

    _, equal, without = surface_chapter(followed(losses=losses), tmp_path).sentences
    assert "resnet" not in equal
    assert "At 2.00 nats" in without
    assert "resnet-56 is not comparable (its measurements begin at 1.50 nats)" in without
    alone = surface_chapter(followed(losses=lambda run: loss_of(run)[-1:], steps=(220,)), tmp_path)
    assert len(alone.sentences) == 2
    assert "plain-20 is not comparable (its measurements begin at 0.0100 nats) and resnet-56 is" in alone.sentences[1]


def test_seeds_whose_moments_dont_enclose_the_loss_are_left_out_of_a_net_that_is_compared(tmp_path):
    def losses(run):
        return (1.5, 1.2, 1.0, 0.1, 0.01) if run["net"] == "resnet-56" and run["seed"] else loss_of(run)

    _, equal, without = surface_chapter(followed(make_evidence(), losses=losses), tmp_path).sentences
    assert "of resnet-56" in equal
    assert "2 of 3 seeds of resnet-56 are left out (their measurements begin at 1.50 nats or less): a loss" in without
    assert "not comparable" not in without


def test_moments_that_did_not_converge_are_not_interpolated_from(tmp_path):
    evidence = followed(
        eigenvalue=lambda run, loss: 1e9 if loss == 2.25 else by_loss(run, loss), converged=lambda step: step != 1
    )
    assert "the 40.0 of plain-20" in surface_chapter(evidence, tmp_path).sentences[1]
    last = surface_chapter(followed(converged=lambda step: step < 220), tmp_path)
    assert "2.00 nats (not converged)" in last.sentences[0]
    assert last.tables[0].shown["Largest eigenvalue"].iloc[1] == "2,000*"


def test_it_follows_what_slices_tell(tmp_path):
    evidence = followed(with_slices(make_evidence(seeds=1), lambda run, kind: 0.5))
    chapter = surface_chapter(evidence, tmp_path)
    assert "bends down" in chapter.sentences[0]
    assert chapter.sentences[-2:] == surface_chapter(followed(), tmp_path).sentences
    assert [table.name for table in chapter.tables] == ["why-surface", "why-curvature"]


def test_a_single_net_is_told_without_a_comparison(tmp_path):
    chapter = surface_chapter(followed(make_evidence((("plain", 56),), seeds=1)), tmp_path)
    assert len(chapter.sentences) == 1
    assert chapter.sentences[0].endswith("there is no net to compare with.")


def test_what_has_no_number_is_not_told(tmp_path):
    assert surface_chapter(make_evidence(), tmp_path) is None
    rows = followed().probes["curvature"]
    for broken in (rows.drop(columns="loss"), rows.assign(eigenvalue=np.nan), rows.assign(eigenvalue=-1.0)):
        assert surface_chapter(dataclasses.replace(followed(), probes={"curvature": broken}), tmp_path) is None
