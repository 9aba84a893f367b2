"""Options A, B and C of the shortcut, in the form of the paper's Table 3 and beside it."""

from typing import Any

import pandas as pd

from study.report.metrics import axis
from study.report.tables.paper.beside import VIEWS, beside, cells_of, drop_single, ours_text, shortcut_of
from study.report.tables.paper.errors import COMPARED, LAST
from study.report.tables.paper.unlike import unlike_paper
from study.report.tables.results import Table, count
from study.verdict import selection as c

OPTIONS = ("none", "A", "B", "C")


def shortcuts_table(runs: pd.DataFrame) -> Table:
    """Return a row a net and option, plain nets first in each depth; no row where the study has one option only."""
    rows: list[tuple[dict[str, Any], dict[str, str], dict[str, str]]] = []
    compared = []
    for variant, cell in cells_of(runs):
        first = cell.iloc[0]
        if first["architecture"] not in ("plain", "residual"):
            continue
        train, test, option = beside(cell, "train"), beside(cell, "test"), shortcut_of(first)
        compared += [cell] if test.figure else []
        number = {
            "variant": c.without_shortcut(variant), "net": first["net"], "depth": int(first["depth"]),
            "option": option, "parameters": first["parameters"], "multiply_adds": first["multiply_adds"],
            **{f"final_train_error_{part}": value for part, value in train.mean.record().items()},
            **{f"final_test_error_{part}": value for part, value in test.mean.record().items()},
            "views": test.measure, **test.numbers(),
        }  # fmt: skip
        shown = {
            "Variant": number["variant"], "Net": str(first["net"]), "Shortcut": option,
            axis("parameters"): count(first["parameters"]), axis("multiply_adds"): count(first["multiply_adds"]),
            axis("final_train_error"): ours_text(train.mean), axis("final_test_error"): ours_text(test.mean),
            "Views": VIEWS[test.measure],
        }  # fmt: skip
        rows.append((number, shown, test.shown()))
    options = {number["option"] for number, _, _ in rows} - {"none"}
    rows.sort(key=lambda row: (row[0]["variant"], row[0]["depth"], _rank(row[0]["option"])))
    if len(options) < 2:
        rows = []
    frame = pd.DataFrame([{**shown, **(paper if compared else {})} for _, shown, paper in rows])
    frame = drop_single(frame, ["Variant"])
    if rows and {number["views"] for number, _, _ in rows} == {"center"}:
        frame = frame.drop(columns="Views")
    text = (
        f"Options of the shortcut, as in Table 3 of the paper. {LAST}. A (section 3.3 of the paper) pads with "
        "zeros and has no parameters, B projects where the size changes, C projects everywhere; none is a plain net."
    )
    if compared:
        text += f" {COMPARED} They are of test errors. {unlike_paper(compared)}"
    return Table("shortcuts", text, pd.DataFrame([number for number, _, _ in rows]), frame)


def _rank(option: str) -> int:
    return OPTIONS.index(option) if option in OPTIONS else len(OPTIONS)
