"""Whether a verdict rests on what was set before its results, or is exploratory.

A run belongs to the oldest protocol that names it. A verdict is exploratory where runs that it counts were added after
results were there, where results that were planned are missing (a study that is stopped early was looked at too), and
where the rule or the settings of the search are other than those that were set. p-values of an exploratory verdict
aren't adjusted for the look in between.
"""

from collections.abc import Sequence

import pandas as pd

from study.config.protocol import RULE_VERSION, Protocol, short_key, with_noun
from study.verdict.selection import ENDED
from study.verdict.text import listed


def exploratory(counted: pd.DataFrame, runs: pd.DataFrame, protocols: Sequence[Protocol]) -> tuple[str, ...]:
    """Return why a verdict is exploratory, a clause for each reason; none where all was set beforehand.

    Without any protocol nothing is known, and nothing returned.

    Args:
        counted: the runs that the verdict rests on, with their `planned_key`.
        runs: all runs of the study.
        protocols: as they were stored, the oldest first.
    """
    if not protocols or counted.empty:
        return ()
    owners = [_owner(str(key), protocols) for key in counted["planned_key"]]
    involved = [protocol for protocol in protocols if protocol in owners]
    return (
        *_added(counted, owners, involved),
        *_changed(counted, involved, protocols),
        *_missing(runs, involved),
    )


def _owner(planned_key: str, protocols: Sequence[Protocol]) -> Protocol | None:
    return next((protocol for protocol in protocols if short_key(planned_key) in protocol.keys), None)


def _added(counted: pd.DataFrame, owners: list[Protocol | None], involved: Sequence[Protocol]) -> list[str]:
    """Name the runs that no protocol has, and those of a later protocol than others of the same verdict."""
    reasons = [_runs(counted, owners, None, "in no protocol")] if None in owners else []
    for later in involved[1:]:
        if later.results:
            when = f"added on {later.at:%Y-%m-%d}, after {with_noun(later.results, 'result')}"
            reasons.append(_runs(counted, owners, later, when))
    return reasons


def _changed(counted: pd.DataFrame, involved: Sequence[Protocol], protocols: Sequence[Protocol]) -> list[str]:
    """Name what was set otherwise than it is applied, or changed later."""
    reasons = [
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
    done = {short_key(str(key)) for key in runs.loc[runs["outcome"].isin(ENDED), "planned_key"]}
    left = len(planned - done)
    return [f"{left:,} of {len(planned):,} planned runs {'has' if left == 1 else 'have'} no result"] if left else []


def _runs(counted: pd.DataFrame, owners: list[Protocol | None], owner: Protocol | None, words: str) -> str:
    """Say of the runs of one owner: ``10 runs (plain-8 and plain-20) were added on 2026-11-27, after 30 results``."""
    chosen = counted[[other is owner for other in owners]]
    nets = listed(list(dict.fromkeys(chosen["net"].astype(str))))
    several = len(chosen) > 1
    return f"{with_noun(len(chosen), 'run')} ({nets}) {'were' if several else 'was'} {words}"
