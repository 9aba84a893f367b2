"""A table's text as Markdown and as LaTeX, with whatever stands in it escaped."""

import re
from collections.abc import Iterable

import pandas as pd

LONG = 40
"""Rows from which a LaTeX table may break over pages."""
WIDE = 120
"""Letters in a line from which such a table takes the smallest type; a shorter one is scaled to the text's width."""
PACKAGES = r"booktabs, graphicx, longtable"
"""What a document needs for the LaTeX tables."""

_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", "±": r"$\pm$", "\u2013": r"\textendash{}", "\u2026": r"\dots{}",
}  # fmt: skip
_NUMBER = re.compile(r"[+\-<>]?\s?\d[\d,.]*(e[+-]?\d+)?(?!\w)|\u2013?$")
_MARKDOWN = re.compile(r"([\\`*|<>\[\]$~&!])|(?<!\w)(_)|(_)(?!\w)")


def markdown(shown: pd.DataFrame, caption: str) -> str:
    """Return a table in GitHub's Markdown with its caption below; nothing in a cell is taken for markup or HTML."""
    body = ""
    if len(shown):
        right = [_is_numbers(shown[column]) for column in shown]
        head = [_marked(str(column)) for column in shown]
        rows = [[_marked(str(cell)) for cell in row] for row in shown.itertuples(index=False, name=None)]
        widths = [max(3, *(len(line[i]) for line in [head, *rows])) for i in range(len(head))]
        rule = [f"{'-' * (width - 1)}:" if side else "-" * width for width, side in zip(widths, right, strict=True)]
        body = "\n".join(_padded(line, widths, right) for line in [head, rule, *rows])
    return f"{body}\n\n{_marked(caption)}\n".lstrip("\n")


def latex(shown: pd.DataFrame, caption: str, name: str) -> str:
    """Return a booktabs table that pdfLaTeX compiles: figures right, as wide as the text at most.

    A long one breaks over pages. Letters that pdfLaTeX's fonts lack are kept, and the first lines then ask for another
    engine.
    """
    if shown.empty:
        return f"% {name}: no rows\n"
    columns = "".join("r" if _is_numbers(shown[column]) else "l" for column in shown)
    head = _row(str(column) for column in shown)
    rows = "\n".join(_row(str(cell) for cell in row) for row in shown.itertuples(index=False, name=None))
    title = rf"\caption{{{_tex(caption)}}}\label{{tab:{re.sub(r'[^A-Za-z0-9.-]', '-', name)}}}"
    if len(shown) > LONG:
        wide = sum(max(len(str(column)), *shown[column].str.len()) + 2 for column in shown) > WIDE
        size = r"\tiny" if wide else r"\scriptsize"
        lines = [
            rf"\begingroup{size}\setlength{{\tabcolsep}}{{3pt}}\setlength{{\LTcapwidth}}{{\textwidth}}",
            rf"\begin{{longtable}}{{{columns}}}", title + r"\\",
            r"\toprule", head, r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule", r"\endhead",
            r"\bottomrule", r"\endfoot", rows, r"\end{longtable}", r"\endgroup",
        ]  # fmt: skip
    else:
        lines = [
            r"\begin{table}[tbp]", r"\centering", title + r"\smallskip",
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%", rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule", head, r"\midrule", rows, r"\bottomrule", r"\end{tabular}}", r"\end{table}",
        ]  # fmt: skip
    text = "\n".join(lines)
    needs = f"% \\usepackage{{{PACKAGES}}}\n"
    if any(ord(letter) > 0x17F for letter in text):
        needs += "% names in this table need XeLaTeX or LuaLaTeX and a font that has their letters\n"
    return f"{needs}{text}\n"


def _is_numbers(cells: pd.Series) -> bool:
    """Whether a column holds figures, and so is set to the right."""
    texts = [str(cell) for cell in cells]
    return all(_NUMBER.match(text) for text in texts) and any(text[:1] not in ("", "\u2013") for text in texts)


def _line(text: str) -> str:
    """Return a text on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _marked(text: str) -> str:
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", _line(text))


def _padded(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = (cell.rjust(width) if side else cell.ljust(width)
              for cell, width, side in zip(cells, widths, right, strict=True))  # fmt: skip
    return f"| {' | '.join(padded)} |"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


def _tex(text: str) -> str:
    """Escape a text; a sign before a figure is a minus, no hyphen."""
    parts = re.split(r"(?<![\w.-])-(?=\d)", _line(text))
    escaped = ("".join(_TEX.get(letter, letter) for letter in part) for part in parts)
    return "$-$".join(part.replace("--", "-{}-").replace("--", "-{}-") for part in escaped)
