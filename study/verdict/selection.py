"""Which runs count, which don't and why, and the values of a cell: the one place where runs are left out."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.config import MODIFICATIONS
from study.errors import StudyError, with_noun
from study.names import ARCHITECTURES, NetName, is_own, parse_net, stated_family
from study.verdict.variant import Variant

ENDED = ("finished", "diverged")
RUN = ("architecture", "depth", "variant", "split_seed", "seed")


class Excluded(NamedTuple):
    """A run that isn't counted."""

    name: str
    run_id: str
    reason: str


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by variant, architecture (plain first), depth and, where there are any, trial, split and seed."""
    keys = [key for key in ("variant", "architecture", "depth", "number", "split_seed", "seed", "step") if key in frame]
    ranks = {name: rank for rank, name in enumerate(ARCHITECTURES)}
    out = frame.sort_values(
        keys, key=lambda column: column.map(ranks) if column.name == "architecture" else column, kind="stable"
    )
    return out.reset_index(drop=True)


def counted(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that count: ended, with a final training error, one (the latest) for each cell, split and seed.

    A diverged run counts, with the error of guessing. Two runs of one seed and split are one observation, not two.
    """
    ended = runs[runs["outcome"].isin(ENDED) & runs["final_train_error"].notna()]
    latest = ended.sort_values("start_time", kind="stable").drop_duplicates(run_columns(ended), keep="last")
    return ordered(latest)


def run_columns(runs: pd.DataFrame) -> list[str]:
    """Return the columns that say which run of a study a row is; frames of one split may lack its seed."""
    return [name for name in RUN if name in runs]


def excluded(runs: pd.DataFrame) -> list[Excluded]:
    """Return the runs that `counted` leaves out, each with the reason."""
    counted_ids = set(counted(runs)["run_id"])
    out = []
    for _, run in ordered(runs[~runs["run_id"].isin(counted_ids)]).iterrows():
        if run["outcome"] not in ENDED:
            reason = "still running" if run["outcome"] == "running" else str(run["outcome"])
        elif np.isnan(run["final_train_error"]):
            reason = "no final training error"
        else:
            reason = "repeated: a later run has this seed"
        out.append(Excluded(title(run["name"], run["variant"]), str(run["run_id"]), reason))
    return out


def title(name: str, variant: str) -> str:
    """Return a run's name with its variant: ``plain-56 seed 0 (batch_size=64)``."""
    return f"{name} ({variant})" if variant else str(name)


def values(cells: pd.DataFrame, depth: int, metric: str, architecture: str = "") -> NDArray[np.float64]:
    """Return (seeds,) the values of a metric at a depth, without missing ones; of all architectures or of one.

    Where `cells` are of several splits, (splits,) the mean of each: an inference is about new splits then, and runs
    that share their images aren't independent.
    """
    rows = cells["depth"] == depth
    if architecture:
        rows &= cells["architecture"] == architecture
    columns = [name for name in (metric, "split_seed") if name in cells]  # a study has a hundred, of text too
    return unit_means(cells[columns][rows], metric, several=several_splits(cells))


def unit_means(cell: pd.DataFrame, metric: str, *, several: bool | None = None) -> NDArray[np.float64]:
    """Return the values of a metric in a cell's runs or, of `several` splits, the mean of each split.

    By default the cell says whether it has several.
    """
    column = cell[metric].dropna()
    if several_splits(cell) if several is None else several:
        column = column.groupby(cell["split_seed"]).mean()
    return column.to_numpy(dtype=np.float64)


def several_splits(cells: pd.DataFrame) -> bool:
    """Whether runs are of several splits of the images."""
    return "split_seed" in cells and cells["split_seed"].nunique() > 1


def unit(cells: pd.DataFrame) -> str:
    """Return what `values` are of: ``seed``, or ``split of 2 seeds``."""
    if not several_splits(cells):
        return "seed"
    seeds = sorted(set(cells.groupby(["variant", "architecture", "depth", "split_seed"]).size()))
    return f"split of {with_noun(seeds[0], 'seed') if len(seeds) == 1 else f'{seeds[0]} to {seeds[-1]} seeds'}"


def units(runs: pd.DataFrame) -> str:
    """Return what the means of several variants are over: ``seeds``, ``splits``, or ``seeds or splits``."""
    several = {several_splits(part) for _, part in runs.groupby("variant")}
    return " or ".join("splits" if split else "seeds" for split in sorted(several)) or "seeds"


def depths(frame: pd.DataFrame) -> list[int]:
    """Return the depths in a frame, shallowest first."""
    return sorted({int(depth) for depth in frame["depth"]})


def architectures(frame: pd.DataFrame) -> list[str]:
    """Return the architectures in a frame, plain first."""
    return [name for name in ARCHITECTURES if (frame["architecture"] == name).any()]


def variants(frame: pd.DataFrame) -> list[str]:
    """Return the variants that are judged, sorted; ``""`` is the only one of a grid without further axes.

    Where options of the shortcut are compared, plain nets, which have none, belong to each of them. Nets with a remedy
    are judged by themselves where they are a study of their own, plain and residual; else they stand beside the others.
    """
    known = {str(variant) for variant in frame["variant"]}
    shared = {plain_variant(variant) for variant in known if "shortcut" in Variant.parse(variant)}
    alone = frame.loc[frame["architecture"] == "residual", "variant"]
    judged = sorted(variant for variant in known if variant not in shared or (alone == variant).any())
    return [variant for variant in judged if not _stands_beside(frame, variant)] or judged


def budgets(frame: pd.DataFrame) -> list[str]:
    """Return the variants that are longer trainings of another one's nets, sorted: they are judged with that one."""
    known = {str(variant) for variant in frame["variant"]}
    return sorted(variant for variant in known if _is_budget(variant, known))


def _is_budget(variant: str, known: set[str]) -> bool:
    fields = Variant.parse(variant)
    return "budget" in fields and str(fields.without("budget")) in known


def _stands_beside(frame: pd.DataFrame, variant: str) -> bool:
    """Whether a variant is a longer budget, or names a remedy and has not both kinds of nets, of two depths each."""
    if _is_budget(variant, set(frame["variant"])):
        return True
    if not MODIFICATIONS & Variant.parse(variant).keys():
        return False
    nets = frame[frame["variant"] == variant]
    return not all(
        nets.loc[nets["architecture"] == architecture, "depth"].nunique() > 1 for architecture in ("plain", "residual")
    )


def of_variant(frame: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the rows of a variant, and of the plain nets that all options of the shortcut share."""
    if frame.empty:
        return frame
    plain = (frame["architecture"] != "residual") & (frame["variant"] == plain_variant(variant))
    return frame[(frame["variant"] == variant) | plain].assign(variant=variant)


def plain_variant(variant: str) -> str:
    """Return the variant of the plain nets, which have no shortcut, beside residual nets: without its option."""
    return str(Variant.parse(variant).without("shortcut"))


def net_name(frame: pd.DataFrame, architecture: str, depth: int) -> str:
    """Return the name of the net at a depth: ``resnet-56``."""
    rows = frame[(frame["architecture"] == architecture) & (frame["depth"] == depth)]
    return str(rows["net"].iloc[0])


def deeper_nets(frame: pd.DataFrame, architecture: str) -> tuple[NetName, ...]:
    """Return the nets to try beyond the deepest of an architecture; none where its family has no deeper one."""
    deepest = _deepest(frame, architecture)
    try:
        return parse_net(str(deepest["net"]), stated_family(deepest.get("family"))).deeper
    except StudyError:
        return ()  # no net of this program


def may_go_deeper(frame: pd.DataFrame, architecture: str) -> bool:
    """Whether there may be nets beyond the deepest; of the user's own, only the function that builds them can tell."""
    own = is_own(stated_family(_deepest(frame, architecture).get("family")))
    return own or len(deeper_nets(frame, architecture)) > 0


def _deepest(frame: pd.DataFrame, architecture: str) -> "pd.Series[Any]":
    return frame[frame["architecture"] == architecture].sort_values("depth").iloc[-1]


def resolution(cells: pd.DataFrame, metric: str) -> float:
    """Return what one image is worth in percent, for a metric on the training or the test images.

    The gap is the difference of both. Where the number of images isn't known, one point: too coarse, never too fine.
    """
    if metric == "generalisation_gap":
        return float(np.hypot(resolution(cells, "final_train_error"), resolution(cells, "final_test_error")))
    images = cells["test_images" if "test" in metric else "train_images"].dropna()
    smallest = float(images.min()) if len(images) else 0.0
    return 100 / smallest if smallest > 0 else 1.0


def with_gap(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with their generalisation gap, final test minus final training error."""
    return cells.assign(generalisation_gap=cells["final_test_error"] - cells["final_train_error"])
