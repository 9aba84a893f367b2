"""What `study run --dry-run` prints: the plan of a grid, and what is left of it will cost on this machine."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from study.terminal import say, shown

if TYPE_CHECKING:
    from study.launch.estimate.cost import Estimate
    from study.launch.run_grid import Plan


def dry_run(
    path: str, changes: tuple[str, ...], lr_from: str | None, device: str, workers: int | None, replicas: int | None
) -> int:
    """Print the plan of a grid; what isn't known of its nets' speeds yet is measured first."""
    from study.config import load_grid
    from study.launch.display import Display, duration
    from study.launch.estimate.benchmark import SpeedCache
    from study.launch.estimate.cost import costs_in_seconds, estimate, known_speeds
    from study.launch.executors.devices import choose_workers
    from study.launch.plan.cells import with_rates_from
    from study.launch.run_grid import make_plan

    grid = load_grid(path, changes)
    if lr_from is not None:
        grid = with_rates_from(grid, lr_from)
    with Display(Console(stderr=True)) as display:
        plan = make_plan(grid, display)
        crew = choose_workers(device, workers, plan.jobs, replicas, plan.gpus_per_run)
        cache = SpeedCache(crew, plan.facts)
        speeds, unknown = known_speeds(plan.cells, cache)
        if unknown:
            speeds |= cache.measure(unknown, display.loading)
    timed = costs_in_seconds(plan.cells, speeds, cache, plan.facts, grid)
    cost = estimate(timed, speeds, cache, plan.facts, grid.tune, crew)
    _print_cells(grid.name, plan, cost, grid.tune.trials)
    runs = sum(len(cell.left) for cell in plan.cells)
    adds = sum(cell.runs_cost + cell.search_cost(grid.tune.trials) for cell in plan.cells)
    searches = " and their searches" if any(cell.point is None for cell in plan.cells) else ""
    say(f"left to do: {runs} runs{searches}, {_short(adds)} multiply-adds")
    if runs:
        count = len(crew.devices)
        where = f"{count} worker{'s' * (count > 1)} ({', '.join(dict.fromkeys(crew.names))})"
        gpu = f"{cost.gpu / 1024:.1f} GiB of a GPU's, " if cost.gpu else ""
        say(
            f"about {duration(cost.seconds)} on {where}, {cost.memory / 1024:.1f} GiB of memory, {gpu}"
            f"{max(1, round(cost.disk / 1e6)):,} MB of disk; nothing was started"
        )
    return 0


def _print_cells(name: str, plan: "Plan", cost: "Estimate", trials: int) -> None:
    from study.launch.display import duration

    facts = plan.facts
    table = Table(title=shown(f"{name}: {facts.train_images:,} training and {facts.test_images:,} test images"))
    widest = max(len(cell.name) for cell in plan.cells)
    for heading in ("net", "MACs", "iterations", "rate", "done", "continue", "to do", "trials", "work left"):
        table.add_column(
            heading, justify="left" if heading == "net" else "right", min_width=widest * (heading == "net")
        )
    for cell, seconds in zip(plan.cells, cost.cells, strict=True):
        begun = sum(record is not None for _, record in cell.left)
        table.add_row(
            shown(cell.name),
            _short(cell.complexity.multiply_adds),
            f"{cell.specs[0].recipe.total_iterations(facts.train_images):,}",
            f"{cell.point['lr']:g}" if cell.point else "tune",
            *(str(number) for number in (len(cell.done), begun, len(cell.left) - begun)),
            "" if cell.point else f"<= {trials}",
            duration(seconds) if cell.left else "",
        )
    Console(width=max(Console().width, 100 + widest) if not Console().is_terminal else None).print(table)


def _short(number: float) -> str:
    """Return 7.8M, 3.9T: a number as people say it."""
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
