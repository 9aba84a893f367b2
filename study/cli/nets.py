"""`study nets` and `study grids`: what can be trained, and the grids that come with the program."""

from collections.abc import Sequence
from itertools import product, takewhile
from pathlib import Path
from typing import Annotated, Literal

import typer

from study.cli.console import print_table
from study.errors import StudyError
from study.terminal import say

PAPER_NETS = [
    *(f"{kind}-{depth}" for depth in (20, 32, 44, 56, 110) for kind in ("plain", "resnet")),
    "resnet-1202",
    *(f"{kind}-{depth}" for depth in (18, 34) for kind in ("plain", "resnet")),
    *("resnet-50", "resnet-101", "resnet-152", "vgg-16", "vgg-19"),
]
grids_app = typer.Typer(
    help="List the grids that come with the program, or print one.", epilog="Example: study grids show digits"
)


def nets(
    size: Annotated[int, typer.Option(min=8, help="Side of CIFAR-family images in pixels.")] = 32,
    imagenet_size: Annotated[int, typer.Option(min=32, help="Side of ImageNet-family and VGG images.")] = 224,
    shortcut: Annotated[
        Literal["A", "B", "C"] | None, typer.Option(help="Default: A for CIFAR, B for ImageNet.")
    ] = None,
    depths: Annotated[
        list[int] | None, typer.Option("--depth", help="A depth of nets of your own. Repeatable.")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the images of nets of your own.")] = 3,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Nets such as plain-20, or your own, such as nets.py:build; default those of the paper."),
    ] = None,
) -> None:
    """Print layers, parameters and multiply-adds of nets, counted from the nets themselves."""
    import torch

    from study.names import is_own, parse_net
    from study.nets import build_net, count

    rows = []
    for name in names or PAPER_NETS:
        if is_own(name):
            rows += own_rows(name, depths or [], (channels, size, size))
            continue
        side, classes = (size, 10) if parse_net(name).family == "cifar" else (imagenet_size, 1000)
        with torch.device("meta"):
            complexity = count(build_net(name, classes, shortcut=shortcut), (3, side, side))
        rows.append((name, f"3x{side}x{side}", str(classes), *(f"{number:,}" for number in complexity)))
    print_table(("net", "input", "classes", "layers", "parameters", "multiply-adds"), rows)
    if any(map(is_own, names or [])):
        say("multiply-adds of your own nets are those of modules: products by functions, as in attention, don't count")


def own_rows(place: str, depths: Sequence[int], shape: tuple[int, int, int]) -> list[tuple[str, ...]]:
    """Return the rows of plain and residual nets that a function of the user's builds, for images (C, H, W).

    Raises:
        StudyError: no depth is given, or the function can't be loaded, or its nets built or passed through.
    """
    from study.config.own_nets import read_own_nets
    from study.names import join_net
    from study.nets import count_any
    from study.nets.own import build_own, in_a_line

    if not depths:
        raise StudyError(
            f"{place}: say with --depth which depths, as only the function knows them: --depth 4 --depth 16"
        )
    own, rows = read_own_nets(place, Path.cwd()), []
    for depth, residual in product(depths, (False, True)):
        name = join_net("residual" if residual else "plain", depth)
        with in_a_line(own, f"in building {name}"):
            net = build_own(own, depth, residual=residual, num_classes=10, in_channels=shape[0])
        with in_a_line(own, f"in a pass of {name} for images of {'x'.join(map(str, shape))}"):
            complexity = count_any(net, shape)
        rows.append((name, "x".join(map(str, shape)), "10", *(f"{number:,}" for number in complexity)))
    return rows


@grids_app.callback(invoke_without_command=True)
def grids(context: typer.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    from study.config import grid_text, load_grid, shipped_grids

    rows = []
    for name in shipped_grids():
        text = grid_text(name)[0].splitlines()
        about = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), text))
        rows.append((name, str(len(load_grid(name).runs())), about))
    headings = ("grid", "runs", "what")
    print_table(headings, rows, left=headings)
    say("`study grids show NAME` prints one; `study run --grid NAME` runs it")


@grids_app.command("show", epilog="Example: study grids show digits > mine.yaml")
def show_grid(name: Annotated[str, typer.Argument(help="A shipped grid, or a file.")]) -> None:
    """Print a grid: a file to start from."""
    from study.config import grid_text

    typer.echo(grid_text(name)[0], nl=False)


@grids_app.command("fields", epilog="Example: study grids fields > reference.md")
def fields() -> None:
    """Print the reference of all fields of a grid file."""
    from study.config.reference import document

    typer.echo(document(), nl=False)
