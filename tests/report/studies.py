"""Made-up studies in the form in which a report takes several."""

from dataclasses import dataclass, field, replace

import pandas as pd

from .frames import Study, Truth, make_study

TRUTH = Truth({("plain", 8): (1.0, 0.1), ("plain", 20): (5.0, 0.2), ("residual", 8): (1.0, 0.1),
               ("residual", 20): (1.0, 0.1)}, trials=0)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What `Provenance` says."""

    words: dict[str, str]
    smallest_effect: float = 0.5


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


def loaded(name: str, truth: Truth = TRUTH, *, seed: int = 0, effect: float = 0.5, **settings: object) -> Loaded:
    """Return a study with other values in some columns of its runs; its keys are its own."""
    study: Study = make_study(truth, seed)
    keys = [f"{name}-{key}" for key in study.runs["run_key"]]
    runs = study.runs.assign(**{"run_key": keys, "fingerprint": "f" * 20} | settings)
    words = {"command": f"study run --grid {name}.yaml", "torch": "2.14.1", "grid": f"name: {name}"}
    return Loaded(name, runs, study.curves, study.trials, Made(words, effect))


def shifted(plain_deep: float) -> Truth:
    """Return the truth with another error of the deep plain net."""
    return replace(TRUTH, train=TRUTH.train | {("plain", 20): (plain_deep, 0.2)})
