"""Tables as text: whatever stands in a cell is read as it was, in Markdown and in LaTeX."""

import re
import shutil
import subprocess

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.report.tables.writer import LONG, Table, latex, markdown

HOSTILE = "<b>a_b_&c%d$e#f{g}h~i^j\\k|l*m`n[o](p)!q\n--é"
NUMBERS = pd.DataFrame()
SPECIAL = re.compile(r"(?<!\\)[_&%$#{}~^]")


def cells(markdown_row: str) -> list[str]:
    """Split a row at the bars that aren't escaped, and take the escapes away, as GitHub does."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", markdown_row)[1:-1]
    return [re.sub(r"\\([^\w\s])", r"\1", part).strip() for part in parts]


def frame(text: str) -> pd.DataFrame:
    return pd.DataFrame({"Net": [text, "plain-20"], "Error (%)": ["1.00 ± 0.10 (3)", "-0.50 (-1.00 to 0.20)"]})


def test_markdown_has_a_row_a_line_and_figures_right():
    text = markdown(Table("t", "A caption, 95%.", NUMBERS, frame("resnet-20")))
    head, rule, first, second, blank, caption = text.splitlines()
    assert cells(head) == ["Net", "Error (%)"]
    assert re.fullmatch(r"\| -+ \| -+: \|", rule)
    assert cells(first) == ["resnet-20", "1.00 ± 0.10 (3)"]
    assert len({len(line) for line in (head, rule, first, second)}) == 1
    assert (blank, caption) == ("", "A caption, 95%.")


def test_markdown_takes_nothing_for_markup():
    row = markdown(Table("t", HOSTILE, NUMBERS, frame(HOSTILE))).splitlines()[2]
    assert r"\<b\>" in row
    assert r"\|" in row
    assert r"\\k" in row
    assert r"\`n\[o\]" in row
    assert "b\\_\\&c" in row  # an underscore inside a word emphasises nothing, one at its end does
    assert "a_b" in row


@given(st.text(max_size=30))
@settings(max_examples=150)
def test_any_text_stays_in_its_cell(text):
    lines = markdown(Table("t", text, NUMBERS, frame(text))).splitlines()
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[2])) == 3
    assert not re.search(r"(?<!\\)(?:\\\\)*[<`$]", lines[2])
    rows = latex(Table("t", text, NUMBERS, frame(text))).splitlines()
    row = rows[rows.index(r"\midrule") + 1]
    assert len(re.findall(r"(?<!\\)&", row)) == 1
    assert row.endswith(r" \\")
    assert latex(Table("t", text, NUMBERS, frame(text))).count(r"\end{tabular}") == 1


def test_latex_escapes():
    text = latex(Table("my table_1", HOSTILE, NUMBERS, frame(HOSTILE)))
    row = next(line for line in text.splitlines() if "plain" not in line and r"\pm" in line)
    for part in (
        r"\textless{}b\textgreater{}",
        r"a\_b\_\&c\%d\$e\#f\{g\}",
        r"h\textasciitilde{}i",
        r"i\textasciicircum{}j\textbackslash{}k\textbar{}l*m",
        r"-{}-é",
    ):
        assert part in row
    assert r"\label{tab:my-table-1}" in text
    assert r"$-$0.50 ($-$1.00 to 0.20)" in text
    assert r"Error (\%)" in text
    assert r"\begin{tabular}{lr}" in text
    assert "plain-20" in text  # a hyphen, no minus


def test_latex_is_a_booktabs_table():
    text = latex(Table("t", "A caption.", NUMBERS, frame("resnet-20")))
    order = [
        text.index(part)
        for part in (
            r"\caption",
            r"\begin{tabular}",
            r"\toprule",
            r"\midrule",
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        )
    ]
    assert order == sorted(order)
    assert text.startswith("% \\usepackage{booktabs")
    assert text.isascii()
    assert "XeLaTeX" not in text
    assert "XeLaTeX" in latex(Table("t", "", NUMBERS, frame("猫"))).splitlines()[1]


def test_long_tables_break_over_pages():
    long = pd.concat([frame("resnet-20")] * LONG)
    text = latex(Table("t", "A caption.", NUMBERS, long))
    assert r"\begin{longtable}{lr}" in text
    assert r"\endhead" in text
    assert r"\begin{table}" not in text
    assert text.count("resnet-20") == LONG


def test_no_rows():
    assert latex(Table("t", "A caption.", NUMBERS, frame("x").iloc[:0])) == "% t: no rows\n"
    assert markdown(Table("t", "A caption.", NUMBERS, frame("x").iloc[:0])) == "A caption.\n"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
@pytest.mark.parametrize("rows", [1, LONG])
def test_latex_compiles(rows, tmp_path):
    table = latex(Table("t", HOSTILE, NUMBERS, pd.concat([frame(HOSTILE)] * rows)))
    text = (
        rf"\documentclass{{article}}\usepackage{{booktabs,graphicx,longtable}}\begin{{document}}{table}\end{{document}}"
    )
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]
