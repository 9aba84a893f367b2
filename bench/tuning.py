"""How well the learning-rate search finds a net's rate, and what other settings of it would: searches, replayed.

    study run --grid bench/tuning-digits.yaml       # trains every net at every rate of a fine grid, about an hour
    python bench/tuning.py collect tuning-digits    # from MLflow into bench/tuning-digits.csv
    OMP_NUM_THREADS=1 python bench/tuning.py replay # prints the table, writes bench/tuning-digits.md

A replayed search is the shipped one (`study.tune.Search`: shared rates, sampler, pruner, widening, further seeds).
Its trials train nothing: curve and final loss are the table's, between two rates a straight line over the log rate.
Each repetition shuffles the table's seeds and moves the net's rates by up to a tenth of a decade, half the distance of
shared rates, so that the luck of theirs doesn't count. All settings face the same repetitions.
"""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.storages import InMemoryStorage

from study.config import Tune
from study.launch.scheduler.queue import COMPARED
from study.track.frames import load_curves, load_runs
from study.tune import QUARTERS, Search, Trial, worst_value

COSTLY = 2.0  # points of training error: a search whose rate costs more has failed
WIDTH = 0.15  # of the bell, in decades (a factor of 1.4), that averages errors over near rates
MOVED = 0.1  # decades by which a net's rates are moved at most
PLANS: dict[str, dict[str, Any]] = {
    "**8 rates**": {},
    "6 rates, the best 2 again": {"trials": 6, "confirm": 2},
    "8 rates, the best 2 again": {"confirm": 2},
    "8 rates, pruned by the median": {"pruner": "median"},
    "8 rates, halving": {"pruner": "halving"},
    "8 rates, Gaussian process": {"sampler": "gp"},
    "8 rates, all shared": {"sampler": "none"},
    "8 rates, 6 shared": {"shared": 6},
    "7 rates": {"trials": 7},
    "5 rates, the best 3 again": {"trials": 5, "confirm": 3},
    "4 rates, 2 seeds each": {"trials": 4, "seeds": 2},
    "12 rates, the best 4 again": {"trials": 12, "confirm": 4},
    "16 rates": {"trials": 16},
}
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Net:
    """What every rate came to: arrays of seeds x rates, the curve's of seeds x rates x epochs."""

    name: str
    logs: Values
    loss: Values
    error: Values
    curve: Values
    even: Values  # the mean error of each rate, averaged over near rates too: less noise

    def at(self, values: Values, log: float) -> float:
        return float(np.interp(log, self.logs, values))


def collect(experiment: str, uri: str | None, target: Path) -> None:
    """Write a study's runs as a table: a row a net, seed and rate, with the running loss of each epoch."""
    runs, curves = load_runs(experiment, uri), load_curves(experiment, uri)
    by_run = {run: frame.train_loss.dropna() for run, frame in curves.sort_values("step").groupby("run_id")}
    runs = runs[runs.outcome.isin(["finished", "diverged"])].sort_values(["architecture", "depth", "seed", "lr"])
    ended, worst = runs.outcome == "finished", worst_value(Tune(), int(runs.classes.max()))
    frame = runs[["net", "seed", "lr", "outcome", "epochs"]].assign(
        final_train_loss=runs.final_train_loss.where(ended, worst).clip(upper=worst),
        final_train_error=runs.final_train_error.where(ended, 100.0),
        train_loss=[" ".join(f"{value:.4g}" for value in by_run.get(run, [])) for run in runs.run_id],
    )
    frame.to_csv(target, index=False, float_format="%.5g")
    print(f"{len(runs)} runs in {target}, {target.stat().st_size / 1000:.0f} kB")


def read_table(path: Path) -> list[Net]:
    """Return the nets whose seeds have every rate; of those with one seed, it serves as every seed."""
    frame, nets = pd.read_csv(path), []
    logs, epochs = np.log10(sorted(frame.lr.unique())), int(frame.epochs.max())
    whole = frame[frame.groupby(["net", "seed"]).lr.transform("nunique") == len(logs)]
    for name, rows in whole.sort_values(["seed", "lr"], kind="stable").groupby("net", sort=False):
        shape = (rows.seed.nunique(), len(logs))
        curve = np.repeat(rows.final_train_loss.to_numpy(float)[:, None], epochs, 1)  # after a divergence, the worst
        for line, text in zip(curve, rows.train_loss.fillna("").astype(str), strict=True):
            known = [float(value) for value in text.split()]
            line[: len(known)] = np.minimum(known, line.max()) if len(known) < epochs else known
        loss, error = (rows[f"final_train_{what}"].to_numpy(float).reshape(shape) for what in ("loss", "error"))
        nets.append(Net(str(name), logs, loss, error, curve.reshape(*shape, epochs), bell(logs) @ error.mean(0)))
    return nets


def bell(logs: Values) -> Values:
    weights = np.exp(-0.5 * ((logs[:, None] - logs) / WIDTH) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def search(net: Net, tune: Tune, repetition: int) -> dict[str, float]:
    """Replay a search; return what it is judged by."""
    luck = np.random.default_rng(repetition)
    order, moved = luck.permutation(len(net.loss)), luck.uniform(-MOVED, MOVED)
    replayed = Search(InMemoryStorage(), net.name, tune, repetition)
    cost = 0.0
    while (trial := replayed.ask()) is not None:
        cost += train(net, replayed, trial, order, moved)
    best = replayed.best()
    log = np.log10(best[0]["lr"]) + moved if best is not None else net.logs[-1]
    errors = net.error.mean(0)
    best_place = int(np.lexsort((net.loss.mean(0), errors))[0])
    unseen = net.error[order[tune.seeds + tune.confirm_seeds * (tune.confirm > 1) :]]
    fresh = unseen.mean(0) if len(unseen) else np.full(len(errors), np.nan)
    return {
        "cost": cost,
        "regret": net.at(errors, log) - errors[best_place],
        "even": net.at(net.even, log) - net.even.min(),
        "fresh": net.at(fresh, log) - fresh[best_place],
        "widened": replayed.widened,
    }


def train(net: Net, replayed: Search, trial: Trial, order: NDArray[np.int64], moved: float) -> float:
    """Play one trial to its end, or until the pruner stops it; return its cost in whole trainings."""
    seed, log = order[trial.repeat % len(order)], np.log10(trial.rate) + moved
    epochs = net.curve.shape[2]
    for quarter in COMPARED.get(replayed.tune.pruner, ()):
        value = net.at(net.curve[seed, :, quarter * epochs // QUARTERS - 1], log)
        if replayed.report(trial, quarter, value):
            replayed.prune(trial, value)
            return quarter / QUARTERS
    inside = net.logs[0] - MOVED <= log <= net.logs[-1] + MOVED
    replayed.tell(trial, net.at(net.loss[seed], log) if inside else worst_value(replayed.tune, 10))  # where it widened
    return 1.0


def replay(path: Path, repetitions: int) -> None:
    """Replay every plan on a table; print the results and write them beside it."""
    nets = read_table(path)
    several = [net for net in nets if len(net.loss) > 1]
    rows: list[dict[str, str]] = []
    for label, settings in PLANS.items():
        tune = Tune(low=float(10 ** nets[0].logs[0]), high=float(10 ** nets[0].logs[-1]), **settings)
        scores = {net.name: repeat(net, tune, repetitions if net in several else repetitions // 4) for net in nets}
        others = pd.concat([score for name, score in scores.items() if name not in {net.name for net in several}])
        rows.append({"search": label, "trainings": f"{pd.concat(scores.values()).cost.mean():.1f}"})
        for name in (net.name for net in several):
            for what, words in (("even", "evened"), ("fresh", "unseen seeds")):
                score = scores[name][what].dropna()
                text = f"{score.mean():.1f} ({score.quantile(0.9):.1f}), {(score > COSTLY).mean():.0%}"
                rows[-1][f"{name}, {words}"] = text if len(score) else ""
        rows[-1]["others costly"] = f"{(others.regret > COSTLY).mean():.0%}"
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    path.with_suffix(".md").write_text(f"{table}\n")
    print(table)


def repeat(net: Net, tune: Tune, repetitions: int) -> pd.DataFrame:
    return pd.DataFrame([search(net, tune, repetition) for repetition in range(repetitions)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["collect", "replay"])
    parser.add_argument("experiment", nargs="?", default="tuning-digits", help="the study that `collect` reads")
    parser.add_argument("--uri", help="MLflow's address, where it isn't the default")
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "tuning-digits.csv")
    parser.add_argument("--repetitions", type=int, default=200, help="for nets of several seeds; else a quarter")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # of Optuna's experimental parts
    if given.command == "collect":
        collect(given.experiment, given.uri, given.table)
    else:
        replay(given.table, given.repetitions)


if __name__ == "__main__":
    main()
