"""Show the progress of a grid: a bar for each running net on a terminal, a line for each finished run elsewhere."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.table import Column

from study.errors import printable
from study.events import Epoch
from study.terminal import shown

BAR_COLUMNS = 90
"""Width of a terminal from which on there is room for bars, in characters."""


@dataclass
class _Bar:
    """A job in flight."""

    id: TaskID
    cost: float
    step: int
    total: int
    first_step: int
    began: float

    @property
    def done(self) -> float:
        """The cost of its iterations so far."""
        return self.cost * self.step / self.total

    def left(self, now: float) -> str:
        """Return the time left at the job's own pace, as text; nothing where no pace is known."""
        steps = self.step - self.first_step
        return _left((now - self.began) * (self.total - self.step) / steps) if steps else ""


class Display:
    """Progress on standard error."""

    def __init__(self, console: Console, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """Draw on `console`; with `quiet`, print only what went wrong. `clock` returns seconds."""
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self._progress = Progress(
            *_columns(bars=console.width >= BAR_COLUMNS),
            console=console,
            expand=True,
            transient=True,
            disable=not self.live,
        )
        self._whole: TaskID | None = None
        self._loading: dict[str, TaskID] = {}
        self._bars: dict[str, _Bar] = {}
        self._clock = clock
        self._began = clock()
        self._waiting = 0.0
        self._done = 0.0
        self._resumed: dict[str, float] = {}
        """The cost of the iterations that each job in flight or done had before, which took none of this time."""
        self._percent = 0
        self._last_once = ""

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def loading(self, task: str, share: float) -> None:
        """Show the progress of a download or of decoding; without a terminal, print the name of the task once."""
        if task not in self._loading:
            self._loading[task] = self._progress.add_task(printable(task), total=1.0, note="", left="")
            if not self.live:
                self.say(task)
        self._progress.update(self._loading[task], completed=share, visible=share < 1)

    def plan(self, cost: float) -> None:
        """Begin the display; `cost` is the work ahead, in the unit of each run's cost: multiply-adds or seconds."""
        self._waiting = cost
        self._whole = self._progress.add_task("all", total=100, note="", left="")

    def say(self, *lines: str) -> None:
        """Print lines, wrapped between words on a terminal."""
        for text in () if self.quiet else lines:
            self._progress.console.print(shown(text), soft_wrap=not self.live)

    def say_once(self, text: str) -> None:
        """Print a line even with `--quiet`, unless it repeats the last such line."""
        if text != self._last_once:
            self._last_once = text
            self.warn(text)

    def close(self) -> None:
        self._progress.stop()

    def warn(self, text: str) -> None:
        """Print a line even with `--quiet`."""
        self._progress.console.print(shown(text, "yellow"), soft_wrap=True)

    def started(self, task: str, name: str, cost: float, step: int, total: int) -> None:
        """Show the bar of a job at iteration `step`; `cost` is that of the whole job."""
        if task not in self._bars:
            bar_id = self._progress.add_task(printable(name), total=total, completed=step, note="", left="")
            self._bars[task] = _Bar(bar_id, cost, step, total, step, self._clock())
            self._resumed.setdefault(task, self._bars[task].done)
            self._waiting = max(0.0, self._waiting - cost)

    def point(self, task: str, point: Epoch, note: str = "") -> None:
        """Advance the bar of a job, and that of the whole grid; `note` is shown in place of the errors."""
        bar = self._bars.get(task)
        if bar is not None:
            bar.step = point.step
            note = note or f"train {point.train_error:5.1f} %  test {point.test_error:5.1f} %"
            self._progress.update(bar.id, completed=point.step, note=note, left=bar.left(self._clock()))
            self._update_whole()

    def ended(
        self, task: str, lines: list[str], *, done: float, waiting: float, begun: Iterable[tuple[str, float]] = ()
    ) -> None:
        """Remove the bar of a job and print how it ended.

        `done` is the cost of the work that needn't be repeated, `waiting` that of all work that hasn't begun, `begun`
        are the other jobs with their costs: a worker that loads its libraries hasn't started its own yet.
        """
        bar = self._bars.pop(task, None)
        if bar is not None:
            self._progress.remove_task(bar.id)
        self._done += done
        if not done:
            self._resumed.pop(task, None)
        self._waiting = waiting + sum(cost for other, cost in begun if other not in self._bars)
        percent, left = self._update_whole()
        self._progress.refresh()  # else the lines would stand above an older share
        standing = f"{percent:3d}%, {left}" if left else f"{percent:3d}%"
        self.say(*(f"[{standing}]  {text}" for text in lines))

    def _update_whole(self) -> tuple[int, str]:
        """Return, and show, the share of all work that is done in percent, and the time left, as text.

        The share is rounded down and never falls. The time is by the pace since the beginning; none before a hundredth
        is done.
        """
        running = sum(bar.done for bar in self._bars.values())
        done = self._done + running
        left = sum(bar.cost for bar in self._bars.values()) - running + self._waiting
        self._percent = max(self._percent, int(100 * done / (done + left)) if done + left else 0)
        here = done - sum(self._resumed.values())
        seconds = (self._clock() - self._began) * left / here if left and here > 0.01 * (done + left) else None
        time_left = _left(seconds) if seconds is not None else ""
        if self._whole is not None:
            self._progress.update(self._whole, completed=self._percent, left=time_left)
        return self._percent, time_left


def _columns(*, bars: bool) -> list[ProgressColumn]:
    """Return the columns of the display: the name is cut where they don't fit."""
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    whole = Column(no_wrap=True)
    return [
        TextColumn("{task.description}", markup=False, table_column=name),
        *([BarColumn(bar_width=24)] if bars else []),
        TextColumn("{task.percentage:>3.0f}%", table_column=whole),
        TextColumn("{task.fields[note]}", markup=False, table_column=whole),
        TextColumn("{task.fields[left]}", justify="right", table_column=whole),
    ]


def _left(seconds: float) -> str:
    return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """Format a time in seconds: 43 s, 5.2 min, 20 min, 3.2 h or 2.1 days."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{0 if unit == 'min' and seconds >= 600 else 1}f} {unit}"
    return f"{seconds:.0f} s"
