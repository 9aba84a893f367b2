import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.errors import StudyError
from study.report import Joined, build_report
from study.report.build import _results, draw_variant
from study.report.page import SCRIPT, prose
from study.verdict import judge
from tests.report.tables.paper_studies import cifar_runs, imagenet_runs

from .frames import Truth, diverge, make_study, unfinish
from .sketches import sketches

FIGURES = ("depth", "degradation", "curves", "probability", "speed", "rates", "why-overfitting", "why-slowness")
KINDS = ("png", "svg", "pdf", "csv")
TABLES = (
    "results",
    "pairs",
    "plain-residual",
    "errors",
    "architectures",
    "rates",
    "trials",
    "runs",
    "good-rates",
    "winners",
    "robustness",
    "expected-best",
    "depth-laws",
    "depth-law-predictions",
)
MADE = {"study": "0.1.0", "torch": "2.14.0", "command": "study report digits --out here"}


class Page(HTMLParser):
    """Everything of a page that can be asked for in a test, but its own script."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.alts, self.ids, self.scopes, self.words = [], [], [], [], [], []
        self.feed(text.replace(f"<script>{SCRIPT}</script>", "", 1))
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.addresses += [attributes[key] for key in ("src", "href") if key in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "img":
            self.alts.append(attributes["alt"])
        if tag == "th":
            self.scopes.append(attributes.get("scope"))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def built(digits, tmp_path_factory):
    study = unfinish(diverge(digits, "plain-56 seed 1"), "resnet-8 seed 2", "interrupted")
    out = tmp_path_factory.mktemp("reports") / "digits"
    with sketches():
        return build_report(Joined("digits", study.runs, study.curves, study.trials, words=MADE), out).parent


@pytest.fixture(scope="module")
def page(built):
    return Page((built / "index.html").read_text(encoding="utf-8"))


def test_all_files_are_there(built):
    files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert files == {
        "index.html",
        "verdict.json",
        *(f"figures/{name}.{kind}" for name in FIGURES for kind in KINDS),
        *(f"tables/{name}.{kind}" for name in TABLES for kind in ("csv", "md", "tex")),
    }


def test_the_page_needs_no_network(page, built):
    assert not [address for address in page.addresses if address.startswith(("http", "//", "/"))]
    assert "script" not in page.tags
    text = (built / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r"url\((.{3})", text)) <= {"%23"}  # a drawing's own parts
    assert "@import" not in text


def test_every_link_of_the_page_leads_somewhere(page, built):
    relative = [a for a in page.addresses if not a.startswith(("data:", "#"))]
    assert len(relative) == 1 + len(KINDS) * len(FIGURES) + 3 * len(TABLES)
    assert all((built / address).is_file() for address in relative)
    assert all(address[1:] in page.ids for address in page.addresses if address.startswith("#"))
    assert len(set(page.ids)) == len(page.ids)


def test_the_page_tells_what_a_reader_needs(page, built):
    told = json.loads((built / "verdict.json").read_text(encoding="utf-8"))
    assert told["verdicts"][0]["line"] in page.text
    assert all(sentence in page.text for sentence in told["verdicts"][0]["sentences"])
    for wanted in (
        "resnet-8 seed 2: interrupted",
        "study report digits --out here",
        "2.14.0",
        "Means over 2 to 3 seeds",
        "0123456789abcdef",
        "final_train_error_augmented",
        "23 of 24 runs are counted",
        "1,293",
    ):
        assert wanted in page.text


def test_the_page_is_accessible(page):
    assert len(page.alts) == len(FIGURES)
    assert "plain 56 layers" in page.alts[2]
    assert all(len(alt) > 80 and "nan" not in alt for alt in page.alts)
    assert set(page.scopes) == {"row", "col"}
    assert page.tags.count("caption") == page.tags.count("table") == len(TABLES)


def test_verdict_json(built, digits):
    told = json.loads((built / "verdict.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert told["runs"] == 24
    assert len(told["counted"]) == 23
    assert told["excluded"] == [
        {"name": "resnet-8 seed 2", "run_id": told["excluded"][0]["run_id"], "reason": "interrupted"}
    ]
    (verdict,) = told["verdicts"]
    plain, residual = verdict["findings"]
    assert (plain["architecture"], residual["architecture"]) == ("plain", "residual")
    assert plain["headline"]["difference"]["n_deep"] == 3
    assert verdict["remedy"]["contrast"]["low"] < verdict["remedy"]["contrast"]["estimate"]


def test_learning_rates_have_a_section(built, page):
    told = json.loads((built / "verdict.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    (searches,) = told["learning_rates"]
    assert searches["variant"] == ""
    assert all(sentence in page.text for sentence in searches["sentences"])
    assert [net["net"] for net in searches["nets"]][:2] == ["plain-8", "plain-20"]
    assert [choice["name"] for choice in searches["choices"]] == ["tuned", "shared"]
    assert "Does the answer depend on the learning rate?" in page.text
    assert "#rates" in page.addresses
    numbers = re.findall(r"(Figure|Table) (\d+)\.", page.text)
    for kind, last in (("Figure", len(FIGURES)), ("Table", len(TABLES))):
        assert [int(number) for name, number in numbers if name == kind] == list(range(1, last + 1))


@pytest.mark.usefixtures("sketched")
def test_each_variant_has_its_searches(digits, tmp_path):
    frames = [
        pd.concat([frame.assign(variant=f"width={width}") for width in (1, 2)])
        for frame in (digits.runs, digits.curves, digits.trials)
    ]
    index = build_report(Joined("digits", *frames), tmp_path / "out")
    page = Page(index.read_text(encoding="utf-8"))
    assert {"rates-1", "rates-2"} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    for width in (1, 2):
        assert (tmp_path / f"out/figures/rates-width-{width}.svg").exists()
        assert (tmp_path / f"out/tables/robustness-width-{width}.csv").exists()


@pytest.mark.usefixtures("sketched")
def test_a_second_build_replaces_the_first_and_keeps_other_files(built, digits):
    (built / "notes.txt").write_text("mine")
    (built / "figures" / "old.png").write_text("old")
    small = make_study(Truth({("plain", 8): (1, 0.1)}))
    index = build_report(Joined("digits", small.runs, small.curves.iloc[:0], small.trials.iloc[:0]), built)
    assert "learning rate?" not in index.read_text(encoding="utf-8")
    assert (built / "notes.txt").read_text() == "mine"
    assert {path.stem for path in (built / "figures").iterdir()} == {"depth", "speed"}
    assert [path.name for path in built.parent.iterdir()] == ["digits"]
    assert (built / "index.html").stat().st_mode & 0o044 == 0o044


@pytest.mark.usefixtures("sketched")
def test_a_failed_build_leaves_the_old_report(digits, tmp_path, monkeypatch):
    small = make_study(Truth({("plain", 8): (1, 0.1)}))
    frames = small.runs, small.curves.iloc[:0], small.trials.iloc[:0]
    index = build_report(Joined("s", *frames), tmp_path / "s")
    before = index.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("study.report.build.render", fail)
    with pytest.raises(OSError, match="no space"):
        build_report(Joined("s", *frames), tmp_path / "s")
    assert index.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.usefixtures("sketched")
def test_names_from_outside_are_escaped(tmp_path):
    study = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1)}, trials=0))
    bad = "<script>alert(1)</script>"
    runs = study.runs.assign(net=bad + study.runs["net"], name=bad, variant=bad, dataset=bad, device=bad)
    curves = study.curves.assign(variant=bad)
    index = build_report(Joined(bad, runs, curves, pd.DataFrame(), words={bad: bad, "command": bad}), tmp_path / "out")
    text = index.read_text(encoding="utf-8")
    assert "script" not in Page(text).tags
    assert "&lt;script&gt;alert(1)" in text
    assert all("<" not in path.name for path in (tmp_path / "out").rglob("*"))


def test_prose_escapes_before_it_marks():
    assert str(prose("<b> resnet-20 p < 0.0001")) == (
        '&lt;b&gt; <span class="whole">resnet-20</span> <span class="whole">p &lt; 0.0001</span>'
    )


def test_nothing_to_report(digits, tmp_path):
    empty = digits.runs.iloc[:0]
    with pytest.raises(StudyError, match="study 'digits' has no runs to report"):
        build_report(Joined("digits", empty, digits.curves, digits.trials), tmp_path / "out")
    running = unfinish(digits, "plain-8 seed 0", "running").runs.iloc[:1]
    with pytest.raises(StudyError, match="has a result yet \\(1 running\\)"):
        build_report(Joined("digits", running, digits.curves, digits.trials), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_of_something_else_is_replaced(digits, tmp_path):
    (tmp_path / "index.html").write_text("my site")
    (tmp_path / "file").write_text("")
    for out, match in ((tmp_path, "holds other files"), (tmp_path / "file", "is a file")):
        with pytest.raises(StudyError, match=match):
            build_report(Joined("digits", digits.runs, digits.curves, digits.trials), out)
    assert (tmp_path / "index.html").read_text() == "my site"


def test_a_report_is_built_where_only_its_own_libraries_are(tmp_path):
    """No torch, MLflow, Optuna or Typer is met on the way from frames to page."""
    root = Path(__file__).parents[2]
    code = f"""
import sys
sys.path.insert(0, {str(root)!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "mlflow", "optuna", "typer", "ray"):
            raise ImportError(f"{{name}} isn't here")
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from tests.report.frames import Truth, make_study
from tests.report.sketches import sketches
from study.report import Joined, build_report
study = make_study(Truth({{("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1)}}))
with sketches():
    print(build_report(Joined("s", study.runs, study.curves, study.trials), Path({str(tmp_path / "out")!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "out" / "index.html")


NONE = pd.DataFrame()


def names(runs, trials=NONE, verdicts=(), curves=NONE):
    return [table.name for table in all_tables(runs, trials, verdicts, curves)]


def all_tables(runs, trials=NONE, verdicts=(), curves=NONE):
    (part,) = _results(Joined("s", runs, curves, trials), verdicts)
    return part.tables


def test_a_study_has_the_tables_that_it_has_rows_for(digits):
    (verdict,) = judge(digits.runs)
    assert names(digits.runs, digits.trials, [verdict]) == [
        "results",
        "pairs",
        "plain-residual",
        "errors",
        "architectures",
        "rates",
        "trials",
        "runs",
    ]
    assert "training-errors" in names(cifar_runs())
    assert "shortcuts" in names(imagenet_runs("AB"))
    assert "plain-residual" not in names(digits.runs[digits.runs["architecture"] == "plain"])


def test_captions_say_what_and_when():
    for runs in (cifar_runs(), imagenet_runs("ABC")):
        tables = {table.name: table for table in all_tables(runs)}
        for name in ("results", "plain-residual", "errors"):
            assert "after the last iteration" in tables[name].caption
            assert "standard deviation over seeds" in tables[name].caption
        assert all(table.caption.endswith(".") for table in tables.values())


def test_before_any_result_there_are_runs_alone(digits):
    waiting = unfinish(digits, "plain-8 seed 0", "running").runs.iloc[:1]
    assert names(waiting, curves=digits.curves) == ["unfinished", "architectures", "runs"]


PAIR = Truth({(name, depth): (1, 1) for name in ("plain", "residual") for depth in (8, 20)})


def drawn(runs, curves, folder, style="house"):
    variant = str(runs["variant"].iloc[0])
    return draw_variant(Joined("s", runs, curves, pd.DataFrame()), variant, folder, style)


@pytest.mark.usefixtures("sketched")
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
        assert len(pd.read_csv(tmp_path / f"{picture.name}.csv")) > 0


@pytest.mark.usefixtures("sketched")
def test_captions_say_what_is_drawn(tmp_path):
    pictures = drawn(*vars_of(make_study(PAIR)), tmp_path)
    assert "bands reach from the lowest to the highest seed" in pictures["curves"].caption
    assert "deeper nets stand out more from the page" in pictures["curves"].caption
    assert "3 seeds a net" in pictures["probability"].caption
    assert "20 over 8 layers" in pictures["probability"].alt
    assert pictures["speed"].caption.startswith("Time of a run (left) and images trained on in a second (right)")
    alone = make_study(PAIR).curves.assign(test_error=np.nan)
    text = drawn(make_study(PAIR).runs, alone, tmp_path)["curves"].caption
    assert text.startswith("Training error (running average over the images since the last point, as trained) by")
    assert "bold" not in text


@pytest.mark.usefixtures("sketched")
def test_the_papers_curves_and_axes_are_told(paper, digits, tmp_path):
    pictures = drawn(paper.runs.assign(dataset="cifar10"), paper.curves, tmp_path / "a", "paper")
    for name in ("curves", "degradation"):
        assert "digitised from its Figure 6" in pictures[name].caption
        assert "test error is read to 0.1 points, training error to 0.3 points" in pictures[name].caption
        assert (
            "Axes and colours are the paper's; on a dark page light and dark change places." in pictures[name].caption
        )
        assert "stand out" not in pictures[name].caption
    assert "paper" not in drawn(paper.runs, paper.curves, tmp_path / "b")["curves"].caption
    adapted = drawn(digits.runs, digits.curves, tmp_path / "c", "paper")["curves"].caption
    assert "Axes and colours are the paper's, but errors reach to 60% in place of 20%; on a dark page" in adapted


@pytest.mark.usefixtures("sketched")
def test_very_deep_nets_are_said_to_be_elsewhere(tmp_path):
    study = make_study(Truth({("residual", depth): (1, 1) for depth in (20, 110, 1202)}))
    pictures = drawn(study.runs, study.curves, tmp_path)
    assert "nets of 1202 layers are in the next figure" in pictures["curves"].caption
    assert "1202 layers" in pictures["very-deep"].alt
    assert list(pictures).index("very-deep") == list(pictures).index("curves") + 1


@pytest.mark.usefixtures("sketched")
def test_two_variants_have_figures_of_their_own(tmp_path):
    study = make_study(PAIR)
    runs, curves = (frame.assign(variant="width=2, note=$\\alpha_1^2$\n漢") for frame in (study.runs, study.curves))
    pictures = drawn(runs, curves, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".pdf", ".csv"}
    assert all(picture.name.endswith("-width-2-note-alpha_1-2") for picture in pictures.values())
    assert next(iter(pictures.values())).variant.startswith("width=2")


def test_the_same_frames_give_the_same_bytes(tmp_path):
    study = make_study(PAIR)
    for folder in ("a", "b"):
        drawn(study.runs, study.curves, tmp_path / folder)
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 20
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in files)
    assert all(path.stat().st_size > 1000 for path in files if path.suffix != ".csv")


def vars_of(study):
    return study.runs, study.curves
