import dataclasses

import numpy as np
import pytest

from study.report.tables.writer import write_table
from study.report.why.construction import IN_TRAINING, built_pairs, construction_chapter, difference

from .probes import make_evidence, with_probe

NETS = (("plain", 8), ("plain", 20), ("plain", 56), ("residual", 56))
TRAIN = {("plain", 8): (2.0, 0.1), ("plain", 20): (1.0, 0.1), ("plain", 56): (20.0, 2.0)}


def build(changed=0, seeds=(0, 1, 2), error=None):
    """Return what makes rows of `construction`: plain nets made into all deeper ones, in both ways."""

    def rows(run, random):
        if run["architecture"] != "plain" or run["seed"] not in seeds:
            return
        for target in (20, 56):
            for statistics, apart in (("unit", 0.0), ("measured", 3e-5)):
                if target > run["depth"]:
                    own = run["final_train_error"]
                    yield {
                        "step": 220,
                        "target": target,
                        "statistics": statistics,
                        "largest_difference": apart,
                        "changed": changed,
                        "images": 1293,
                        "training_largest_difference": 9.6 if statistics == "unit" else 0.25 * target / 20,
                        "training_changed": 1000 if statistics == "unit" else target // 4,
                        "training_images": 1280,
                        "blocks": (target - run["depth"]) // 2,
                        "shallow_error": own,
                        "error": own if error is None else error,
                    }

    return rows


def built(train=None, runs=3, **options):
    return with_probe(make_evidence(NETS, runs, {**TRAIN, **(train or {})}), "construction", build(**options))


def test_every_pair_has_both_ways_and_the_deep_net_as_trained():
    evidence = built()
    pairs = built_pairs(evidence)
    assert list(pairs[["shallow", "deep", "statistics"]].itertuples(index=False, name=None)) == [
        (8, 20, "unit"),
        (8, 20, "measured"),
        (8, 56, "unit"),
        (8, 56, "measured"),
        (20, 56, "unit"),
        (20, 56, "measured"),
    ]
    assert pairs["blocks"][2] == 24
    assert sorted(pairs["trained"][2]) == sorted(evidence.runs.query("net == 'plain-56'")["final_train_error"])
    assert len(pairs["errors"][0]) == 3


def test_the_solution_is_said_to_exist_and_how_far_training_falls_short(tmp_path):
    chapter = construction_chapter(built(), tmp_path)
    assert chapter.id == "why-construction"
    exist, training, short = chapter.sentences
    assert "plain-8 (as plain-20 and plain-56) and plain-20 (as plain-56) give all 1,293 training images" in exist
    assert "their logits are equal" in exist
    assert training == (
        "That is in evaluation mode; in training mode, with the statistics of each batch, blocks whose batch norms "
        "hold mean 0 and variance 1 change 78% of predictions and logits by up to 9.6; those with measured statistics "
        "change 0.39% to 1.1% of predictions and logits by up to 0.7."
    )
    assert "built from plain-20, 3 seeds" in short  # the best of the shallow nets
    assert "points more (95% interval" in short
    assert short.endswith("the net could do better than training makes it.")
    table = chapter.tables[0]
    assert list(table.shown["Predictions changed"]) == ["0 of 1,293"] * 6
    assert list(table.shown["Changed in training mode"][:4]) == [f"{n} of 1,280" for n in (1000, 5, 1000, 14)]
    assert list(table.shown["The same in training mode"][:2]) == ["9.6", "0.25"]
    write_table(table, tmp_path)
    assert (tmp_path / "construction.csv").read_text(encoding="utf-8").count("\n") == 7


@pytest.mark.parametrize(
    ("train", "options", "words"),
    [
        ((1.0, 0.05), {}, "training finds what is as good"),
        ((1.0, 0.05), {"error": 5.0}, "training finds what is better than the construction"),
        ((4.0, 6.0), {}, "can't be told"),
    ],
)
def test_the_numbers_decide_what_is_said(train, options, words, tmp_path):
    assert words in construction_chapter(built({("plain", 56): train}, **options), tmp_path).sentences[-1]


def test_predictions_that_change_are_told(tmp_path):
    chapter = construction_chapter(built(changed=4), tmp_path)
    assert "change predictions: 4 of 1,293 from plain-8 to plain-20" in chapter.sentences[0]


def test_training_mode_is_left_out_where_an_earlier_version_did_not_measure_it(tmp_path):
    evidence = built()
    rows = evidence.probes["construction"].drop(columns=IN_TRAINING)
    chapter = construction_chapter(dataclasses.replace(evidence, probes={"construction": rows}), tmp_path)
    assert "training mode" not in " ".join(chapter.sentences)
    assert set(chapter.tables[0].shown["Changed in training mode"]) == {"\u2013"}


def test_a_single_net_that_was_built_is_taken_as_given(tmp_path):
    chapter = construction_chapter(built(seeds=(0,)), tmp_path)
    assert "built from plain-20, 1 seed" in chapter.sentences[-1]
    assert "95% interval" in chapter.sentences[-1]


def test_one_seed_has_no_interval(tmp_path):
    chapter = construction_chapter(built(runs=1, seeds=(0,)), tmp_path)
    assert "one seed, so no interval" in chapter.sentences[-1]
    assert "as far as one seed can tell" in chapter.sentences[-1]
    assert "nan" not in " ".join(chapter.sentences)


def test_a_deep_net_that_was_not_trained_is_not_compared(tmp_path):
    evidence = built()
    without = dataclasses.replace(evidence, runs=evidence.runs.query("net != 'plain-56'"))
    chapter = construction_chapter(without, tmp_path)
    assert "didn't train plain-56 from scratch" in chapter.sentences[-1]
    assert chapter.tables[0].shown["Trained from scratch (%)"].iloc[-1] == "\u2013"


def test_there_is_no_chapter_where_nothing_was_built(tmp_path):
    assert construction_chapter(make_evidence(), tmp_path) is None
    evidence = built()
    broken = evidence.probes["construction"].assign(largest_difference=np.nan)
    assert construction_chapter(dataclasses.replace(evidence, probes={"construction": broken}), tmp_path) is None


def test_differences_are_short():
    assert [difference(value) for value in (0.0, 3.1e-5, 0.12)] == ["0", "3.1e-05", "0.12"]
