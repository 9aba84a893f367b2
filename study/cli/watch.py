"""What `study report --watch` does: look at MLflow, and make the page again where something has changed."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from study.cli.report import Wish, write_report
from study.retry import transient_disk_error
from study.terminal import say

if TYPE_CHECKING:
    from study.track.snapshot import Snapshot

SURE_SECONDS = 5.0
"""Where nothing is at work, another look so much later: between two runs there is a moment without any."""


def watch(names: Sequence[str], wish: Wish, every: float) -> None:
    """Write the report again and again until no run is at work, or until Ctrl-C.

    A server that is away is waited for, but not at the first look.

    Raises:
        StudyError: no such study, or it has come to its end without a result.
    """
    try:
        _watch(names, wish, every)
    except KeyboardInterrupt:
        _say("watching ends; the report stays as it was made last")


def _watch(names: Sequence[str], wish: Wish, every: float) -> None:
    from study.track.frames import complete_study
    from study.track.snapshot import take_snapshot
    from study.track.uri import Unreachable

    looks = [take_snapshot(name) for name in names]
    told, shown, idle = "", "", 0
    while True:
        try:
            state = "".join(one.state for one in looks)
            at_work = sum(one.active for one in looks)
            idle = 0 if at_work else idle + 1
            waiting = "" if idle > 1 else _waiting(looks)
            if state != shown and not waiting:
                write_report([complete_study(one) for one in looks], wish)
                shown = state
                told = _tell(_standing(looks), told)
            elif waiting:
                told = _tell(waiting, told)
            if idle > 1:
                _say("no run is at work any more: watching ends")
                return
            time.sleep(min(every, SURE_SECONDS) if idle else every)
            looks = [take_snapshot(name) for name in names]
        except Exception as error:
            why = str(error) if isinstance(error, Unreachable) else transient_disk_error(error)
            if not why:
                raise
            told = _tell(f"{why}; trying again every {every:g} s", told)
            idle = 0
            time.sleep(every)


def _waiting(looks: Sequence["Snapshot"]) -> str:
    """Say what is missing for a report; empty where some run counts."""
    from study.verdict import counted

    if any(len(counted(one.runs)) for one in looks):
        return ""
    names = ", ".join(f"'{one.name}'" for one in looks)
    return f"waiting: no run of {names} has ended yet ({sum(one.active for one in looks)} runs and searches at work)"


def _standing(looks: Sequence["Snapshot"]) -> str:
    """Say how far the runs are."""
    from study.verdict import counted

    runs = [one.runs for one in looks]
    ended, total = sum(len(counted(frame)) for frame in runs), sum(map(len, runs))
    return f"{ended} of {total} runs counted, {sum(one.active for one in looks)} runs and searches at work"


def _tell(text: str, told: str) -> str:
    """Say something, but not the same twice; return it."""
    if text != told:
        _say(text)
    return text


def _say(text: str) -> None:
    say(f"{time.strftime('%H:%M:%S')} {text}", error=True)
