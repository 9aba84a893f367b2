"""What a study sets before its first result: the rule of its verdict, its nets, seeds and lengths of training."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from study.config.grid import Grid
from study.config.spec import RunSpec
from study.errors import with_noun

RULE_VERSION = 4
"""Of `study.verdict.rule`; raise it when a study could get another status from the same runs."""
KEY_DIGITS = 8
"""Digits of a run's key that a protocol stores: enough to tell the runs of one study apart."""
AFTERWARDS = {"at", "results", "ended", "study"}
"""Fields of a protocol that a grid doesn't set."""


class Protocol(BaseModel):
    """A grid as it was when a command first began a run of it; stored with the study, and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    """When it was stored."""
    results: int
    """Results that the study had by then."""
    rule_version: int
    smallest_effect: float
    rare_failure: float
    budgets: tuple[float, ...]
    nets: tuple[str, ...]
    seeds: tuple[int, ...]
    split_seeds: tuple[int, ...] = ()
    """Of the splits, where the grid has several; a protocol of one split is written without them."""
    search: str
    """Digest of the settings of the learning-rate search; empty where no rate is searched."""
    keys: tuple[str, ...]
    """The first digits of the key of every run, as the grid has it before a search finds its rate."""
    ended: tuple[str, ...] = ()
    """Those of `keys` whose runs had a result by then: for them it came too late."""
    study: str = ""
    """Whose it is, on a page of several studies."""

    @classmethod
    def of(cls, grid: Grid, run_key: Callable[[RunSpec], str], at: datetime, results: Mapping[str, str]) -> "Protocol":
        """Return the protocol of a grid whose runs have these keys on the data as it is.

        `results` are the keys of runs that have a result, with the keys that they were planned by.
        """
        searched = any(spec.recipe.lr == "tune" for spec in grid.points)
        keys = {short_key(run_key(spec)) for spec in grid.points}
        return cls(
            at=at,
            results=len(results),
            rule_version=RULE_VERSION,
            smallest_effect=grid.smallest_effect,
            rare_failure=grid.rare_failure,
            budgets=grid.budgets,
            nets=tuple(dict.fromkeys(str(spec.net) for spec in grid.points)),
            seeds=tuple(sorted({spec.seed for spec in grid.points})),
            split_seeds=tuple(data.split_seed for data in grid.splits) if len(grid.splits) > 1 else (),
            search=_digest(grid.tune.model_dump(mode="json", exclude={"storage"})) if searched else "",
            keys=tuple(sorted(keys)),
            ended=tuple(sorted(keys & set(map(short_key, (*results, *results.values()))))),
        )

    @model_serializer(mode="wrap")
    def _without_a_single_split(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {field: value for field, value in write(self).items() if field != "split_seeds" or value}

    @property
    def id(self) -> str:
        """Digest of all that was set; what is stored under another id was edited."""
        return _digest(self.model_dump(mode="json", exclude=AFTERWARDS))


def short_key(run_key: str) -> str:
    """Return the digits of a run's key by which a protocol knows it."""
    return run_key[:KEY_DIGITS]


def governing(protocols: Sequence[Protocol]) -> Protocol | None:
    """Return the protocol whose rule holds: the last that was stored before the first result, else the first."""
    before = [protocol for protocol in protocols if protocol.results == 0]
    return before[-1] if before else next(iter(protocols), None)


def unused_changes(protocols: Sequence[Protocol]) -> list[str]:
    """Return a line for each bound of the rule that was asked for after the first result, and isn't used."""
    rule = governing(protocols)
    lines: dict[tuple[str, float], str] = {}
    for protocol in protocols:
        for field in ("smallest_effect", "rare_failure"):
            used, asked = getattr(rule, field), getattr(protocol, field)
            if asked != used and protocol.results:
                lines.setdefault(
                    (field, asked),
                    f"{field}: {used:g}, as set before the first result; {asked:g} was asked for on "
                    f"{protocol.at:%Y-%m-%d}, after {with_noun(protocol.results, 'result')}, and isn't used",
                )
    return list(lines.values())


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
