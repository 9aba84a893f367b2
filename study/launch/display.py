"""Show the progress of a grid: a bar for each running net on a terminal, a line for each finished run elsewhere."""

import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from study.errors import printable
from study.events import Epoch
from study.terminal import shown


@dataclass
class _Bar:
    """A job in flight."""

    id: TaskID
    cost: float
    step: int
    total: int


class Display:
    """Progress on standard error."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        """Draw on `console`; with `quiet`, print only what went wrong."""
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
        self._bars: dict[str, _Bar] = {}
        self._began = time.monotonic()
        self._cost = 0.0
        self._done = 0.0
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
            self._loading[task] = self._progress.add_task(printable(task), total=1.0, note="")
            if not self.live:
                self.say(task)
        self._progress.update(self._loading[task], completed=share, visible=share < 1)

    def plan(self, cost: float) -> None:
        """Begin the display; `cost` is the work ahead, in the unit of each run's cost: multiply-adds or seconds."""
        self._cost = max(cost, 1.0)
        self._whole = self._progress.add_task("all", total=self._cost, note="")

    def say(self, text: str) -> None:
        if not self.quiet:
            self._progress.console.print(shown(text), soft_wrap=True)

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
            bar_id = self._progress.add_task(printable(name), total=total, completed=step, note="")
            self._bars[task] = _Bar(bar_id, cost, step, total)

    def point(self, task: str, point: Epoch) -> None:
        """Advance the bar of a job, and that of the whole grid."""
        bar = self._bars.get(task)
        if bar is not None:
            bar.step = point.step
            note = f"train {point.train_error:5.1f} %  test {point.test_error:5.1f} %"
            self._progress.update(bar.id, completed=point.step, note=note)
            self._update_whole()

    def ended(self, task: str, lines: list[str], *, done: float) -> None:
        """Remove the bar of a job and print how it ended; `done` is the cost of the work that needn't be repeated."""
        bar = self._bars.pop(task, None)
        if bar is not None:
            self._progress.remove_task(bar.id)
        self._done += done
        self._update_whole()
        for text in lines:
            self.say(f"{self._left()}  {text}")

    def _update_whole(self) -> None:
        if self._whole is not None:
            self._progress.update(self._whole, completed=self._share() * self._cost)

    def _share(self) -> float:
        """Return the share of all work that is done, jobs in flight included."""
        running = sum(bar.cost * bar.step / bar.total for bar in self._bars.values())
        return min(1.0, (self._done + running) / self._cost) if self._cost else 0.0

    def _left(self) -> str:
        """Return the share done and the time left, as text: `[ 40%, 5.2 min left]`."""
        share = self._share()
        spent = time.monotonic() - self._began
        left = spent / share - spent if share > 0.01 else None
        return f"[{share:4.0%}, {duration(left)} left]" if left is not None else f"[{share:4.0%}]"


def duration(seconds: float) -> str:
    """Format a time in seconds: 43 s, 5.2 min, 20 min, 3.2 h or 2.1 days."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{0 if unit == 'min' and seconds >= 600 else 1}f} {unit}"
    return f"{seconds:.0f} s"
