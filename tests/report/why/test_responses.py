import dataclasses

import numpy as np
import pytest

from study.report.moments import at_moments
from study.report.why.responses import mean_responses, responses_chapter

from .probes import make_evidence, with_probe


def measured(size, evidence=None, noise=0.01):
    """Return evidence of layers that respond with size(architecture, depth), the first twice as strongly."""

    def rows(run, random):
        level = size(run["architecture"], run["depth"])
        for step in (0, 220):
            scale = np.exp(random.normal(0, noise))
            for layer in range(int(run["depth"]) - 1):
                std = 1.0 if step == 0 else level * scale * (2 if layer == 0 else 1)
                yield {"step": step, "layer": layer, "name": f"l{layer}", "stage": 1, "std": std, "channel_std": std}

    return with_probe(evidence or make_evidence(), "responses", rows)


def as_paper(kind, depth):
    return 1.0 if kind == "plain" else 0.6 if depth == 20 else 0.4


def test_the_mean_of_a_run_is_geometric():
    evidence = measured(as_paper, noise=0.0)
    sizes = mean_responses(at_moments(evidence.rows("responses"), evidence.runs))
    assert len(sizes) == 12
    assert sizes.loc[sizes["net"] == "resnet-20", "size"].iloc[0] == pytest.approx(0.6 * 2 ** (1 / 19))


def test_the_papers_picture_is_told(tmp_path):
    chapter = responses_chapter(measured(as_paper), tmp_path)
    smaller, plain, residual = chapter.sentences
    assert "the layers of resnet-56 respond 0.4" in smaller
    assert "less, as the paper" in smaller
    assert "From plain-20 to plain-56" in plain
    assert "From resnet-20 to resnet-56" in residual
    assert "it falls with depth, as in the paper" in residual
    (picture,) = chapter.pictures
    assert picture.name == "why-responses"
    assert "Figure 7" in picture.caption
    assert "Means over 3 seeds" in picture.caption
    assert "residual 20 layers 0.63 (0.60 to 1.19)" in picture.alt


def test_the_opposite_is_told_too(tmp_path):
    chapter = responses_chapter(measured(lambda kind, depth: depth / 20 if kind == "residual" else 1.0), tmp_path)
    assert "more, where the paper" in chapter.sentences[0]
    assert "it rises with depth, unlike in the paper" in chapter.sentences[2]


def test_equal_nets_and_single_seeds_cant_be_told_apart(tmp_path):
    chapter = responses_chapter(measured(lambda kind, depth: 1.0, noise=0.05), tmp_path)
    assert "can't be told" in chapter.sentences[0]
    one = responses_chapter(measured(as_paper, make_evidence(seeds=1)), tmp_path)
    assert all("one seed, so no interval" in text and "can't be told" in text for text in one.sentences)
    assert "One seed a net" in one.pictures[0].caption


def test_a_net_alone_is_described(tmp_path):
    chapter = responses_chapter(measured(as_paper, make_evidence((("plain", 20),))), tmp_path)
    (said,) = chapter.sentences
    assert "no net to compare it with" in said
    wide = responses_chapter(measured(lambda kind, depth: depth**2.0), tmp_path)
    assert "0.00" not in wide.sentences[1]


def test_responses_that_span_decades_have_a_logarithmic_axis(tmp_path):
    chapter = responses_chapter(measured(lambda kind, depth: 50.0 if (kind, depth) == ("plain", 56) else 1.0), tmp_path)
    assert "logarithmic" in chapter.pictures[0].caption


def test_no_run_that_ended_is_no_chapter(tmp_path):
    evidence = measured(as_paper)
    assert responses_chapter(make_evidence(), tmp_path) is None
    diverged = dataclasses.replace(evidence, runs=evidence.runs.assign(outcome="diverged"))
    assert responses_chapter(diverged, tmp_path) is None
    holes = evidence.probes["responses"].assign(std=np.nan)
    assert responses_chapter(dataclasses.replace(evidence, probes={"responses": holes}), tmp_path) is None
