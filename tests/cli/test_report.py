"""`study report` of several studies and while runs go on, and `study compare`, on real databases."""

import importlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlparse

import pytest
from click.testing import Result
from typer.testing import CliRunner

from study.cli import report as commands
from study.cli.app import app
from study.config import parse_grid
from study.config.command import Command
from study.config.protocol import Protocol
from study.errors import StudyError
from study.events import Epoch
from study.track import tags as tag
from study.track.provenance import describe_experiment
from study.track.store import Store
from study.track.uri import Unreachable
from tests.report.sketches import sketches

module = importlib.import_module("study.track.snapshot")

POINT = Epoch(10, 1.0, 0.1, 50.0, 1.5, 60.0, 1.7, None, None, 1000.0, 1.0, 500.0, 1.7e9)
SIZES = {
    "dataset": "digits",
    "lr": 0.1,
    "iterations_per_epoch": 10,
    "total_iterations": 30,
    "train_images": 900,
    "test_images": 300,
    "classes": 10,
    "parameters": 1000,
    "multiply_adds": 1000,
}
NETS = (
    ("plain", 8, "plain-8", 1.0),
    ("plain", 20, "plain-20", 9.0),
    ("residual", 8, "resnet-8", 1.0),
    ("residual", 20, "resnet-20", 1.1),
)


@pytest.fixture(autouse=True)
def _sketched() -> Iterator[None]:
    with sketches():
        yield


@pytest.fixture(autouse=True)
def place(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(store: Store, net: tuple[str, int, str, float], seed: int, **settings: object) -> str:
    kind, depth, name, _ = net
    params = {"architecture": kind, "depth": depth, "net": name, "seed": seed, **SIZES, **settings}
    run = store.begin(f"{name} seed {seed}", params, {tag.KIND: "run", tag.KEY: f"{store.experiment}{name}{seed}"})
    store.log_points(run, [replace(POINT, step=10 * i, epoch=float(i), train_error=90.0 / i) for i in (1, 2)])
    return run


def end(store: Store, run: str, error: float) -> None:
    store.end(run, "finished", step=30, metrics={"final_train_error": error, "final_test_error": error + 5})


def make(
    name: str, scale: float = 1.0, nets: tuple[tuple[str, int, str, float], ...] = NETS, **settings: object
) -> Store:
    store = Store(name)
    for net in nets:
        for seed in (0, 1):
            end(store, begin(store, net, seed, **settings), scale * net[3] + seed / 5)
    return store


def call(*line: str) -> Result:
    return CliRunner().invoke(app, line, catch_exceptions=True)


GRID = """
name: a
dataset: digits
recipe: {epochs: 1}
grid: {architecture: [plain, residual], depth: [8, 20], seed: [0, 1]}
"""


def test_the_report_is_kept_in_mlflow_or_a_line_says_why_not(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make("a")
    assert call("report", "-e", "a").exit_code == 0
    written = place / "reports" / "a"
    (written / "mine.txt").write_text("a note of the user's", encoding="utf-8")
    assert call("report", "-e", "a").exit_code == 0
    (run,) = store.records_of("report", "report")
    kept = Path(unquote(urlparse(store.place(run.run_id).uri).path)) / "report"
    files = {path.relative_to(kept).as_posix(): path for path in kept.rglob("*") if path.is_file()}
    assert {"index.html", "verdict.json", "figures/depth.svg", "tables/results.csv"} < files.keys()
    assert "mine.txt" not in files
    assert all(path.read_bytes() == (written / name).read_bytes() for name, path in files.items())
    assert call("status", "-e", "a").output.startswith("a: 8 runs finished\n")

    def refuse(*_: object) -> None:
        raise Unreachable("the artifacts can't be reached")

    monkeypatch.setattr("study.track.view.store_report", refuse)
    result = call("report", "-e", "a")
    assert result.exit_code == 0
    assert "the report isn't in MLflow: the artifacts can't be reached" in result.output


def test_how_deep_and_the_command_that_goes_on(place: Path) -> None:
    store = Store("a")
    for net in NETS:
        for seed in (0, 1):
            end(store, begin(store, net, seed), 1.0)
    protocol = Protocol.of(parse_grid(GRID, "a.yaml"), lambda spec: spec.run_key("f"), datetime.now(UTC), {})
    describe_experiment(store.client, store.experiment_id, protocol, Command.now("study run --grid a.yaml", GRID))
    sentence = "Plain nets: no limit seen up to plain-20; residual nets: no limit seen up to resnet-20."
    command = "study run --grid a.yaml --set grid.depth=26,38"
    for words in ("status", "report"):
        lines = call(words, "-e", "a").output.splitlines()
        assert lines[lines.index(sentence) + 1] == f"go deeper: {command}"
    page = (place / "reports" / "a" / "index.html").read_text()
    assert f"Go deeper: <code>{command}</code>" in page
    verdict = json.loads((place / "reports" / "a" / "verdict.json").read_text())["verdicts"][0]
    assert (verdict["how_deep"], verdict["deeper"]) == (sentence, command)
    assert verdict["findings"][0]["reach"] == {"depth": 20, "net": "plain-20", "worse": [], "edge": [], "undecided": []}


def test_several_studies_on_one_page(place: Path) -> None:
    make("a")
    make("b", 0.5)
    done = call("report", "-e", "a", "-e", "b", "-e", "a")
    assert done.exit_code == 0, done.output
    page = (place / "reports" / "a+b" / "index.html").read_text()
    assert "report: reports/a+b/index.html" in done.output
    for wanted in ("With study=a", "With study=b"):
        assert wanted in done.output
        assert wanted in page
    assert "16 of 16 runs are counted" in page  # a, given twice, stands there once


def test_compare(place: Path) -> None:
    make("a", normalize="channel")
    make("b", 0.5, normalize="none")
    done = call("compare", "a", "b", "--out", "both")
    assert done.exit_code == 0, done.output
    assert "From plain-8 to plain-20, training error of plain nets changes by 8.00" in done.output
    assert "b minus a is -4.00 points" in done.output
    page = (place / "both" / "index.html").read_text()
    assert "One setting differs between a and b: normalize (channel; none)" in page
    assert "study compare a b --out both" in page


def test_two_studies_that_are_not_alike_are_compared_with_a_warning() -> None:
    make("a")
    make("b", nets=(("plain", 32, "plain-32", 3.0),), dataset="cifar10")
    done = call("compare", "a", "b")
    assert done.exit_code == 0, done.output
    assert "a and b have no net in common" in done.output
    assert "not comparable as they are: the data sets differ (a: digits; b: cifar10)" in done.output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("compare", "a", "a"), "'a' is one study"),
        (("compare", "a", "a", "b"), "'a' is one study"),
        (("compare", "b"), "'b' is one study"),
        (("compare", "a", "c"), "no study is called 'c'"),
        (("report", "-e", "a", "-e", "c"), "no study is called 'c'"),
        (("report", "--watch", "-e", "c"), "no study is called 'c'"),
    ],
)
def test_what_can_not_be_shown_is_a_line(line: tuple[str, ...], message: str, place: Path) -> None:
    make("a", nets=NETS[:1])
    done = call(*line)
    assert isinstance(done.exception, StudyError)  # `main` makes a line and exit code 2 of it
    assert message in str(done.exception)
    assert not (place / "reports").exists()


def test_a_name_from_a_server_is_no_path(place: Path) -> None:
    make("../up/$x")
    assert call("report").exit_code == 0
    assert [path.name for path in (place / "reports").iterdir()] == ["up-x"]
    assert not (place.parent / "up").exists()


def watched(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> tuple[Result, list[float]]:
    """Watch study s; between two looks, the next step happens."""
    left, waits = list(steps), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if left:
            left.pop(0)()

    monkeypatch.setattr(commands, "time", SimpleNamespace(sleep=sleep, strftime=time.strftime))
    return call("report", "--watch", "--every", "7", "-e", "s"), waits


def test_watching(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("s")
    runs = [begin(store, net, 0) for net in NETS[:3]]
    page, seen = place / "reports" / "s" / "index.html", []

    def note(text: bool = True) -> None:
        seen.append((page.stat().st_mtime_ns, page.read_text()) if page.exists() else None)

    def first() -> None:
        note()
        end(store, runs[0], 1.0)

    def second() -> None:
        note()
        real = module.find_experiment

        def once(*_: object) -> object:
            monkeypatch.setattr(module, "find_experiment", real)
            raise Unreachable("MLflow can't be reached")

        monkeypatch.setattr(module, "find_experiment", once)

    def last() -> None:
        note()
        end(store, runs[1], 9.0)
        store.end(runs[2], "interrupted")

    done, waits = watched(monkeypatch, note, first, note, second, note, last)
    assert done.exit_code == 0, done.output
    said = done.output
    assert said.count("waiting: no run of 's' has ended yet (3 runs and searches at work)") == 1
    assert "1 of 3 runs counted, 2 runs and searches at work" in said
    assert "MLflow can't be reached; trying again every 7 s" in said
    assert "2 of 3 runs counted, 0 runs and searches at work" in said
    assert "no run is at work any more: watching ends" in said
    assert waits == [7, 7, 7, 7, 7, 7, 5]
    assert seen[0] is seen[1] is None
    assert seen[2] is not None
    assert seen[2] == seen[3] == seen[4] == seen[5]  # nothing was logged: nothing was made again
    assert "plain-20 seed 0: still running" in seen[2][1]
    assert "table-unfinished" in seen[2][1]
    final = page.read_text()
    assert "table-unfinished" not in final
    assert "resnet-8 seed 0: interrupted" in final
    assert [path.name for path in page.parent.parent.iterdir()] == ["s"]


def test_ctrl_c_is_a_normal_end_of_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    begin(Store("s"), NETS[0], 0)

    def interrupt() -> None:
        raise KeyboardInterrupt

    done, _ = watched(monkeypatch, interrupt)
    assert done.exit_code == 0
    assert "watching ends" in done.output


def test_a_study_that_ends_without_a_result_is_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("s")
    run = begin(store, NETS[0], 0)
    done, _ = watched(monkeypatch, lambda: store.end(run, "failed"))
    assert isinstance(done.exception, StudyError)
    assert "no run of study 's' has a result yet (1 failed)" in str(done.exception)
