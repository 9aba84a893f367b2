import csv
from pathlib import Path

import pandas as pd
import pytest

from study.spreadsheet import plain_cell, write_frame


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "=cmd|' /C calc'!A0",
        "\uff1d1+1",
        "-rf",
        "-",
        "--1",
    ],
)
def test_text_that_would_be_calculated(text: str) -> None:
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1.5, 0, None, True, "-1.5", "+3", "-1e-05", "-inf", "a=1", "", "'=1", "plain-8"])
def test_all_else_stays(value: object) -> None:
    assert plain_cell(value) == value


def test_a_frame_keeps_its_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"net": ["=a", "b"], "x": [-1 / 3, 2.0], "n": [-1, 2], "mixed": [-2, "@c"], "=d": [None, "e"]})
    frame["class"] = frame["net"].astype("category")
    write_frame(frame, tmp_path / "f.csv")
    with (tmp_path / "f.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["net", "x", "n", "mixed", "'=d", "class"]
    assert rows == [["'=a", repr(-1 / 3), "-1", "-2", "", "'=a"], ["b", "2.0", "2", "'@c", "e", "b"]]
    assert list(frame["net"]) == ["=a", "b"]  # what was given isn't changed


def test_a_frame_without_columns(tmp_path: Path) -> None:
    write_frame(pd.DataFrame(), tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_text().strip() == ""
