"""Made-up studies in the form in which a report takes several."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pandas as pd

from study.config.command import Command
from study.config.protocol import RULE_VERSION, Protocol, short_key

from .frames import Study, Truth, make_study

TRUTH = Truth(
    {("plain", 8): (1.0, 0.1), ("plain", 20): (5.0, 0.2), ("residual", 8): (1.0, 0.1), ("residual", 20): (1.0, 0.1)},
    trials=0,
)


@dataclass(frozen=True)
class Made:
    """What `Provenance` says."""

    words: dict[str, str]
    protocols: tuple[Protocol, ...] = ()
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True, eq=False)
class Loaded:
    """What `load_study` gives."""

    name: str
    runs: pd.DataFrame
    curves: pd.DataFrame
    trials: pd.DataFrame
    provenance: Made
    datasets: tuple[object, ...] = ()
    probes: dict[str, pd.DataFrame] = field(default_factory=dict)


def make_protocol(runs: pd.DataFrame, *, hour: int = 0, results: int = 0, **fields: object) -> Protocol:
    """Return a protocol of these runs, stored at an hour of a day."""
    return Protocol.model_validate(
        {
            "at": datetime(2026, 11, 27, hour, tzinfo=UTC),
            "results": results,
            "rule_version": RULE_VERSION,
            "smallest_effect": 0.5,
            "rare_failure": 0.1,
            "budgets": (1.0,),
            "nets": tuple(dict.fromkeys(runs["net"])),
            "seeds": tuple(sorted(set(runs["seed"]))),
            "search": "s" * 16,
            "keys": tuple(sorted({short_key(key) for key in runs["planned_key"]})),
        }
        | fields
    )


def loaded(name: str, truth: Truth = TRUTH, *, seed: int = 0, effect: float = 0.5, **settings: object) -> Loaded:
    """Return a study with other values in some columns of its runs; its keys are its own."""
    study: Study = make_study(truth, seed)
    keys = [f"{name}-{key}" for key in study.runs["run_key"]]
    planned = [f"{name}-{key}" for key in study.runs["planned_key"]]
    runs = study.runs.assign(**{"run_key": keys, "planned_key": planned, "fingerprint": "f" * 20} | settings)
    words = {"command": f"study run --grid {name}.yaml", "torch": "2.14.1", "grid": f"name: {name}"}
    return Loaded(name, runs, study.curves, study.trials, Made(words, (make_protocol(runs, smallest_effect=effect),)))


def shifted(plain_deep: float) -> Truth:
    """Return the truth with another error of the deep plain net."""
    return replace(TRUTH, train=TRUTH.train | {("plain", 20): (plain_deep, 0.2)})
