"""Two studies side by side: what they set differently, and what that changes net by net and with depth.

Everything is B minus A, by the same statistics as the verdict: Welch's interval and test over seeds for a net, the
difference in differences for the change with depth, with Holm's adjustment over the nets of an error, and over the
architectures and variants for the changes with depth. Seeds are taken as independent, also where both studies have the
same ones: with equal weights at the start that is on the safe side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pandas as pd

from study.names import is_own
from study.statistics.interval import Interval, mean_percent
from study.statistics.multiplicity import holm
from study.statistics.welch import difference_in_differences, difference_in_percent
from study.verdict import selection as c
from study.verdict.variant import Variant, is_of_study, labelled

METRICS = ("final_train_error", "final_test_error")
Kind = Literal["setting", "consequence", "circumstance"]
CONSEQUENCES = ("fingerprint", "train_images", "test_images", "skipped_images", "classes", "total_iterations")
"""What follows from the data and the settings, and can differ where they are the same: files that were changed."""
CIRCUMSTANCES = ("device", "commit", "code", "torch")
KEYS = ("run_id", "run_key", "planned_key")
IDENTITY = (*KEYS, "name", "architecture", "depth", "net", "variant", "seed", "lr", "lr_tuned")
COURSE = ("outcome", "status", "reason", "start_time", "seconds", "images_per_second", "step")
COMPUTED = ("parameters", "multiply_adds", "iterations_per_epoch", "generalisation_gap")
OWN = {*IDENTITY, *COURSE, *COMPUTED}
"""Columns of runs that are no settings of a study."""
SHORT = {"fingerprint": 12, "commit": 12}
NO_VALUE = "\u2013"


class Couple(NamedTuple):
    """A variant of A and a variant of B that are compared, under their names in the joined frames."""

    a: str
    b: str
    shown: str
    """Words that distinguish it from other couples; empty where there is only this couple."""


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


class NetChange(NamedTuple):
    """A net that both studies have: B minus A."""

    variant: str
    architecture: str
    depth: int
    net: str
    metric: str
    a: Interval
    b: Interval
    change: Interval
    p_holm: float


class DepthChange(NamedTuple):
    """Training error of the deepest common net minus that of the shallowest, in A, in B, and B's minus A's."""

    variant: str
    architecture: str
    shallow_net: str
    deep_net: str
    a: Interval
    b: Interval
    change: Interval
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """What two studies say of each other."""

    names: tuple[str, str]
    smallest_effect: float
    couples: tuple[Couple, ...]
    differing: tuple[Setting, ...]
    agreeing: int
    """Settings with the same values in both."""
    nets: tuple[NetChange, ...]
    nets_of_each: tuple[tuple[str, ...], tuple[str, ...]]
    """The names of all nets of A, and of B."""
    depths: tuple[DepthChange, ...]
    shared: int
    """Runs that both have: one training, not two."""

    @property
    def other_depths(self) -> bool:
        """Whether nets of a name are compared whose depths different functions, or families, count in their own way."""
        sides = [(setting.a, setting.b) for setting in self.differing if setting.name == "family"]
        places = [{family.partition("@")[0] for family in side.split(", ")} for pair in sides for side in pair]
        return bool(self.nets and places and places[0] != places[1] and any(map(is_own, places[0] | places[1])))

    def of(self, metric: str) -> list[NetChange]:
        """Return the changes in one error."""
        return [net for net in self.nets if net.metric == metric]


def compare_runs(runs: pd.DataFrame, names: tuple[str, str], smallest_effect: float) -> Comparison:
    """Compare two studies whose runs stand in one frame, as `join` puts them."""
    counted = c.counted(runs)
    couples = _couples(counted, names)
    common = [_common(counted, couple) for couple in couples]
    nets = [net for metric in METRICS for net in _nets(common, couples, metric)]
    used = pd.concat([frame for pair in common for frame in pair]) if common else counted
    if used.empty:
        used = counted
    settings = compare_settings(used, names)
    return Comparison(
        names,
        smallest_effect,
        tuple(couples),
        tuple(setting for setting in settings if setting.differs),
        sum(not setting.differs for setting in settings if setting.kind == "setting"),
        tuple(nets),
        (_net_names(counted, names[0]), _net_names(counted, names[1])),
        tuple(_depths(common, couples)),
        shared_runs(counted),
    )


def _couples(counted: pd.DataFrame, names: tuple[str, str]) -> list[Couple]:
    """Pair variants of the same name; where there are none, a study's only variant goes with each of the other's."""
    own = [_variants(counted, name) for name in names]
    both = [variant for variant in own[0] if variant in own[1]]
    if both:
        pairs = [(variant, variant) for variant in both]
    elif min(map(len, own)) == 1:
        pairs = [(a, b) for a in own[0] for b in own[1]]
    else:
        pairs = []
    couples = [(a, b, a if a == b else f"{a or 'all'} / {b or 'all'}") for a, b in pairs]
    several = len(pairs) > 1
    return [Couple(labelled(names[0], a), labelled(names[1], b), shown if several else "") for a, b, shown in couples]


def _variants(counted: pd.DataFrame, name: str) -> list[str]:
    """Return a study's own variants, without its name."""
    own = [variant for variant in c.variants(counted) if is_of_study(variant, name)]
    return [variant.removeprefix(labelled(name)).removeprefix(", ") for variant in own]


def _common(counted: pd.DataFrame, couple: Couple) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of both variants whose net the other has too."""
    a, b = (c.of_variant(counted, variant) for variant in (couple.a, couple.b))
    nets = {*zip(a["architecture"], a["depth"], strict=True)} & {*zip(b["architecture"], b["depth"], strict=True)}
    first, second = (
        frame[[net in nets for net in zip(frame["architecture"], frame["depth"], strict=True)]] for frame in (a, b)
    )
    return first, second


def _nets(
    common: Sequence[tuple[pd.DataFrame, pd.DataFrame]], couples: Sequence[Couple], metric: str
) -> list[NetChange]:
    out = []
    for couple, architecture, (a, b), step in _by_architecture(common, couples, metric):
        for depth in c.depths(a):
            cells = [c.values(frame, depth, metric) for frame in (a, b)]
            net = c.net_name(a, architecture, depth)
            means = mean_percent(cells[0]), mean_percent(cells[1])
            change = difference_in_percent(cells[1], cells[0], step)
            out.append(NetChange(couple.shown, architecture, depth, net, metric, *means, change, float("nan")))
    adjusted = holm([net.change.p for net in out])
    return [net._replace(p_holm=p) for net, p in zip(out, adjusted, strict=True)]


def _depths(common: Sequence[tuple[pd.DataFrame, pd.DataFrame]], couples: Sequence[Couple]) -> list[DepthChange]:
    metric, out = METRICS[0], []
    for couple, architecture, (a, b), step in _by_architecture(common, couples, metric):
        depths = c.depths(a)
        if len(depths) < 2:
            continue
        (a_deep, a_shallow), (b_deep, b_shallow) = (
            [c.values(frame, depth, metric) for depth in (depths[-1], depths[0])] for frame in (a, b)
        )
        shallow, deep = (c.net_name(a, architecture, depth) for depth in (depths[0], depths[-1]))
        rises = difference_in_percent(a_deep, a_shallow, step), difference_in_percent(b_deep, b_shallow, step)
        change = difference_in_differences(b_deep, b_shallow, a_deep, a_shallow, step)
        out.append(DepthChange(couple.shown, architecture, shallow, deep, *rises, change, float("nan")))
    adjusted = holm([pair.change.p for pair in out])
    return [pair._replace(p_holm=p) for pair, p in zip(out, adjusted, strict=True)]


def _by_architecture(
    common: Sequence[tuple[pd.DataFrame, pd.DataFrame]], couples: Sequence[Couple], metric: str
) -> Iterator[tuple[Couple, str, list[pd.DataFrame], float]]:
    """Yield each couple and architecture with its runs in A and in B, and what one image of a couple is worth."""
    for couple, frames in zip(couples, common, strict=True):
        step = max(c.resolution(frame, metric) for frame in frames)  # of the study with fewer images
        for architecture in c.architectures(frames[0]):
            yield couple, architecture, [frame[frame["architecture"] == architecture] for frame in frames], step


def _net_names(counted: pd.DataFrame, name: str) -> tuple[str, ...]:
    own = counted[[is_of_study(str(variant), name) for variant in counted["variant"]]]
    return tuple(c.ordered(own)["net"].unique())


def compare_settings(runs: pd.DataFrame, names: tuple[str, str]) -> list[Setting]:
    """Return every field of two studies' runs, in the order of the frame; settings first."""
    a, b = (runs[[is_of_study(str(variant), name) for variant in runs["variant"]]] for name in names)
    fields = [str(name) for name in runs if name not in OWN and not str(name).startswith("final_")]
    out = [Setting("learning rate", _rates(a), _rates(b), "setting")]
    out += [Setting(field, _written(a, field), _written(b, field), _kind(field, runs)) for field in fields]
    seeds_a, seeds_b = (_values({int(seed) for seed in frame["seed"]}) for frame in (a, b))
    out.append(Setting("seeds", seeds_a, seeds_b, "circumstance"))
    order = ("setting", "consequence", "circumstance")
    return sorted(out, key=lambda setting: order.index(setting.kind))


def _kind(field: str, runs: pd.DataFrame) -> Kind:
    if field == "shortcut" and (runs[field] == "own").any():  # nets of the user's own have no other
        return "consequence"
    return "consequence" if field in CONSEQUENCES else "circumstance" if field in CIRCUMSTANCES else "setting"


def _rates(runs: pd.DataFrame) -> str:
    tuned = runs["lr_tuned"].astype(bool)
    given = _values(set(runs.loc[~tuned, "lr"].dropna()))
    return ", ".join([*(["tuned for each net"] if tuned.any() else []), *([given] if given != NO_VALUE else [])])


def _written(runs: pd.DataFrame, field: str) -> str:
    present = runs[field].dropna()
    if pd.api.types.is_numeric_dtype(present):
        return _values(set(present))
    return ", ".join(sorted({str(value)[: SHORT.get(field)] for value in present} - {"", "None", "nan"})) or NO_VALUE


def _values(values: set[float] | set[int]) -> str:
    return ", ".join(f"{value:,.15g}" for value in sorted(values)) or NO_VALUE


def shared_runs(runs: pd.DataFrame) -> int:
    """Count the runs whose key an earlier study has too: the same training, done twice or kept in two studies."""
    if "run_key" not in runs:
        return 0
    keys = runs.assign(study=[Variant.parse(str(variant))["study"] for variant in runs["variant"]])
    keys = keys[keys["run_key"] != ""].drop_duplicates(["study", "run_key"])
    return int(keys.duplicated("run_key").sum())
