"""Whether a verdict rests on what was set before its results, or is exploratory.

A run belongs to the last protocol that names it of those from before the first result, else to the oldest that was
stored before it ended. A verdict is exploratory where runs that it counts were added after results were there or took
the place of others, where results that were planned are missing (a study that is stopped early was looked at too), and
where the rule or the settings of the search are other than those that were set. A run has two keys, by which a grid
names it that searches its rate or gives it. p-values of an exploratory verdict aren't adjusted for the look in between.
"""

from collections.abc import Sequence

import pandas as pd

from study.config.protocol import RULE_VERSION, Protocol, governing, short_key
from study.errors import with_noun
from study.verdict.rule import Rule
from study.verdict.selection import ENDED, run_columns
from study.verdict.text import listed
from study.verdict.variant import is_of_study

BOUNDS = {"smallest_effect": "a smallest effect", "rare_failure": "a share of failures"}


def exploratory(
    counted: pd.DataFrame, runs: pd.DataFrame, protocols: Sequence[Protocol], rule: Rule
) -> tuple[str, ...]:
    """Return why a verdict is exploratory, a clause for each reason; none where all was set beforehand.

    Without any protocol nothing is known, and nothing returned.

    Args:
        counted: the runs that the verdict rests on, with their `planned_key`.
        runs: all runs of the page.
        protocols: as they were stored, the oldest first; on a page of several studies each names its own.
        rule: what is applied.
    """
    if not protocols or counted.empty:
        return ()
    own = [protocol for protocol in protocols if is_of_study(str(counted["variant"].iloc[0]), protocol.study)]
    if any(protocol.study for protocol in own):
        runs = runs[[is_of_study(str(variant), own[0].study) for variant in runs["variant"]]]
    owners = _owners(counted, own)
    involved = [protocol for protocol in own if protocol in owners]
    return (
        *_added(counted, owners, involved),
        *_replacing(counted, runs),
        *_changed(counted, involved, own, rule),
        *_missing(runs, involved),
    )


def _keys(runs: pd.DataFrame) -> list[set[str]]:
    """Return the short keys of each run: as it was planned, and with the rate that it has."""
    return [set(map(short_key, keys)) for keys in runs[["planned_key", "run_key"]].astype(str).to_numpy()]


def _owners(runs: pd.DataFrame, protocols: Sequence[Protocol]) -> list[Protocol | None]:
    """Return the protocol of each run; None where it was in none before it ended."""
    named = [(protocol, set(protocol.keys), set(protocol.ended)) for protocol in protocols]
    owners: list[Protocol | None] = []
    for keys in _keys(runs):
        naming = [protocol for protocol, planned, ended in named if keys & planned and not keys & ended]
        beforehand = [protocol for protocol in naming if not protocol.results]
        owners.append(beforehand[-1] if beforehand else next(iter(naming), None))
    return owners


def _added(counted: pd.DataFrame, owners: list[Protocol | None], involved: Sequence[Protocol]) -> list[str]:
    """Name the runs that no protocol has, and those of a later protocol than others of the same verdict."""
    reasons = [_runs(counted, owners, None, "in no protocol by the end of training")] if None in owners else []
    for later in involved[1:]:
        if later.results:
            when = f"added on {later.at:%Y-%m-%d}, after {with_noun(later.results, 'result')}"
            reasons.append(_runs(counted, owners, later, when))
    return reasons


def _replacing(counted: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Name the nets of which earlier results, from other settings or data, are left out for those that count."""
    columns = run_columns(runs)
    ended = runs.loc[runs["outcome"].isin(ENDED), [*columns, "planned_key", "run_key"]]
    both = counted.merge(ended, on=columns, suffixes=("", "_other"))
    replacing = both[
        (both["planned_key"] != both["planned_key_other"]) & (both["run_key"] != both["run_key_other"])
    ].drop_duplicates(columns)
    if replacing.empty:
        return []
    take = "takes" if len(replacing) == 1 else "take"
    return [f"{_of_nets(replacing)} {take} the place of earlier results from other settings or data"]


def _changed(
    counted: pd.DataFrame, involved: Sequence[Protocol], protocols: Sequence[Protocol], rule: Rule
) -> list[str]:
    """Name what was set otherwise than it is applied, or changed later."""
    first, reasons = governing(protocols), []
    for field, what in BOUNDS.items():
        if first is not None and getattr(first, field) != getattr(rule, field):
            reasons.append(f"{what} of {getattr(first, field):g} was set, and {getattr(rule, field):g} is applied")
    reasons += [
        f"version {protocol.rule_version} of the rule was set, and version {RULE_VERSION} is applied"
        for protocol in involved
        if protocol.rule_version != RULE_VERSION
    ]
    if counted["lr_tuned"].astype(bool).any():
        for first in involved:
            for later in protocols:
                changed = later.search != first.search and bool(set(later.keys) & set(first.keys))
                if later.at > first.at and later.results and changed:
                    when = f"{later.at:%Y-%m-%d}, after {with_noun(later.results, 'result')}"
                    reasons.append(f"the search's settings were changed on {when}")
    return list(dict.fromkeys(reasons))


def _missing(runs: pd.DataFrame, involved: Sequence[Protocol]) -> list[str]:
    planned = {key for protocol in involved for key in protocol.keys}
    done = set().union(*_keys(runs[runs["outcome"].isin(ENDED)]))
    left = len(planned - done)
    return [f"{left:,} of {len(planned):,} planned runs {'has' if left == 1 else 'have'} no result"] if left else []


def _runs(counted: pd.DataFrame, owners: list[Protocol | None], owner: Protocol | None, words: str) -> str:
    """Say of the runs of one owner: ``10 runs (plain-8 and plain-20) were added on 2026-11-27, after 30 results``."""
    chosen = counted[[other is owner for other in owners]]
    return f"{_of_nets(chosen)} {'were' if len(chosen) > 1 else 'was'} {words}"


def _of_nets(runs: pd.DataFrame) -> str:
    nets = listed(list(dict.fromkeys(runs["net"].astype(str))))
    return f"{with_noun(len(runs), 'run')} ({nets})"
