"""Reports and trainings are as the golden files have them, so that a change of the code changes nothing unseen."""

import difflib
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from study.report.page import MOST_UNFOLDED
from tests.golden.studies import REPORTS
from tests.golden.update import (
    COMMAND,
    DRAWINGS,
    FILES,
    TRAINING,
    VERSIONS,
    build,
    drawn_with,
    page_text,
    report_texts,
    training_text,
    without_versions,
)
from tests.report.unfolded import Unfolded

Texts = dict[str, str]
FLOAT = re.compile(r"-?\d+(?:\.\d+(?:e[-+]\d+)?|e[-+]\d+)")
FULL = 15
"""Characters from which on a number counts as one in full precision, whose last bits depend on the processor."""
LEAST = 14
"""Fewest characters of a number in full precision: its last digits may be zeros."""
REPORT_TOLERANCE, TRAINING_TOLERANCE = 1e-7, 1e-5
"""Relative; fits that are found step by step end 1e-9 apart, 20 steps of training 1e-6."""
MOST_WORDS = 1500
"""Words of a page that aren't folded up."""
MOST = 60
"""Lines of a diff that are shown."""


def close(golden: str, built: str, tolerance: float) -> bool:
    """Say whether two lines are equal but for numbers in full precision that lie within a relative tolerance."""
    pairs = zip(FLOAT.findall(golden), FLOAT.findall(built), strict=False)
    return FLOAT.split(golden) == FLOAT.split(built) and all(_close(a, b, tolerance) for a, b in pairs)


def _close(golden: str, built: str, tolerance: float) -> bool:
    lengths = len(golden), len(built)
    if max(lengths) <= FULL:
        return golden == built
    tolerance = (
        tolerance if min(lengths) >= LEAST else 1e-13
    )  # 0.3 and 0.30000000000000004, but not 0.333 and 0.3333333333333333
    return math.isclose(float(golden), float(built), rel_tol=tolerance, abs_tol=1e-12)


def differences(golden: Texts, built: Texts, tolerance: float) -> list[str]:
    """Return a unified diff of two sets of files, without what is close."""
    out: list[str] = []
    for name in sorted(golden.keys() | built.keys()):
        before, after = (texts.get(name, "").splitlines() for texts in (golden, built))
        if len(before) == len(after):
            after = [a if close(a, b, tolerance) else b for a, b in zip(before, after, strict=True)]
        out += difflib.unified_diff(before, after, f"golden/{name}", f"built/{name}", lineterm="", n=1)
    return out


def check(golden: Texts, built: Texts, tolerance: float = REPORT_TOLERANCE) -> None:
    """Fail with the first differences and the command that accepts them."""
    assert golden, f"there are no golden files: {COMMAND}"
    if diff := differences(golden, built, tolerance):
        more = [f"... {len(diff) - MOST} more lines"] if len(diff) > MOST else []
        pytest.fail("\n".join([*diff[:MOST], *more, f"If all of this is meant: {COMMAND}"]), pytrace=False)


def golden_texts(name: str) -> Texts:
    folder = FILES / name
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture(scope="session")
def built_texts(shared_folder: Path) -> Callable[[str], Texts]:
    """Return what gives the texts of a study's report, which is built once, whichever process asks for it."""

    def texts(name: str) -> Texts:
        folder = shared_folder / f"golden-{name}"
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                build(name, folder)
        return report_texts(folder)

    return texts


@pytest.mark.parametrize("name", REPORTS)
def test_report(name: str, built_texts: Callable[[str], Texts]) -> None:
    check(golden_texts(name) | {DRAWINGS: ""}, built_texts(name) | {DRAWINGS: ""})


@pytest.mark.parametrize("name", REPORTS)
def test_drawings(name: str, built_texts: Callable[[str], Texts]) -> None:
    versions, here = (FILES / VERSIONS).read_text(encoding="utf-8"), drawn_with()
    if versions != here:
        pytest.skip(f"SVGs are compared where they are drawn with the same: golden {versions!r}, here {here!r}")
    golden, built = golden_texts(name), built_texts(name)
    numbers = [{file: text for file, text in texts.items() if file.endswith(".csv")} for texts in (golden, built)]
    if numbers[0] != numbers[1] and not differences(*numbers, REPORT_TOLERANCE):
        pytest.skip("SVGs are compared where numbers are equal to the last bit: this processor rounds differently")
    check({DRAWINGS: golden[DRAWINGS]}, {DRAWINGS: built[DRAWINGS]})


@pytest.mark.parametrize("name", REPORTS)
def test_a_reader_meets_few_words(name: str, built_texts: Callable[[str], Texts], shared_folder: Path) -> None:
    """Before anything is unfolded: cells of tables, contents and summaries are counted too."""
    built_texts(name)
    page = Unfolded((shared_folder / f"golden-{name}" / "index.html").read_text(encoding="utf-8"))
    assert len(page.words) <= MOST_WORDS
    assert 1 <= len(page.tables) <= MOST_UNFOLDED


def test_training(tmp_path: Path) -> None:
    golden = (FILES / TRAINING).read_text(encoding="utf-8")
    check({TRAINING: golden}, {TRAINING: training_text(tmp_path)}, TRAINING_TOLERANCE)


def test_every_golden_file_has_its_study() -> None:
    assert {path.name for path in FILES.iterdir()} == {*REPORTS, TRAINING, VERSIONS}


@pytest.mark.parametrize(
    ("golden", "built", "same"),
    [
        ("a,0.1,0.30000000000000004", "a,0.1,0.3", True),
        ("a,6.338482224120477", "a,6.3384822241204", True),
        ("a,9.085062474391894", "a,9.085062474163667", True),
        ("a,0.0", "a,1.3877787807814457e-17", True),
        ("a,0.3333333333333333", "a,0.33333333333", False),
        ("a,0.3333333333333333", "a,0.3333334333333333", False),
        ("a,0.3333333333333333", "b,0.3333333333333333", False),
        ("a,0.1", "a,0.10", False),
        ("a,3", "a,3.0", False),
        ("a,1000000000000000", "a,1000000000000001", False),
        ("a,0.3333333333333333", "a,0.3333333333333333,0.1", False),
    ],
)
def test_last_bits_alone_are_close(golden: str, built: str, same: bool) -> None:
    assert close(golden, built, REPORT_TOLERANCE) == same


def test_a_difference_is_shown_with_the_command() -> None:
    golden = {"a.csv": "x\n1\n2\n", "gone.csv": "y\n"}
    with pytest.raises(pytest.fail.Exception) as failed:
        check(golden, {"a.csv": "x\n1\n3\n", "new.csv": "z\n"})
    shown = str(failed.value).splitlines()
    assert shown[:6] == ["--- golden/a.csv", "+++ built/a.csv", "@@ -2,2 +2,2 @@", " 1", "-2", "+3"]
    assert {"-y", "+z"} < set(shown)
    assert shown[-1].endswith("python -m tests.golden.update")


def test_the_page_as_text() -> None:
    html = """<title>T</title><style>p {}</style><h2 id="a">One   <em>two</em></h2><p>x&lt;y
    z <a href="#a">there</a><img src="data:" alt="A chart"></p><table><tr><th>a</th><td>1</td></tr></table>
    <ul><li>first<ul><li>inner</li></ul></li></ul><pre>one\n  two</pre>
    <dl><dt>this page</dt><dd>study 0.1.0, Python 3.12.1, pandas 3.0</dd></dl>"""
    assert without_versions(page_text(html)).splitlines() == [
        "T",
        "## One two",
        "x<y z [there](#a)![A chart]",
        "| a | 1",
        "- first",
        "- inner",
        "one",
        "  two",
        "this page",
        "(versions)",
    ]
