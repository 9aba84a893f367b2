import numpy as np
import pandas as pd
import pytest

from study.report import Joined
from study.report.build import draw_variant

from .frames import Truth, diverge, make_study

PAIR = Truth({(name, depth): (1, 1) for name in ("plain", "residual") for depth in (8, 20)})


def drawn(runs, curves, folder, style="house"):
    variant = str(runs["variant"].iloc[0])
    return draw_variant(Joined("s", runs, curves, pd.DataFrame()), variant, folder, style)


@pytest.mark.parametrize("case", ["plain only", "one seed", "one depth", "diverged", "very deep", "vgg", "no test"])
def test_every_figure_is_drawn(case, tmp_path):
    pair = make_study(PAIR)
    study = {
        "plain only": pair,
        "one seed": make_study(Truth({("plain", 8): (1, 1), ("residual", 8): (1, 1), ("plain", 20): (1, 1)}, seeds=1)),
        "one depth": make_study(Truth({("plain", 8): (1, 1), ("residual", 8): (1, 1)}, trials=1)),
        "diverged": diverge(pair, "plain-20 seed 1"),
        "very deep": make_study(Truth({("residual", depth): (1, 1) for depth in (20, 32, 110, 1202)})),
        "vgg": make_study(Truth({("plain", 18): (1, 1), ("residual", 18): (1, 1), ("vgg", 16): (1, 1)})),
        "no test": pair,
    }[case]
    runs, curves = study.runs, study.curves
    if case == "plain only":
        runs, curves = (frame[frame["architecture"] == "plain"] for frame in (runs, curves))
    if case == "no test":
        runs, curves = runs.assign(final_test_error=np.nan), curves.assign(test_error=np.nan)
    pictures = drawn(runs, curves, tmp_path)
    assert {"depth", "curves", "speed"} <= set(pictures)
    assert ("degradation" in pictures) == (case in ("plain only", "one seed", "diverged", "no test"))
    assert ("probability" in pictures) == (case not in ("one seed", "one depth", "vgg"))
    assert ("very-deep" in pictures) == (case == "very deep")
    assert next(iter(pictures)) == "depth"
    for picture in pictures.values():
        assert "nan" not in picture.caption + picture.alt
        assert picture.files == tuple(f"figures/{picture.name}.{kind}" for kind in ("png", "svg", "pdf", "csv"))
        for kind in ("png", "svg", "pdf"):
            assert (tmp_path / f"{picture.name}.{kind}").stat().st_size > 1000
        assert len(pd.read_csv(tmp_path / f"{picture.name}.csv")) > 0


def test_captions_say_what_is_drawn(tmp_path):
    pictures = drawn(*vars_of(make_study(PAIR)), tmp_path)
    assert "bands reach from the lowest to the highest seed" in pictures["curves"].caption
    assert "deeper nets are darker" in pictures["curves"].caption
    assert "3 seeds a net" in pictures["probability"].caption
    assert "20 over 8 layers" in pictures["probability"].alt
    assert pictures["speed"].caption.startswith("Time of a run (left) and images trained on in a second (right)")
    alone = make_study(PAIR).curves.assign(test_error=np.nan)
    text = drawn(make_study(PAIR).runs, alone, tmp_path)["curves"].caption
    assert text.startswith("Training error (running average over the images since the last point, as trained) by")
    assert "bold" not in text


def test_the_papers_curves_and_axes_are_told(paper, digits, tmp_path):
    pictures = drawn(paper.runs.assign(dataset="cifar10"), paper.curves, tmp_path / "a", "paper")
    for name in ("curves", "degradation"):
        assert "digitised from its Figure 6" in pictures[name].caption
        assert "test error is read to 0.1 points, training error to 0.3 points" in pictures[name].caption
        assert "Axes and colours are the paper's." in pictures[name].caption
        assert "darker" not in pictures[name].caption
    assert "paper" not in drawn(paper.runs, paper.curves, tmp_path / "b")["curves"].caption
    adapted = drawn(digits.runs, digits.curves, tmp_path / "c", "paper")["curves"].caption
    assert "Axes and colours are the paper's, but errors reach to 60% in place of 20%." in adapted


def test_very_deep_nets_are_said_to_be_elsewhere(tmp_path):
    study = make_study(Truth({("residual", depth): (1, 1) for depth in (20, 110, 1202)}))
    pictures = drawn(study.runs, study.curves, tmp_path)
    assert "nets of 1202 layers are in the next figure" in pictures["curves"].caption
    assert "1202 layers" in pictures["very-deep"].alt
    assert list(pictures).index("very-deep") == list(pictures).index("curves") + 1


def test_two_variants_have_figures_of_their_own(tmp_path):
    study = make_study(PAIR)
    runs, curves = (frame.assign(variant="width=2, note=$\\alpha_1^2$\n漢") for frame in (study.runs, study.curves))
    pictures = drawn(runs, curves, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".pdf", ".csv"}
    assert all(picture.name.endswith("-width-2-note-alpha_1-2") for picture in pictures.values())
    assert next(iter(pictures.values())).variant.startswith("width=2")


def test_the_same_frames_give_the_same_bytes(digits, tmp_path):
    for folder in ("a", "b"):
        drawn(digits.runs, digits.curves, tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 20
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def vars_of(study):
    return study.runs, study.curves
