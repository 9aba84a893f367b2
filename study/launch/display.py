"""What one sees while a grid runs: a line a running net in a terminal, a line a finished run elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from study.events import Epoch


class Display:
    """Progress on standard error."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        """Draw on `console`; with `quiet`, say nothing but what went wrong."""
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
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
        self._tasks: dict[str, TaskID] = {}
        self._began = time.monotonic()
        self._cost = 0.0
        self._done = 0.0

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def plan(self, cost: float) -> None:
        """Begin: `cost` is the work ahead, in multiply-adds."""
        self._cost = max(cost, 1.0)
        self._whole = self._progress.add_task("[bold]all", total=self._cost, note="")

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        if not self.quiet:
            self._progress.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def warn(self, text: str) -> None:
        """Print a line that even `--quiet` shows."""
        self._progress.console.print(text, style="yellow", highlight=False, soft_wrap=True, markup=False)

    def started(self, task: str, name: str, step: int, total: int) -> None:
        """Show a run's line, or put its bar where the run goes on."""
        if task not in self._tasks:
            self._tasks[task] = self._progress.add_task(name, total=total, completed=step, note="")

    def point(self, task: str, point: Epoch) -> None:
        """Move a run's bar on."""
        note = f"train {point.train_error:5.1f} %  test {point.test_error:5.1f} %"
        if task in self._tasks:
            self._progress.update(self._tasks[task], completed=point.step, note=note)

    def advance(self, cost: float) -> None:
        """Move the whole bar on by work that was done, or that fell away."""
        self._done = min(self._cost, self._done + cost)
        if self._whole is not None:
            self._progress.update(self._whole, completed=self._done)

    def ended(self, task: str, lines: list[str]) -> None:
        """Take a run's line away and say how it ended."""
        if task in self._tasks:
            self._progress.remove_task(self._tasks.pop(task))
        for line in lines:
            self.say(f"{self._left()}  {line}")

    def _left(self) -> str:
        """Return the share done and the time left, for readers without a bar."""
        share = self._done / self._cost if self._cost else 0.0
        spent = time.monotonic() - self._began
        left = spent / share - spent if share > 0.01 else None
        return f"[{share:4.0%}, {_duration(left)} left]" if left is not None else f"[{share:4.0%}]"


def _duration(seconds: float) -> str:
    """Return 43 s, 5 min, 3.2 h or 2.1 days."""
    for size, unit, digits in ((86400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= size * (1 if digits == 0 else 1.5):
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
