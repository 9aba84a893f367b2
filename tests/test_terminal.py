import pytest
from rich.console import Console
from rich.table import Table

from study.launch.display import Display
from study.terminal import say, shown

BAD = "[red]a[/red] \x1b[2J\x1b]0;title\x07 \u202eb [/] :smile: [link=http://x]y"
SHOWN = r"[red]a[/red] \x1b[2J\x1b]0;title\x07 \u202eb [/] :smile: [link=http://x]y"


@pytest.mark.parametrize("error", [False, True])
def test_nothing_is_obeyed(capsys: pytest.CaptureFixture[str], error: bool) -> None:
    say(f"{BAD}\nnext", "bold", error=error)
    captured = capsys.readouterr()
    assert (captured.err if error else captured.out) == f"{SHOWN}\nnext\n"
    assert (captured.out if error else captured.err) == ""


def test_nor_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("x", title=shown(BAD))
    table.add_row(shown(BAD))
    Console(width=200).print(table)
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 2
    assert "\x1b" not in said


def test_nor_by_the_progress() -> None:
    """Drawn as on a terminal, whose own sequences move the cursor and choose colours."""
    console = Console(force_terminal=True, record=True, width=200, color_system=None)
    with console.capture() as captured, Display(console) as display:
        display.started("t", BAD, 1.0, 0, 10)
        display.loading(BAD, 0.5)
        display.warn(BAD)
        display.say(BAD)
        display._progress.refresh()
    drawn = captured.get()
    assert drawn.count(SHOWN) >= 4
    assert "\x1b]0" not in drawn
    assert "\x1b[2J" not in drawn


@pytest.mark.parametrize("terminal", ["0", "1"])
def test_a_terminal_wraps_prose_between_words_and_no_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.setenv("COLUMNS", "24")
    words = "study run --grid experiments.yaml --set grid.depth=80,110"
    for prose in (False, True):
        say(words, prose=prose)
        lines = capsys.readouterr().out.splitlines()
        assert " ".join(map(str.strip, lines)) == words
        assert len(lines) == (3 if prose and terminal == "1" else 1)
