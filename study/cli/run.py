"""What the commands do: call the packages, print what a person wants to read. Returns exit codes."""

import shlex
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from study.cli.status import print_results
from study.errors import StudyError, without_passwords
from study.terminal import say, shown

if TYPE_CHECKING:
    from study.launch.executors.base import Hardware, Limits

PAPER_NETS = [
    *(f"{kind}-{depth}" for depth in (20, 32, 44, 56, 110) for kind in ("plain", "resnet")),
    "resnet-1202",
    *(f"{kind}-{depth}" for depth in (18, 34) for kind in ("plain", "resnet")),
    *("resnet-50", "resnet-101", "resnet-152", "vgg-16", "vgg-19"),
]


def run(
    path: str,
    changes: tuple[str, ...],
    hardware: "Hardware",
    limits: "Limits",
    *,
    quiet: bool,
    lr_from: str | None = None,
    only_search: bool = False,
) -> int:
    """Run a grid, or its searches alone, then print its results, verdict and what to do next."""
    from study.config import grid_text, parse_grid
    from study.launch.display import Display
    from study.launch.plan.cells import with_rates_from
    from study.launch.run_grid import run_grid
    from study.track.snapshot import take_snapshot
    from study.track.uri import tracking_uri, ui_hint

    file, place = grid_text(path)
    grid = parse_grid(file, place, changes)
    if lr_from is not None:
        grid = with_rates_from(grid, lr_from)
    if only_search and not any(spec.recipe.lr == "tune" for spec in grid.points):
        raise StudyError(f"{place}: no net has 'lr: tune', so there is nothing to search")
    words = ["study", "tune" if only_search else "run", "--grid", path]
    words += [word for change in changes for word in ("--set", change)] + (["--lr-from", lr_from] if lr_from else [])
    again = shlex.join(map(without_passwords, words))
    text = "".join([file, *(f"# changed by --set {change}\n" for change in changes)])
    text += f"# learning rates from study {lr_from}\n" if lr_from else ""
    with Display(Console(stderr=True), quiet=quiet) as display:
        summary = run_grid(
            grid,
            display,
            hardware=hardware,
            limits=limits,
            text=text,
            command=again,
            only_search=only_search,
        )
    display.say(
        f"{summary.finished + summary.diverged} runs and {summary.trials} trials done"
        + (f", {summary.earlier} runs were done before" if summary.earlier else "")
        + f" ({summary.seconds:.0f} s)"
    )
    for name, cause in summary.failures:
        display.warn(f"failed: {name}: {cause}")
    if summary.interrupted:  # results would take seconds, which whoever stops it may not have
        display.warn(f"interrupted, nothing is lost; to go on: {again}")
        return 130
    try:
        if only_search:
            print_rates(grid.name)
        elif summary.finished + summary.diverged + summary.earlier:
            print_results(take_snapshot(grid.name))
    except StudyError as error:  # renamed or deleted meanwhile
        display.warn(f"no results to show: {error}")
    if summary.failures:
        display.warn(
            f"the cause of each failure is in MLflow (traceback.txt or worker.log of the run); to try again: {again}"
        )
        return 1
    if only_search:
        train = again.replace("study tune", "study run", 1)
        display.say(f"to train at these rates: {train}; every trial: {ui_hint(tracking_uri())}")
    else:
        print_next(grid.name)
    return 0


def nets(names: list[str], size: int, imagenet_size: int, shortcut: Literal["A", "B", "C"] | None) -> None:
    """Print the sizes of nets."""
    import torch

    from study.names import parse_net
    from study.nets import build_net, count

    table = Table()
    for heading in ("net", "input", "classes", "layers", "parameters", "multiply-adds"):
        table.add_column(heading, justify="left" if heading == "net" else "right")
    for name in names or PAPER_NETS:
        cifar = parse_net(name).family == "cifar"
        side, classes = (size, 10) if cifar else (imagenet_size, 1000)
        with torch.device("meta"):
            found = count(build_net(name, classes, shortcut=shortcut), (3, side, side))
        table.add_row(name, f"3x{side}x{side}", str(classes), *(f"{number:,}" for number in found))
    Console().print(table)


def list_grids() -> None:
    """Print the shipped grids, with what the first lines of each say."""
    from study.config import grid_text, load_grid, shipped_grids

    table = Table("grid", "runs", "what")
    for name in shipped_grids():
        text = grid_text(name)[0].splitlines()
        about = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), text))
        table.add_row(name, str(len(load_grid(name).runs())), shown(about))
    Console().print(table)
    say("`study grids show NAME` prints one; `study run --grid NAME` runs it")


def print_rates(name: str) -> None:
    """Print what the searches of a study found."""
    from study.track.frames import load_search_results

    table = Table(title=shown(f"{name}: learning rates"))
    for i, heading in enumerate(("net", "learning rate", "besides")):
        table.add_column(heading, justify="right" if i == 1 else "left")
    for one in sorted(load_search_results(name), key=lambda one: (one.variant, one.net)):
        besides = ", ".join(f"{field} {value:g}" for field, value in one.point.items() if field != "lr")
        net = f"{one.net} ({one.variant})" if one.variant else one.net
        table.add_row(shown(net), f"{one.point['lr']:g}", shown(besides))
    Console().print(table)


def print_next(name: str) -> None:
    """Print where to look now."""
    from study.track.uri import tracking_uri, ui_hint

    page = shlex.join(["study", "report", "--experiment", name])
    say(f"figures and tables: {page}; every curve: {ui_hint(tracking_uri())}", error=True)
