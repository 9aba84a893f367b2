from dataclasses import replace

import pandas as pd
import pytest

from study.report.tables.writer import write_table
from study.report.why.remedies import remedies_chapter
from study.track.tags import PROBE_COLUMNS

from .probes import make_evidence
from .remedied import GOOD, HALF, PAPER, REMEDIES, SCALES, remedied


def test_remedies_are_told_by_what_they_do(tmp_path):
    chapter = remedies_chapter(remedied(REMEDIES), tmp_path)
    assert chapter.id == "why-remedies"
    rise, good, bad = chapter.sentences
    assert "From 8 to 56 layers" in rise
    assert "rises by 38.2 points (95% interval" in rise
    left, part = good.split("; a part of the rise is removed by ")
    assert "the shortcut (resnet-56; rise -0" in left
    assert "orthogonal weights (plain-56; rise" in left
    assert part.startswith("preactivation=true (plain-56; rise")
    assert "49% less" in part
    assert "The rise is larger with tanh" in bad
    assert "the deep net is no better, with no batch norm" in bad
    assert [picture.name for picture in chapter.pictures] == ["why-remedies"]
    assert {path.suffix for path in tmp_path.glob("why-remedies.*")} == {".png", ".svg", ".pdf", ".csv"}


def test_the_table_has_every_variant(tmp_path):
    (table,) = remedies_chapter(remedied(REMEDIES), tmp_path).tables
    assert list(table.shown["Remedy"][:2]) == ["no remedy (plain-56)", "shortcut (resnet-56)"]
    assert (
        dict(zip(table.shown["Remedy"], table.shown["The rise is"], strict=True))["orthogonal weights (plain-56)"]
        == "removed"
    )
    assert "Growth of gradients a layer" not in table.shown
    write_table(table, tmp_path)
    assert (tmp_path / "remedies.csv").read_text(encoding="utf-8").count("\n") == 2 + len(REMEDIES) + 1


def with_growth(rates, variants=REMEDIES):
    """Return a study whose gradients grow so much a layer at initialisation, by variant."""
    runs = remedied(variants).others
    rows = pd.DataFrame(
        [
            {
                **{key: run[key] for key in PROBE_COLUMNS},
                "step": 0,
                "layer": layer,
                "input_gradient": rates.get(run["variant"], 1.1) ** (10 - layer),
            }
            for _, run in runs[runs["net"] == "plain-56"].iterrows()
            for layer in range(10)
        ]
    )
    return remedied(variants, probes={"gradients": rows})


def test_growth_stands_in_the_table_where_gradients_were_measured(tmp_path):
    (table,) = remedies_chapter(with_growth({}), tmp_path).tables
    assert list(table.shown["Growth of gradients a layer"][:2]) == ["1.100 (3)", "\u2013"]
    assert "1.211" in table.caption


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        # Final errors rise in this order; a growth below 1 is as far from it as one above.
        ((1.01, 1.05, 1.10, 1.20, 0.70), "of 1.00 (p = 0.017): the farther, the higher the error."),
        ((1.20, 1.01, 1.10, 1.05, 1.15), "an order that may be chance."),
    ],
)
def test_it_is_told_whether_growth_and_error_go_together(rates, words, tmp_path):
    order = ("initialisation=orthogonal", "preactivation=true", "", "activation=tanh", "batch_norm=none")
    chapter = remedies_chapter(with_growth(dict(zip(order, rates, strict=True))), tmp_path)
    assert chapter.sentences[-1].startswith("Over 5 variants of 56 layers")
    assert chapter.sentences[-1].endswith(words)


def test_a_dose_is_told_and_drawn(tmp_path):
    chapter = remedies_chapter(remedied(SCALES, seeds=5), tmp_path)
    assert "With the shortcut times 0, 0.25, 0.5, 0.75 and 1 nets of 56 layers end at" in chapter.sentences[-1]
    assert "as low as with 1 at 0.75, higher at 0, 0.25 and 0.5" in chapter.sentences[-1]
    assert chapter.pictures[1].name == "why-shortcut-scale"
    assert "56 layers, 0.25: 20." in chapter.pictures[1].alt
    assert "crosses" not in chapter.pictures[1].caption
    broken = remedies_chapter(remedied(SCALES, diverged="resnet-56 seed 0"), tmp_path)
    assert "crosses: a seed diverged" in broken.pictures[1].caption


def test_one_seed_is_said_to_be_one(tmp_path):
    chapter = remedies_chapter(remedied({**REMEDIES, **SCALES}, seeds=1), tmp_path)
    said = " ".join(chapter.sentences)
    assert "What is said rests on one seed a net, with no interval." in said
    assert "as far as one seed can tell" in said
    assert "nan" not in said
    assert "one seed a net" in chapter.pictures[0].caption


def test_divergence_is_marked(tmp_path):
    chapter = remedies_chapter(remedied({"width=2": GOOD}, diverged="plain-56 seed 0"), tmp_path)
    assert "whether the rise is removed can't be told for width=2" in chapter.sentences[-1].lower()
    assert "1 of 3 diverged" in chapter.sentences[-1]
    assert "crosses: a seed diverged" in chapter.pictures[0].caption
    assert chapter.tables[0].shown["Deep net (%)"].iloc[-1].endswith("1 diverged")


def test_without_a_rise_there_is_nothing_to_repair(tmp_path):
    flat = {net: (1.0, 0.05) for net in PAPER}
    said = remedies_chapter(remedied({"width=2": GOOD}, flat, seeds=5), tmp_path).sentences
    assert "there is no rise that a remedy could remove" in said[0]
    assert "as without a remedy" in said[1]


def test_many_variants_are_counted(tmp_path):
    chapter = remedies_chapter(remedied({f"width={k}": HALF for k in range(2, 50)}), tmp_path)
    assert "and 40 others" in chapter.sentences[1]
    assert "Of 50 variants, the 40 at either end are drawn." in chapter.pictures[0].caption


def test_a_single_depth_is_not_judged(tmp_path):
    plain = {("plain", 8): (1.0, 0.1)}
    said = remedies_chapter(remedied({"width=2": GOOD}, plain), tmp_path).sentences
    assert said[0].startswith("No plain nets of two depths")
    assert "no other nets of the same depths" in said[1]


def test_there_is_no_chapter_without_a_variant(tmp_path):
    assert remedies_chapter(make_evidence(), tmp_path) is None


def test_a_remedy_at_the_deep_net_alone_is_held_against_the_shallow_plain_net(tmp_path):
    evidence = remedied({"initialisation=orthogonal": GOOD, "activation=tanh": HALF})
    deep = evidence.others[(evidence.others["variant"] == "") | (evidence.others["depth"] == 56)]
    chapter = remedies_chapter(replace(evidence, others=deep), tmp_path)
    (table,) = chapter.tables
    effects = dict(zip(table.shown["Remedy"], table.shown["The rise is"], strict=True))
    assert effects["orthogonal weights (plain-56)"] == "removed"
    rows = table.numbers.set_index("variant")
    plain = rows[(rows.index == "") & (rows["architecture"] == "plain")].iloc[0]
    other = rows.loc["activation=tanh"]
    assert (other["shallow"], other["deep"]) == (8, 56)
    assert other["rise"] == pytest.approx(other["deep_error"] - plain["shallow_error"])
    assert other["removed"] == pytest.approx(plain["deep_error"] - other["deep_error"])
    assert table.shown.set_index("Remedy").loc["tanh (plain-56)", "Layers"] == "56"
