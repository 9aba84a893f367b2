"""The settings of two studies, resolved: where they differ and where they agree."""

from typing import Literal, NamedTuple

import pandas as pd

from study.report.joined import label
from study.report.tables.results import NOTHING

Kind = Literal["setting", "consequence", "circumstance"]

CONSEQUENCES = (
    "fingerprint", "train_images", "test_images", "skipped_images", "classes", "total_iterations",
)  # fmt: skip
"""What follows from the data and the settings, and can differ where they are the same: files that were changed."""
CIRCUMSTANCES = ("device", "commit", "code", "torch")
OWN = {
    "run_id", "run_key", "name", "outcome", "status", "reason", "architecture", "depth", "net", "variant", "seed", "lr",
    "lr_tuned", "start_time", "seconds", "images_per_second", "step", "parameters", "multiply_adds",
    "iterations_per_epoch", "generalisation_gap",
}  # fmt: skip
"""Columns of runs that are no settings of a study."""
SHORT = {"fingerprint": 12, "commit": 12}


class Setting(NamedTuple):
    """A field with all its values in A and in B, as words."""

    name: str
    a: str
    b: str
    kind: Kind

    @property
    def differs(self) -> bool:
        """Whether the two studies have other values."""
        return self.a != self.b


def settings(runs: pd.DataFrame, names: tuple[str, str]) -> list[Setting]:
    """Return every field of two studies' runs, in the order of the frame; settings first."""
    a, b = (runs[[_is_of(str(variant), name) for variant in runs["variant"]]] for name in names)
    fields = [str(name) for name in runs if name not in OWN and not str(name).startswith("final_")]
    out = [Setting("learning rate", _rates(a), _rates(b), "setting")]
    out += [Setting(field, _words(a, field), _words(b, field), _kind(field)) for field in fields]
    seeds_a, seeds_b = (_listed({int(seed) for seed in frame["seed"]}) for frame in (a, b))
    out.append(Setting("seeds", seeds_a, seeds_b, "circumstance"))
    order = ("setting", "consequence", "circumstance")
    return sorted(out, key=lambda one: order.index(one.kind))


def counted_settings(found: list[Setting]) -> list[Setting]:
    """Return what was set, and neither follows from something else nor is a circumstance."""
    return [one for one in found if one.kind == "setting"]


def _is_of(variant: str, name: str) -> bool:
    return variant == label(name) or variant.startswith(f"{label(name)}, ")


def _kind(field: str) -> Kind:
    return "consequence" if field in CONSEQUENCES else "circumstance" if field in CIRCUMSTANCES else "setting"


def _rates(runs: pd.DataFrame) -> str:
    tuned = runs["lr_tuned"].astype(bool)
    given = _listed(set(runs.loc[~tuned, "lr"].dropna()))
    return ", ".join([*(["tuned for each net"] if tuned.any() else []), *([given] if given != NOTHING else [])])


def _words(runs: pd.DataFrame, field: str) -> str:
    present = runs[field].dropna()
    if pd.api.types.is_numeric_dtype(present):
        return _listed(set(present))
    return ", ".join(sorted({str(value)[: SHORT.get(field)] for value in present} - {"", "None", "nan"})) or NOTHING


def _listed(values: set[float] | set[int]) -> str:
    return ", ".join(f"{value:,.15g}" for value in sorted(values)) or NOTHING
