import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.report import Joined, build_report
from study.report.page import prose

from .frames import Truth, diverge, make_study, unfinish

FIGURES = ("depth", "degradation", "curves", "probability", "speed", "rates", "why-overfitting", "why-slowness")
KINDS = ("png", "svg", "pdf", "csv")
TABLES = (
    "results", "pairs", "plain-residual", "errors", "architectures", "rates", "trials", "runs", "good-rates", "winners",
    "robustness", "depth-laws", "depth-law-predictions",
)  # fmt: skip
MADE = {"study": "0.1.0", "torch": "2.14.0", "command": "study report digits --out here"}


class Page(HTMLParser):
    """Everything of a page that can be asked for in a test."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.alts, self.ids, self.scopes, self.words = [], [], [], [], [], []
        self.feed(text)
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
    assert "url(" not in text
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
        "resnet-8 seed 2: interrupted", "study report digits --out here", "2.14.0", "Means over 2 to 3 seeds",
        "0123456789abcdef", "final_train_error_augmented", "23 of 24 runs are counted", "1,293",
    ):  # fmt: skip
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
sys.path[:0] = [{str(root)!r}, {str(root / "tests")!r}]
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "mlflow", "optuna", "typer", "ray"):
            raise ImportError(f"{{name}} isn't here")
sys.meta_path.insert(0, Refuse())
from pathlib import Path
from report.frames import Truth, make_study
from study.report import Joined, build_report
study = make_study(Truth({{("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1)}}))
print(build_report(Joined("s", study.runs, study.curves, study.trials), Path({str(tmp_path / "out")!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "out" / "index.html")
