import io
from dataclasses import replace

from rich.console import Console

from study.launch.display import Display, duration
from tests.track.test_store import POINT


def make_display(*, quiet: bool = False) -> tuple[Display, io.StringIO]:
    out = io.StringIO()
    return Display(Console(file=out, width=100), quiet=quiet), out


def test_share_of_the_work_counts_runs_in_flight() -> None:
    display, out = make_display()
    with display:
        display.plan(100.0)
        display.started("a", "plain-8 seed 0", 40.0, 0, 100)
        display.started("b", "plain-8 seed 1", 40.0, 0, 100)
        display.point("a", replace(POINT, step=50))
        display.ended("b", ["b is done"], done=40.0)
        display.ended("a", ["a was stopped"], done=0.0)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("[ 60%, ")  # 40 of b, half of a's 40
    assert lines[0].endswith("left]  b is done")
    assert lines[1].startswith("[ 40%, ")


def test_quiet_says_what_went_wrong_only() -> None:
    display, out = make_display(quiet=True)
    with display:
        display.plan(1.0)
        display.say("a word")
        display.warn("a problem")
    assert out.getvalue() == "a problem\n"


def test_names_are_shown_as_they_are() -> None:
    display, out = make_display()
    display.say("a class [red]named[/red] so")
    assert out.getvalue() == "a class [red]named[/red] so\n"


def test_durations() -> None:
    assert [duration(s) for s in (4, 59, 60, 89, 299, 600, 3600, 5400, 90_000, 200_000)] == [
        "4 s",
        "59 s",
        "60 s",
        "89 s",
        "5.0 min",
        "10 min",
        "60 min",
        "1.5 h",
        "25.0 h",
        "2.3 days",
    ]


def test_loading_is_said_once_where_there_is_no_bar() -> None:
    display, out = make_display()
    with display:
        for share in (0.1, 0.5, 1.0):
            display.loading("decoding images", share)
    assert out.getvalue() == "decoding images\n"
