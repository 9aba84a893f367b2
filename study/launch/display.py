"""What one sees while a grid runs: a line a running net in a terminal, a line a finished run elsewhere."""

import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from study.errors import printable
from study.events import Epoch
from study.terminal import shown


@dataclass
class _Line:
    """A run in flight: its bar, its cost, and where it is."""

    bar: TaskID
    cost: float
    step: int
    total: int


class Display:
    """Progress on standard error."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        """Draw on `console`; with `quiet`, say nothing but what went wrong."""
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not self.live,
        )
        self._whole: TaskID | None = None
        self._loading: dict[str, TaskID] = {}
        self._lines: dict[str, _Line] = {}
        self._began = time.monotonic()
        self._cost = 0.0
        self._done = 0.0
        self._said_once = ""

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def loading(self, what: str, share: float) -> None:
        """Show how much of a download or of decoding is done; where there is no bar, say once what is being done."""
        if what not in self._loading:
            self._loading[what] = self._progress.add_task(printable(what), total=1.0, note="")
            if not self.live:
                self.say(what)
        self._progress.update(self._loading[what], completed=share, visible=share < 1)

    def plan(self, cost: float) -> None:
        """Begin: `cost` is the work ahead, in multiply-adds or seconds, as that of each run is."""
        self._cost = max(cost, 1.0)
        self._whole = self._progress.add_task("all", total=self._cost, note="")

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        if not self.quiet:
            self._progress.console.print(shown(text), soft_wrap=True)

    def say_once(self, text: str) -> None:
        """Print a line that even `--quiet` shows, if it wasn't the last such line."""
        if text != self._said_once:
            self._said_once = text
            self.warn(text)

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._progress.stop()

    def warn(self, text: str) -> None:
        """Print a line that even `--quiet` shows."""
        self._progress.console.print(shown(text, "yellow"), soft_wrap=True)

    def started(self, task: str, name: str, cost: float, step: int, total: int) -> None:
        """Show a run's line, its bar where the run goes on; `cost` is the whole run's."""
        if task not in self._lines:
            bar = self._progress.add_task(printable(name), total=total, completed=step, note="")
            self._lines[task] = _Line(bar, cost, step, total)

    def point(self, task: str, point: Epoch) -> None:
        """Move a run's bar on, and that of the whole."""
        line = self._lines.get(task)
        if line is not None:
            line.step = point.step
            note = f"train {point.train_error:5.1f} %  test {point.test_error:5.1f} %"
            self._progress.update(line.bar, completed=point.step, note=note)
            self._move()

    def ended(self, task: str, lines: list[str], *, done: float) -> None:
        """Take a run's line away and say how it ended; `done` is the cost of the work that need not be done again."""
        line = self._lines.pop(task, None)
        if line is not None:
            self._progress.remove_task(line.bar)
        self._done += done
        self._move()
        for text in lines:
            self.say(f"{self._left()}  {text}")

    def _move(self) -> None:
        if self._whole is not None:
            self._progress.update(self._whole, completed=self._share() * self._cost)

    def _share(self) -> float:
        """Return the part of all work that is done, runs in flight included."""
        running = sum(line.cost * line.step / line.total for line in self._lines.values())
        return min(1.0, (self._done + running) / self._cost) if self._cost else 0.0

    def _left(self) -> str:
        """Return the share done and the time left, for readers without a bar."""
        share = self._share()
        spent = time.monotonic() - self._began
        left = spent / share - spent if share > 0.01 else None
        return f"[{share:4.0%}, {duration(left)} left]" if left is not None else f"[{share:4.0%}]"


def duration(seconds: float) -> str:
    """Return 43 s, 5.2 min, 20 min, 3.2 h or 2.1 days."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{0 if unit == 'min' and seconds >= 600 else 1}f} {unit}"
    return f"{seconds:.0f} s"
