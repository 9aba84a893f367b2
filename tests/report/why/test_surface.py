import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from study.report.why.surface import surface_chapter

from .probes import make_evidence
from .slices import with_slices


def as_paper(run, kind):
    return 0.6 if run["net"] == "plain-56" else 0.05


def narrow(run, kind):
    return 0.02 if run["net"] == "plain-56" else 0.4


def test_the_papers_picture_is_told(tmp_path):
    chapter = surface_chapter(with_slices(make_evidence(seeds=1), as_paper, narrow), tmp_path)
    depth, shortcuts, basin = chapter.sentences
    assert "60% of the points around plain-56 and 5.0% around plain-20 with running statistics (one slice" in depth
    assert "less convex around plain-56, as Li et al. 2018 saw (Figures 5 and 6)." in depth
    assert "around resnet-56" in shortcuts
    assert "ln 10 = 2.30 nats" in basin
    assert "narrower than around plain-20 (2.0% against 40%" in basin
    assert "edge" not in basin
    contours, slices = chapter.pictures
    assert (contours.name, slices.name) == ("why-surface", "why-surface-slice")
    assert "1712.09913" in contours.caption
    assert "plain-56, running statistics: 0.0100 nats at the centre" in contours.alt
    assert "plain-20, batch statistics: 4.01 nats at -1, 0.0100 at 0, 4.01 at 1" in slices.alt


def test_the_opposite_is_told_too(tmp_path):
    chapter = surface_chapter(
        with_slices(make_evidence(seeds=1), lambda run, kind: 0.9 - as_paper(run, kind)), tmp_path
    )
    assert "more convex around plain-56, unlike in Li et al. 2018" in chapter.sentences[0]
    assert "not clearly unlike around plain-20" in chapter.sentences[2]


def test_small_and_contrary_differences_arent_told(tmp_path):
    near = with_slices(make_evidence(seeds=1), lambda run, kind: 0.3 + 0.001 * run["depth"])
    assert "no difference can be told." in surface_chapter(near, tmp_path).sentences[0]
    contrary = with_slices(make_evidence(seeds=1), lambda run, kind: abs((kind == "running") - as_paper(run, kind)))
    assert (
        "can't be told whether plain-56 or plain-20 is less convex" in surface_chapter(contrary, tmp_path).sentences[0]
    )
    one = with_slices(make_evidence(seeds=1), lambda run, kind: as_paper(run, kind) if kind == "batch" else 0.1)
    assert "though with running statistics no difference can be told." in surface_chapter(one, tmp_path).sentences[0]


def test_several_seeds_have_an_interval(tmp_path):
    evidence = with_slices(make_evidence(), as_paper, narrow, noise=0.01)
    depth, _, basin = surface_chapter(evidence, tmp_path).sentences
    assert "95% interval of the difference 5" in depth
    assert "as Li et al. 2018 saw" in depth
    assert "narrower than" in basin
    noisy = with_slices(make_evidence(), lambda run, kind: 0.5, noise=0.2)
    assert "no difference can be told" in surface_chapter(noisy, tmp_path).sentences[0]


def test_a_net_that_has_hardly_learned_is_named(tmp_path):
    evidence = with_slices(
        make_evidence(seeds=1), as_paper, narrow, loss=lambda run: 1.6 if run["net"] == "plain-56" else 0.0
    )
    assert (
        "plain-56 itself ends at 1.60 nats, near the basin's edge." in surface_chapter(evidence, tmp_path).sentences[2]
    )


@pytest.mark.parametrize("nets", [(("plain", 56),), (("residual", 20),), (("plain", 20), ("plain", 56))])
def test_fewer_nets(nets, tmp_path):
    chapter = surface_chapter(with_slices(make_evidence(nets, seeds=1), as_paper), tmp_path)
    assert len(chapter.pictures) == 2
    if len(nets) == 1:
        assert chapter.sentences[0].endswith("there is no net to compare with.")
    else:
        assert "plain-20" in chapter.sentences[0]


def test_losses_that_arent_numbers_are_borne(tmp_path):
    def broken(run, a, b):
        if run["net"] == "plain-56":
            return math.nan if a > 0 else math.inf if b > 0 else 3.0 - b
        return 1e30 if run["net"] == "resnet-20" else 0.0 if a == b == 0 else 1.0

    evidence = with_slices(make_evidence(seeds=1), lambda run, kind: math.nan, loss_of=broken)
    chapter = surface_chapter(evidence, tmp_path)
    assert "nan" not in " ".join(chapter.sentences)
    assert "–" in list(chapter.tables[0].shown["Not convex (% of the basin)"])  # noqa: RUF001


def test_nothing_measured_is_no_chapter(tmp_path):
    evidence = make_evidence()
    assert surface_chapter(evidence, tmp_path) is None
    measured = with_slices(evidence, as_paper)
    runs = measured.runs.assign(outcome="diverged")
    assert surface_chapter(dataclasses.replace(measured, runs=runs), tmp_path) is None
    lost = measured.probes["surface"].assign(loss=np.nan)
    probes = {**measured.probes, "surface": lost}
    assert surface_chapter(dataclasses.replace(measured, probes=probes), tmp_path) is None
    assert isinstance(measured.probes["surface"], pd.DataFrame)
