"""What `study report` and `study compare` do."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from study.cli.status import newest_study
from study.errors import StudyError, without_passwords
from study.terminal import say

if TYPE_CHECKING:
    from study.report import Joined
    from study.report.figures.style import Style
    from study.track.frames import Study


class Wish(NamedTuple):
    """How a page is asked for."""

    out: Path | None = None
    """Its folder; None for the usual one."""
    style: "Style" = "house"
    mlflow_ui: str = ""
    """Address of MLflow's pages, for links to runs; empty where the server's own is right."""

    def words(self) -> list[str]:
        """Return the options of the command line that ask for the same."""
        options = (("--out", self.out), ("--style", self.style if self.style != "house" else ""),
                   ("--mlflow-ui", self.mlflow_ui))  # fmt: skip
        return [word for option, value in options if value for word in (option, str(value))]


def studies(asked: Sequence[str]) -> list[str]:
    """Return the names that were asked for, each once, or that of the newest study.

    Raises:
        StudyError: there is none.
    """
    return list(dict.fromkeys(asked)) or [newest_study()]


def report(names: Sequence[str], wish: Wish) -> None:
    """Write the report of these studies, print the verdicts, and say where it is."""
    from study.track.find import missing_files_warning
    from study.track.frames import load_study

    for line in filter(None, map(missing_files_warning, names)):
        say(line, error=True)
    write_report([load_study(name) for name in names], wish)


def write_report(found: Sequence["Study"], wish: Wish) -> None:
    """Write the report of studies that were read; print the verdicts and where it is."""
    from study.report import build_report

    study = joined(found, wish)
    say_beforehand(study.words)
    page = build_report(
        study.name,
        study.runs,
        study.curves,
        study.trials,
        folder([one.name for one in found], wish.out),
        study.words,
        smallest_effect=study.smallest_effect,
        datasets=study.datasets,
        probes=study.probes,
        style=wish.style,
    )
    told = json.loads((page.parent / "verdict.json").read_text(encoding="utf-8"))
    for verdict in told["verdicts"]:
        say(verdict["line"], "bold")
        say(verdict["next_step"])
    say_where(page)


def joined(found: Sequence["Study"], wish: Wish) -> "Joined":
    """Set studies on one page."""
    from study.report import join

    words = ["study", "report", *(word for one in found for word in ("--experiment", one.name))]
    if wish.mlflow_ui:
        found = [replace(one, provenance=one.provenance.with_pages(wish.mlflow_ui)) for one in found]
    return join(found, shlex.join(map(without_passwords, words + wish.words())))


def folder(names: Sequence[str], out: Path | None) -> Path:
    """Return where a report goes: `out`, or a folder that is named for the studies, whatever their names hold."""
    safe = [re.sub(r"[^\w.-]+", "-", name).strip(".-") or "study" for name in names]
    return out or Path("reports") / "+".join(safe)[:200]


def say_beforehand(words: Mapping[str, str]) -> None:
    """Print which runs are left out, and what is to be known of the smallest effect."""
    for line in words.get("left out", "").splitlines():
        say(line, "yellow", error=True)
    for name, value in words.items():
        if name.startswith("smallest effect"):
            say(f"{name}: {value}", "yellow", error=True)


def say_where(page: Path) -> None:
    """Print the path of a page."""
    path = page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page
    say(f"report: {path}")


def compare(a: str, b: str, out: Path | None) -> None:
    """Write the page of two studies side by side and print what it comes to."""
    from study.report import build_report, compare_runs, conclusions, join, warnings
    from study.track.frames import load_study

    if a == b:
        raise StudyError(f"'{a}' is one study: give two to compare")
    words = ["study", "compare", a, b, *(["--out", str(out)] if out else [])]
    study = join([load_study(name) for name in (a, b)], shlex.join(words))
    say_beforehand(study.words)
    found = compare_runs(study.runs, (a, b), study.smallest_effect)
    page = build_report(
        study.name,
        study.runs,
        study.curves,
        study.trials,
        folder([a, b], out),
        study.words,
        smallest_effect=study.smallest_effect,
        datasets=study.datasets,
        comparison=found,
    )
    for sentence in conclusions(found):
        say(sentence, "bold")
    for warning in warnings(found):
        say(f"not comparable as they are: {warning}")
    say_where(page)
