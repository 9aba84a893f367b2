"""The page read as text: what it tells, in which order, and that nothing from outside gets out of its place."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from study.report import Joined, build_report
from study.report.page import LONG, MAIN, MOST, MOST_UNFOLDED, MOST_WORDS, POLICY, SCRIPT, briefly, opening, unfolded
from study.report.tables.writer import Table

from .data import make_record
from .frames import Truth, make_study, unfinish
from .test_build import Page

pytestmark = pytest.mark.usefixtures("all_sketched")

BAD = '"><img src=x onerror="alert(1)">javascript:alert(1)<script>alert(2)</script>'
SMALL = Truth({("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1), ("residual", 8): (1, 0.1), ("residual", 20): (1, 0.1)})
PROVENANCE = {
    "command": "study run --grid digits",
    "grid": "name: digits  # as given\n",
    "tune": "{low: 0.25}",
    "left out": "run 'x' is left out",
    "mlflow_ui": "https://mlflow.example/team",
    "experiment_id": "7",
    "torch": "2.14.0",
    "processor": "2 x Zen",
}
VOID = {"meta", "link", "img", "source", "br", "hr", "input"}


class Strict(HTMLParser):
    """Headings, landmarks and outside addresses of a page; fails on tags that aren't closed in their order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.headings, self.sources, self.links, self.styles, self.landmarks = [], [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        assert not [name for name in known if name.startswith("on")]
        self.sources += [known[name] for name in ("src", "srcset", "data", "poster", "background") if name in known]
        self.sources += [known["href"]] if tag in ("link", "use", "image", "base") else []
        self.links += [known["href"]] if tag == "a" else []
        self.styles += [known["style"]] if "style" in known else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.landmarks += [tag] if tag in ("header", "nav", "main", "footer") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two variants, searches, data, and runs without a result."""
    study = unfinish(unfinish(make_study(SMALL), "plain-8 seed 1", "running"), "plain-20 seed 2", "failed")
    frames = [
        pd.concat(
            [frame.assign(variant=f"width={width}", run_id=frame["run_id"].str[:-1] + str(width)) for width in (1, 2)],
            ignore_index=True,
        )
        for frame in (study.runs, study.curves, study.trials)
    ]
    out = tmp_path_factory.mktemp("two") / "out"
    return build_report(Joined("two", *frames, words=PROVENANCE, datasets=(make_record(),)), out).read_text(
        encoding="utf-8"
    )


def build(tmp_path, runs, provenance=PROVENANCE, name="digits", trials=None, curves=None, datasets=()):
    curves = pd.DataFrame() if curves is None else curves
    trials = pd.DataFrame() if trials is None else trials
    study = Joined(name, runs, curves, trials, words=provenance, datasets=tuple(datasets))
    index = build_report(study, tmp_path / "out")
    return index.read_text(encoding="utf-8")


def test_the_order_of_the_page(two):
    places = [
        two.index(mark)
        for mark in (
            'class="abstract"',
            'class="note"',
            'id="verdict"',
            'class="plain basis"',
            'id="variant-1"',
            'id="figure-depth-width-1"',
            'id="variant-2"',
            'id="figure-depth-width-2"',
            'id="contents"',
            'id="figures"',
            'id="rates"',
            'id="tables"',
            'id="data"',
            'id="rule"',
            'id="made"',
        )
    ]
    assert places == sorted(places)


def test_headings_are_in_order_and_landmarks_there(two):
    read = Strict(two)
    assert read.headings[0] == 1
    assert read.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(read.headings, read.headings[1:], strict=False))
    assert read.landmarks == ["header", "main", "nav", "footer"]
    assert '<html lang="en">' in two
    assert '<a class="skip" href="#verdict">' in two


def test_each_variant_has_a_heading_and_the_one_picture(two):
    page = Page(two)
    assert {"variant-1", "variant-2", "figures-1", "figures-2", "rates-1", "rates-2"} <= set(page.ids)
    assert page.ids.count("figure-depth-width-1") == 1
    assert len(set(page.ids)) == len(page.ids)
    for width in (1, 2):
        assert f"Final error against depth (width={width})." in page.text
        assert page.text.count(f"width={width}: plain nets") == 1  # the overview
    numbers = [int(number) for number in re.findall(r"<strong>Figure (\d+)\.", two)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_contents_lead_to_everything(two):
    contents = two[two.index('id="contents"') : two.index("</nav>")]
    targets = re.findall(r'href="#([^"]+)"', contents)
    ids = Page(two).ids
    assert set(targets) <= set(ids)
    assert {"verdict", "variant-2", "figures", "figures-2", "rates-1", "tables", "data", "rule", "made"} <= set(targets)
    assert {one for one in ids if one.startswith("table-data")} <= set(targets)


def test_nothing_comes_from_outside(two):
    read = Strict(two)
    assert all(source.startswith("data:") for source in read.sources)
    assert not set(re.findall(r"<([a-z]+)", two)) & {"iframe", "object", "embed", "base", "form", "video"}
    assert re.findall(r"<script.*?</script>", two, re.DOTALL) == [f"<script>{SCRIPT}</script>"]
    style = "".join(re.findall(r"<style>(.*?)</style>", two, re.DOTALL)) + "".join(read.styles)
    assert "url(" not in style
    assert "@import" not in style
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in two.replace("&#39;", "'")
    assert "default-src 'none'" in POLICY
    assert re.findall(r"script-src ([^;]+);", POLICY) == [f"'sha256-{digest(SCRIPT)}'"]
    assert not re.search(r"\w+://|import|fetch|eval|innerHTML", SCRIPT)


def digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_needs_no_script(two):
    """Without one all is there, folded up; the button, which is of no use then, alone is hidden."""
    assert re.findall(r"<[^>]* hidden[^>]*>", two) == ['<button type="button" id="copy" hidden>']
    assert two.count("<details") == two.count("<summary") > 20


def test_the_abstract_says_what_was_trained(two):
    first = Page(two).text.split("undo it? ")[1]
    assert first.startswith(
        "Plain and residual nets of 8 and 20 layers, 2 to 3 seeds each, in 2 variants, were trained on digits for 220 "
        "iterations on 1 January 2026. Final training error goes from "
    )
    assert re.search(r"Data: digits, 1,293 training images, 360 test images, 10 classes\. Learning rate: The", first)


def test_what_is_folded_says_what_it_holds(two):
    summaries = re.findall(r"<summary>(.*?)</summary>", two)
    assert all(len(re.sub("<.*?>", "", text).split()) > 1 for text in summaries)
    assert any(re.fullmatch(r"More: Figure \d+, Tables \d+, \d+, \d+ and \d+", text) for text in summaries)
    assert any(re.fullmatch(r"Table \d+: Pairs of depths, 8 rows", text) for text in summaries)


def test_a_sentence_in_brief_and_a_caption_in_parts():
    assert briefly("It rises by 3 points (95% interval 1 to 5, 3 seeds): so.") == "It rises by 3 points: so."
    assert opening("Errors, as in He et al. 2015 (Figure 6). Means over 3 seeds. Marks.") == (
        "Errors, as in He et al. 2015 (Figure 6).",
        "Means over 3 seeds. Marks.",
    )
    assert opening("One sentence.") == ("One sentence.", "")


def test_short_tables_that_matter_are_unfolded():
    def table(name, rows):
        return Table(name, "c", pd.DataFrame(), pd.DataFrame({"Net": ["a"] * rows}))

    names = [*MAIN, "trials"]
    assert unfolded([table(name, 1) for name in names]) == list(MAIN)[:MOST_UNFOLDED]
    assert unfolded([table("pairs", 40), table("results", 3), table("trials", 1)]) == ["results"]


def test_of_tables_that_matter_as_many_are_unfolded_as_there_is_room_for():
    def table(name, words):
        return Table(name, "c", pd.DataFrame(), pd.DataFrame({"Net": ["a " * words]}))

    tables = [table("results", MOST_WORDS // 2), table("rates", MOST_WORDS), table("data-classes", 9)]
    assert unfolded(tables) == ["results", "data-classes"]


def test_runs_without_a_result_are_told_first(two):
    text = Page(two).text
    assert "2 of 24 runs are still running and 2 of 24 runs have no result (2 failed)" in text
    assert "rests on the 20 runs that are counted" in text
    assert "plain-8 seed 1 (width=1): still running after 220 of 220 iterations" in text


def test_a_finished_study_has_no_such_note(tmp_path):
    text = build(tmp_path, make_study(SMALL).runs)
    assert 'class="note"' not in text
    assert "Not counted" not in text


def test_why_a_run_failed_is_told(tmp_path):
    runs = unfinish(make_study(SMALL), "plain-8 seed 0", "failed").runs
    runs["reason"] = ["out of memory" if outcome == "failed" else None for outcome in runs["outcome"]]
    page = Page(build(tmp_path, runs))
    assert "plain-8 seed 0: failed after 220 of 220 iterations (out of memory)" in page.text
    assert "1 of 12 runs has no result (1 failed)" in page.text


def test_runs_are_linked_where_mlflow_has_pages(two, tmp_path):
    first = f"{'plain8x0':0<31}2"
    assert f'href="https://mlflow.example/team/#/experiments/7/runs/{first}"' in two
    runs = make_study(SMALL).runs
    for missing in ({"mlflow_ui": ""}, {"experiment_id": ""}, {"mlflow_ui": "javascript:alert(1)//"}):
        text = build(tmp_path, runs, PROVENANCE | missing)
        assert "/runs/" not in text
        assert "javascript:" not in text
        assert runs["run_id"].iloc[0] in text


def test_how_it_was_made_is_told(two):
    page = Page(two)
    for wanted in (
        "study run --grid digits study report --experiment two",
        "name: digits # as given",
        "runs: 20 tune: - {low: 0.25} nets:",
        "run 'x' is left out",
        "2 x Zen",
        "2.14.0",
        "0123456789abcdef0123456789abcdef01234567",
        "matplotlib",
        "20 of 24 runs are counted",
        "2026-01-01 00:00 to 2026-01-01 00:02",
    ):
        assert wanted in page.text


def test_a_changed_checkout_is_told(tmp_path):
    runs = make_study(SMALL).runs.assign(commit="abc-dirty")
    assert "abc with changes that weren't committed" in Page(build(tmp_path, runs)).text


@pytest.mark.parametrize("place", ["study", "class", "variant", "reason", "provenance", "key"])
def test_what_comes_from_outside_stays_text(tmp_path, place):
    study = unfinish(make_study(SMALL), "plain-8 seed 0", "failed")
    runs, trials, provenance, name = study.runs, None, dict(PROVENANCE), "digits"
    datasets = [make_record(classes=(BAD, "dog"))] if place == "class" else []
    if place == "study":
        name = BAD
    if place == "variant":
        runs, trials = runs.assign(variant=BAD), study.trials.assign(variant=BAD)
    if place == "reason":
        runs = runs.assign(reason=BAD)
    if place == "provenance":
        provenance = dict.fromkeys(PROVENANCE, BAD)
    if place == "key":
        provenance[BAD] = BAD
    text = build(tmp_path, runs, provenance, name, trials, datasets=datasets)
    read = Strict(text)
    assert text.count("<script") == text.count(f"<script>{SCRIPT}</script>") == 1
    assert "onerror=&#34;alert(1)" in text
    assert all(source.startswith("data:") for source in read.sources)
    assert all(re.match(r"#|https://mlflow\.example/|figures/|tables/|verdict\.json$", link) for link in read.links)


def test_a_command_is_quoted(tmp_path):
    assert "study report --experiment 'a; rm b'" in Page(build(tmp_path, make_study(SMALL).runs, name="a; rm b")).text


def test_long_tables_are_folded_and_very_long_ones_cut(tmp_path):
    many = Truth({("plain", depth): (1, 0.1) for depth in (8, 20)}, seeds=MOST, trials=0)
    text = build(tmp_path, make_study(many).runs)
    assert re.search(r"<details>\s*<summary>Table \d+: All runs, 2,000 rows", text)
    assert "The first 1,000 of 2,000 rows; the CSV has all." in Page(text).text
    assert len(text) < 2_000_000
    assert LONG < 2 * MOST == len(pd.read_csv(tmp_path / "out/tables/runs.csv"))


def test_numbers_are_set_flush_right_and_words_are_not():
    shown = pd.DataFrame(
        {
            "Net": ["plain-8", "plain-20"],
            "p": ["> 0.99", "0.04"],
            "Error": ["1.00 \u00b1 0.10 (3)", "\u2013"],
            "Interval": ["-0.1 to 2", "0 to 1"],
            "Found": ["at the end", "set"],
            "Nothing": ["", "\u2013"],
        }
    )
    assert Table("t", "c", shown, shown).numeric == [False, True, True, True, False, False]


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2, its definition)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_have_enough_contrast(two, mode):
    """WCAG 2.2 AA: 4.5 for text (1.4.3), 3 for the focus ring and marks (1.4.11)."""
    style = two[two.index("<style>") : two.index("@media print")]
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(blocks) == 2
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", blocks[mode == "dark"]))
    for text in ("ink", "soft", "link"):
        for ground in ("page", "card"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for text in ("ink", "link"):
        assert contrast(colours[text], colours["note"]) >= 4.5, text
    assert contrast(colours["edge"], colours["note"]) >= 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
