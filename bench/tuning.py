"""Which sampler, pruner and number of seeds find a net's learning rate with the least training: searches, replayed.

    study run --grid bench/tuning-digits.yaml       # trains every net at every rate of a fine grid, about an hour
    python bench/tuning.py collect tuning-digits    # from MLflow into bench/tuning-digits.csv
    OMP_NUM_THREADS=1 python bench/tuning.py replay # ten minutes; prints the tables, writes bench/tuning-digits.md

A replayed trial trains nothing: its curve and final loss are the table's, between two rates a straight line over the
log rate. A search's seed, quasi-random rates and sampler follow from its repetition's number: all share their luck.
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from study.config import Tune
from study.track.frames import load_curves, load_runs
from study.tune import shared_points, worst_value

DEEP = 32  # plain nets of this depth and more are a class of their own: losses jump from rate to rate, seed to seed
QUASI = 4  # quasi-random rates before a sampler, where not a part of all; also how many trials end before any median
NEAR = 0.18  # rates this close to the best tabulated one, in decades (a factor of 1.5), are its neighbourhood
WIDTH = 0.15  # of the bell, in decades (a factor of 1.4), that averages losses over rates for the smoothed choice
PARTS = {"1/2": 0.5, "3/4": 0.75, "4": QUASI}
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """A way to search."""

    label: str
    sampler: str = "none"  # with "seeds", what isn't quasi-random goes into more seeds, up to `seeds`, of the leader
    quasi: float = 1.0  # the part of the trials that is quasi-random; above 1, their number
    pruner: str = "none"
    seeds: int = 1


SAMPLERS = [
    Plan("quasi-random alone"),
    Plan("log grid, ends included", "grid"),
    *(Plan(f"quasi-random {part}, {name}", name, PARTS[part]) for name in ("TPE", "bisect") for part in PARTS),
    Plan("quasi-random 4, TPE without magic clip", "TPE unclipped", QUASI),
    *(Plan(f"quasi-random {part}, GP", "GP", PARTS[part]) for part in ("3/4", "4")),
]
PRUNERS = [
    replace(plan, label=f"{plan.label}; {pruner}", pruner=pruner)
    for plan in (SAMPLERS[0], SAMPLERS[3])
    for pruner in ("none", "median, half", "median, quarter", "halving", "hyperband")
]
SEEDS = [
    *(Plan(f"{seeds} seed(s) a rate", seeds=seeds) for seeds in (1, 2, 3)),
    *(Plan(f"3 seeds a rate, Wilcoxon {p}", pruner=f"wilcoxon {p}", seeds=3) for p in (0.1, 0.3)),
    *(Plan(f"{x} rates, then second seeds of the leader", "seeds", PARTS[x], seeds=2) for x in ("3/4", "1/2")),
]
VIEWS = [  # what is shown: of deep plain nets or not, which score, how
    ("Deep plain nets, regret", [True], "regret", "{:.1f} ({:.1f})"),
    ("Deep plain nets, regret in errors averaged over near rates", [True], "even", "{:.1f} ({:.1f})"),
    ("Deep plain nets, regret where the choice is smoothed", [True], "smoothed", "{:.1f} ({:.1f})"),
    ("Deep plain nets, training error of a seed that the search has not seen", [True], "unseen", "{:.1f} ({:.1f})"),
    ("Deep plain nets, decades outside the good rates", [True], "off", "{:.2f} ({:.2f})"),
    ("The other nets, regret", [False], "regret", "{:.1f} ({:.1f})"),
    ("All nets, regret", [True, False], "regret", "{:.1f} ({:.1f})"),
    ("All nets, trainings spent", [True, False], "cost", "{:.1f}"),
    ("Deep plain nets, trials near the best rate that were pruned", [True], "near_pruned", "{:.0%}"),
    ("Deep plain nets, searches that pruned the best of their rates", [True], "lost", "{:.0%}"),
]
SECTIONS = [
    ("Samplers, by number of trials; one seed a rate, nothing pruned", SAMPLERS, (6, 8, 12, 16, 20), VIEWS[:7]),
    ("Pruners, by number of trials; one seed a rate", PRUNERS, (8, 12, 20), VIEWS[:2] + VIEWS[5:]),
    ("Seeds a rate, by trainings in all", SEEDS, (6, 12, 18, 24), VIEWS[:4] + VIEWS[5:8]),
]


@dataclass(frozen=True)
class Net:
    """What every rate came to: arrays of seeds x rates, the curve's of seeds x rates x epochs."""

    name: str
    logs: Values
    loss: Values
    error: Values
    curve: Values
    even: Values  # the mean error of each rate, averaged over near rates too: less noise, less detail
    best: int  # place of the rate with the least mean error; of equals, with the least mean loss
    good: slice  # the rates around it whose mean error is within a point, or a tenth, of the best

    def at(self, values: Values, rate: float) -> float:
        return float(np.interp(np.log10(rate), self.logs, values))


@dataclass
class Tried:
    """A trial: its rate, its loss (a mean over seeds), its cost in whole trainings, whether it was stopped."""

    rate: float
    loss: float
    cost: float
    pruned: bool = False


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


def bell(logs: Values, width: float) -> Values:
    weights = np.exp(-0.5 * ((logs[:, None] - logs) / width) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def read_table(path: Path) -> tuple[list[Net], list[str]]:
    """Return the nets with a seed that has every rate, and the names of those without."""
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
        best, mean = int(np.lexsort((loss.mean(0), error.mean(0)))[0]), error.mean(0)
        bad = np.flatnonzero(mean > mean.min() + max(1, mean.min() / 10))
        good = slice(max(bad[bad < best], default=-1) + 1, min(bad[bad > best], default=len(mean)))
        curve, even = curve.reshape(*shape, epochs), bell(logs, WIDTH) @ mean
        nets.append(Net(str(name), logs, loss, error, curve, even, best, good))
    return nets, sorted({*frame.net} - {*whole.net})


def make_pruner(kind: str, epochs: int) -> tuple[optuna.pruners.BasePruner, Sequence[int]]:
    """Return a pruner and the epochs after which it is asked (Wilcoxon's after each seed instead)."""
    quarter, median = epochs // 4, optuna.pruners.MedianPruner(n_startup_trials=QUASI)
    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=quarter, reduction_factor=2)
    return {
        "none": (optuna.pruners.NopPruner(), ()),
        **{f"wilcoxon {p}": (optuna.pruners.WilcoxonPruner(p_threshold=p), ()) for p in (0.1, 0.3)},
        "median, half": (median, (2 * quarter, 3 * quarter)),
        "median, quarter": (median, range(quarter, epochs)),
        "halving": (halving, range(quarter, epochs)),
        "hyperband": (optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs), range(1, epochs)),
    }[kind]


def bisect(net: Net, tried: list[Tried]) -> float:
    """Return the middle, in log rate, of the wider gap beside the best rate so far."""
    best = np.log10(min(tried, key=lambda trial: trial.loss).rate)
    logs = [net.logs[0], *(np.log10(trial.rate) for trial in tried), net.logs[-1]]
    below, above = max((x for x in logs if x < best), default=best), min((x for x in logs if x > best), default=best)
    return float(10 ** ((best + (below if best - below > above - best else above)) / 2))


def search(net: Net, plan: Plan, trials: int, repetition: int, order: list[int]) -> list[Tried]:
    """Replay a search with the seeds in `order`; return its trials."""
    pruner, epochs = make_pruner(plan.pruner, net.curve.shape[2])
    study = optuna.create_study(pruner=pruner, study_name=f"{net.name}-{repetition}")
    low, high = 10 ** net.logs[0], 10 ** net.logs[-1]
    start = max(1, round(plan.quasi * trials if plan.quasi <= 1 else plan.quasi))
    tune = Tune(trials=start, low=low, high=high, sampler="none", seed=repetition)
    grid, shared = np.geomspace(low, high, trials).tolist(), [point["lr"] for point in shared_points(tune)]
    rates = grid if plan.sampler == "grid" else shared
    tried: list[Tried] = []
    for number, seed in enumerate(range(1000 * repetition, 1000 * repetition + trials)):
        if plan.sampler == "seeds" and number >= start:
            leader = min((one for one in tried if one.cost < plan.seeds), key=lambda one: one.loss)
            again = net.at(net.loss[order[int(leader.cost)]], leader.rate)
            leader.loss, leader.cost = (leader.loss * leader.cost + again) / (leader.cost + 1), leader.cost + 1
            continue
        if number < start or plan.sampler == "bisect":
            study.enqueue_trial({"lr": rates[number] if number < start else bisect(net, tried)})
        elif plan.sampler == "GP":
            study.sampler = optuna.samplers.GPSampler(n_startup_trials=1, seed=seed, deterministic_objective=False)
        else:
            clip = plan.sampler == "TPE"  # Optuna's default
            study.sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=seed, consider_magic_clip=clip)
        trial = study.ask({"lr": FloatDistribution(low * 0.999, high * 1.001, log=True)})
        tried.append(train(net, plan, trial, order, epochs))
        state = optuna.trial.TrialState.PRUNED if tried[-1].pruned else None
        study.tell(trial, None if state else tried[-1].loss, state=state)
    return tried


def train(net: Net, plan: Plan, trial: optuna.Trial, order: list[int], epochs: Sequence[int]) -> Tried:
    """Play one trial to its end, or until the pruner stops it (its loss is then what it would have come to)."""
    rate = trial.params["lr"]
    losses = [net.at(net.loss[seed], rate) for seed in order[: 1 if plan.sampler == "seeds" else plan.seeds]]
    points = [(epoch, net.at(net.curve[order[0], :, epoch - 1], rate), epoch / net.curve.shape[2]) for epoch in epochs]
    if plan.pruner.startswith("wilcoxon"):
        points = [(order[done], loss, done + 1) for done, loss in enumerate(losses)]
    for step, value, cost in points:
        trial.report(value, step)
        if cost < len(losses) and trial.should_prune():
            return Tried(rate, float(np.mean(losses)), cost, pruned=True)
    return Tried(rate, float(np.mean(losses)), len(losses))


def chosen(tried: list[Tried], width: float) -> float:
    """Return the rate with the least loss or, with a width, the least log loss averaged over near rates."""
    ended = [trial for trial in tried if not trial.pruned] or tried
    losses, logs = np.log([max(trial.loss, 1e-6) for trial in ended]), np.log10([trial.rate for trial in ended])
    return ended[int(np.argmin(bell(logs, width) @ losses if width else losses))].rate


def score(net: Net, plan: Plan, tried: list[Tried], order: list[int]) -> dict[str, float]:
    """Return what a search is judged by, under the names that `replay` prints."""
    mean, rate, good = net.error.mean(0), chosen(tried, 0), net.logs[net.good]
    near = [trial.pruned for trial in tried if abs(np.log10(trial.rate) - net.logs[net.best]) < NEAR]
    return {
        "regret": net.at(mean, rate) - mean.min(),
        "even": net.at(net.even, rate) - net.even.min(),
        "smoothed": net.at(mean, chosen(tried, WIDTH)) - mean.min(),
        "unseen": net.at(net.error[order[-1]], rate) if plan.seeds < len(order) else np.nan,
        "off": max(0.0, good[0] - np.log10(rate), np.log10(rate) - good[-1]),
        "cost": sum(trial.cost for trial in tried),
        "near_pruned": float(np.mean(near)) if near else np.nan,
        "lost": float(min(tried, key=lambda trial: trial.loss).pruned),
    }


def repeat(nets: list[Net], plan: Plan, budgets: tuple[int, ...], repetitions: int) -> pd.DataFrame:
    """Replay a plan: a row a net, repetition and budget (in trainings, were nothing pruned)."""
    rows, slow, seeds = [], plan.sampler == "GP", 1 if plan.sampler == "seeds" else plan.seeds
    for net in nets:
        deep = net.name.startswith("plain") and int(net.name.split("-")[1]) >= DEEP
        for repetition in range(repetitions // ((2 if slow else 1) * (1 if deep else 4))):
            order = np.random.default_rng(repetition).permutation(len(net.loss)).tolist()
            tried: list[Tried] = []
            for budget in sorted(budgets[:3] if slow and plan.quasi <= 1 else budgets, reverse=True):
                if not tried or plan.quasi <= 1:  # else a short search is the beginning of a long one
                    tried = search(net, plan, budget // seeds, repetition, order)
                found = score(net, plan, tried[:budget], order)
                rows.append({"search": plan.label, "net": net.name, "deep": deep, "budget": budget, **found})
    return pd.DataFrame(rows)


def table(frame: pd.DataFrame, what: str, form: str) -> str:
    """Return a row a plan, a column a budget; `form` gets the mean over nets and the mean of their 90th percentiles."""
    by_net = frame.groupby(["search", "budget", "net"], sort=False)[what]
    both = pd.DataFrame({"mean": by_net.mean(), "high": by_net.quantile(0.9)}).groupby(level=[0, 1], sort=False).mean()
    cells = pd.Series([form.format(*row) for row in both.to_numpy()], both.index, dtype=str).unstack(sort=False)
    return str(cells[sorted(cells.columns)].fillna("").to_markdown(disable_numparse=True))


def replay(path: Path, repetitions: int) -> None:
    """Replay every plan on a table; print the results and write them beside it."""
    (nets, left_out), rows = read_table(path), []
    for net in nets:
        rates, spread = [f"{10**log:.2g}" for log in net.logs], pd.DataFrame(net.error[:, net.good]).std().mean()
        error, good = net.error.mean(0).min(), " to ".join(rates[net.good][:: max(1, len(rates[net.good]) - 1)])
        rows.append([net.name, len(net.loss), rates[net.best], good, f"{error:.1f}", f"{spread:.1f}"])
    columns = ["net", "seeds", "best rate", "good rates", "error at the best, %", "sd between seeds at the good"]
    parts = ["# The table", pd.DataFrame(rows, columns=columns).to_markdown(index=False, disable_numparse=True)]
    parts += [f"Left out, unfinished: {', '.join(left_out) or 'none'}"]
    for title, plans, budgets, views in SECTIONS:
        seeds = min(3 if plans is SEEDS else 1, max(len(net.loss) for net in nets))  # the same nets for all plans
        fit = [net for net in nets if len(net.loss) >= seeds]
        frame = pd.concat(repeat(fit, plan, budgets, repetitions) for plan in plans if plan.seeds <= seeds)
        parts += [f"# {title} ({', '.join(net.name for net in fit)})"]
        for view, whose, what, form in views:
            shown = frame[frame.deep.isin(whose)].dropna(subset=[what])
            parts += [f"{view}:", table(shown, what, form)] if len(shown) else []
    path.with_suffix(".md").write_text("\n\n".join(parts) + "\n")
    print(path.with_suffix(".md").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["collect", "replay"])
    parser.add_argument("experiment", nargs="?", default="tuning-digits", help="the study that `collect` reads")
    parser.add_argument("--uri", help="MLflow's address, where it isn't the default")
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "tuning-digits.csv")
    parser.add_argument("--repetitions", type=int, default=120, help="for each deep plain net; for others a quarter")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # of Optuna's experimental and deprecated parts
    if given.command == "collect":
        collect(given.experiment, given.uri, given.table)
    else:
        replay(given.table, given.repetitions)


if __name__ == "__main__":
    main()
