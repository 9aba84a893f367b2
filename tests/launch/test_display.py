import io
import re
from dataclasses import replace

import pytest
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
        display.ended("b", ["b is done"], done=40.0, waiting=20.0)
        display.ended("a", ["a was stopped"], done=0.0, waiting=60.0)
        display.started("a", "plain-8 seed 0", 40.0, 50, 100)
        display.ended("a", ["a is done"], done=40.0, waiting=0.4)
        display.ended("c", ["c is done"], done=0.4, waiting=0.0)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("[ 60%, ")  # 40 of b, half of a's 40
    assert lines[0].endswith("left]  b is done")
    assert lines[1].startswith("[ 60%, ")  # never less than before
    assert lines[2].startswith("[ 99%, ")  # not all as long as something is left
    assert lines[3] == "[100%]  c is done"


def test_a_job_that_a_worker_is_still_to_start_is_left_to_do() -> None:
    display, out = make_display()
    with display:
        display.plan(100.0)
        for name in "ab":
            display.started(name, f"plain-8 seed {name}", 30.0, 0, 100)
        display.ended("a", ["a is done"], done=30.0, waiting=0.0, begun=[("b", 30.0), ("c", 40.0)])
        display.started("c", "plain-8 seed c", 40.0, 0, 100)
        display.ended("b", ["b broke"], done=0.0, waiting=0.0, begun=[("b", 30.0), ("c", 40.0)])
        display.started("b", "plain-8 seed b", 30.0, 0, 100)
        display.ended("c", ["c is done"], done=40.0, waiting=0.0, begun=[("b", 30.0)])
        display.ended("b", ["b is done"], done=30.0, waiting=0.0)
    shares = [line.partition("%")[0] for line in out.getvalue().splitlines()]
    assert shares == ["[ 30", "[ 30", "[ 70", "[100"]


def test_time_left_is_by_the_pace_of_the_work_done_here() -> None:
    seconds, out = [0.0], io.StringIO()
    display = Display(Console(file=out, width=100), clock=lambda: seconds[0])
    with display:
        display.plan(100.0)
        display.started("a", "plain-8 seed 0", 40.0, 90, 100)  # an earlier launcher did 36 of its 40
        seconds[0] = 8.0
        display.ended("a", ["a is done"], done=40.0, waiting=60.0)
        display.started("b", "plain-8 seed 1", 40.0, 50, 100)
        seconds[0] = 28.0
        display.point("b", replace(POINT, step=75))
        display.ended("b", ["b broke"], done=0.0, waiting=60.0)
        display.started("b", "plain-8 seed 1", 40.0, 75, 100)
        seconds[0] = 48.0
        display.ended("b", ["b is done"], done=40.0, waiting=20.0)
    assert out.getvalue().splitlines() == [
        "[ 40%, 2.0 min left]  a is done",
        "[ 70%, 7.0 min left]  b broke",
        "[ 80%, 69 s left]  b is done",
    ]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_shows_what_is_done_and_left_in_a_line_a_run(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, height=20, force_terminal=True, color_system=None)
    display = Display(console)
    with display:
        display.plan(100.0)
        for name in "ab":
            display.started(name, f"resnet-110 ({name}=0.25, initialisation=delta-orthogonal) seed 0", 40.0, 0, 100)
        display.point("a", replace(POINT, step=50, train_error=12.3, test_error=45.6))
        display.point("b", replace(POINT, step=50), "train loss 1.87 (best 1.44)")
        out.truncate(out.seek(0))
    lines = [
        line.rstrip() for line in re.sub(r"\x1b\[[?0-9]*[a-zA-Z]|\r", "", out.getvalue()).splitlines()[-4:] if line
    ]
    assert all(len(line) <= width for line in lines)
    assert re.fullmatch(r"all .* 40% +\S.* left", lines[0])
    assert re.fullmatch(r"resnet-110.* 50% train  12.3 %  test  45.6 % +\S.* left", lines[1])
    assert re.fullmatch(r"resnet-110.* 50% train loss 1.87 \(best 1.44\) +\S.* left", lines[2])
    assert ("━" in lines[1]) == (width >= 90)


def test_the_bar_and_the_lines_have_the_same_per_cent_and_no_hundred_before_the_end() -> None:
    out = io.StringIO()
    display = Display(Console(file=out, width=80, force_terminal=True, color_system=None))
    with display:
        display.plan(1000.0)
        display.started("a", "net seed 0", 996.0, 0, 996)
        display.started("b", "net seed 1", 4.0, 0, 4)
        display.point("a", replace(POINT, step=996))
        display.ended("a", ["ended"], done=996.0, waiting=0.0)
        display._progress.refresh()
        shown = re.findall(r"(?:all +|\[ *)(\d+)%", out.getvalue())
    assert set(shown) == {"0", "99"}
    assert shown == sorted(shown)  # what is drawn below a line isn't older than the line


def test_lines_are_wrapped_between_words_on_a_terminal_alone() -> None:
    words = "plain-56 seed 0 (budget=3): training error 33.85 %, test error 40.39 %"
    for is_terminal in (True, False):
        out = io.StringIO()
        Display(Console(file=out, width=40, force_terminal=is_terminal, color_system=None)).say(words)
        lines = out.getvalue().splitlines()
        assert " ".join(map(str.strip, lines)) == words
        assert len(lines) == (2 if is_terminal else 1)


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
