"""Studies made up with known truth: the frames that `study report` reads, without training anything."""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

PARAMETERS = {8: 77_850, 20: 272_474, 32: 466_906, 44: 661_338, 56: 855_770, 110: 1_730_714}


@dataclass(frozen=True)
class Study:
    """Three frames."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    trials: pd.DataFrame


@dataclass(frozen=True)
class Truth:
    """What the made-up study shows: mean and deviation of final errors in percent, by net."""

    train: dict[tuple[str, int], tuple[float, float]]
    overfit: float = 3.0
    """Test error minus training error, in points."""
    iterations: int = 220
    evaluations: int = 20
    seeds: int = 3
    trials: int = 8
    trial_seeds: int = 1
    train_images: int = 1293
    test_images: int = 360
    start: dict[tuple[str, int], float] = field(default_factory=dict)
    """Training error at three quarters of training, before the rate falls; by default twice the last."""


def make_study(truth: Truth, seed: int = 0) -> Study:
    random = np.random.default_rng(seed)
    runs, curves, trials = [], [], []
    for (architecture, depth), (mean, sd) in truth.train.items():
        for run_seed in range(truth.seeds):
            run = make_run(architecture, depth, run_seed, truth)
            error = max(0.0, random.normal(mean, sd))
            run["final_train_error"] = _whole(error, truth.train_images)
            run["final_train_error_augmented"] = run["final_train_error"]
            run["final_test_error"] = _whole(max(0.0, error + random.normal(truth.overfit, 0.3)), truth.test_images)
            runs.append(run)
            curves += _curve(run, truth, random)
        trials += _trials(architecture, depth, mean, truth, random)
    return Study(pd.DataFrame(runs), pd.DataFrame(curves), pd.DataFrame(trials))


def make_run(architecture: str, depth: int, seed: int, truth: Truth) -> dict[str, object]:
    net = f"{'resnet' if architecture == 'residual' else architecture}-{depth}"
    return {
        "run_id": f"{architecture}{depth}x{seed}".ljust(32, "0"),
        "run_key": f"{net}{seed}".ljust(20, "0"),
        "planned_key": hashlib.sha256(f"{net}{seed}".encode()).hexdigest()[:20],
        "name": f"{net} seed {seed}",
        "outcome": "finished",
        "architecture": architecture,
        "depth": depth,
        "net": net,
        "variant": "",
        "seed": seed,
        "lr": 0.1,
        "lr_tuned": True,
        "dataset": "digits",
        "train_images": truth.train_images,
        "test_images": truth.test_images,
        "classes": 10,
        "parameters": PARAMETERS.get(depth, 1000 * depth),
        "multiply_adds": 2_000_000 * depth,
        "final_train_error": 0.0,
        "final_train_loss": 0.01,
        "final_train_error_augmented": 0.0,
        "final_test_error": 0.0,
        "final_test_loss": 0.1,
        "final_validation_error": np.nan,
        "total_iterations": truth.iterations,
        "step": truth.iterations,
        "seconds": 60.0 + depth,
        "images_per_second": 5000.0 / depth,
        "start_time": pd.Timestamp("2026-01-01") + pd.Timedelta(minutes=seed),
        "device": "cpu",
        "precision": "fp32",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "epochs": "20.0",
        "iterations": "None",
        "batch_size": "128",
        "optimizer": "sgd",
        "momentum": "0.9",
        "nesterov": "False",
        "weight_decay": "0.0001",
        "schedule": "step",
        "augment": "none",
        "normalize": "channel",
    }


def diverge(study: Study, name: str, at: float = 0.3) -> Study:
    """Return the study with a run that diverged: the error of guessing, and a curve that stops."""
    runs, curves = study.runs.copy(), study.curves
    mine = runs["name"] == name
    runs.loc[mine, "outcome"] = "diverged"
    runs.loc[mine, ["final_train_error", "final_test_error"]] = 90.0
    run_id, last = runs.loc[mine, "run_id"].iloc[0], runs.loc[mine, "total_iterations"].iloc[0] * at
    return Study(runs, curves[(curves["run_id"] != run_id) | (curves["step"] <= last)], study.trials)


def unfinish(study: Study, name: str, outcome: str) -> Study:
    """Return the study with a run that did not end."""
    runs = study.runs.copy()
    mine = runs["name"] == name
    runs.loc[mine, "outcome"] = outcome
    runs.loc[mine, [column for column in runs if column.startswith("final_")]] = np.nan
    return Study(runs, study.curves, study.trials)


def with_budget(study: Study, truth: Truth, times: int = 3) -> Study:
    """Return the study with its shallowest and deepest nets trained for longer too, with the errors of `truth`."""
    ends = {study.runs["depth"].min(), study.runs["depth"].max()}
    runs = make_study(truth, seed=4).runs
    runs = runs[runs["depth"].isin(ends)].assign(
        variant=f"budget={times}", total_iterations=times * truth.iterations, step=times * truth.iterations
    )
    for column in ("run_id", "planned_key"):
        runs[column] = f"b{times}" + runs[column].str[:-2]
    return Study(pd.concat([study.runs, runs], ignore_index=True), study.curves, study.trials)


def _whole(error: float, images: int) -> float:
    """Round an error to whole images."""
    return min(images, round(error * images / 100)) * 100 / images


def _curve(run: dict[str, object], truth: Truth, random: np.random.Generator) -> list[dict[str, object]]:
    key = (str(run["architecture"]), int(str(run["depth"])))
    final = float(str(run["final_train_error"]))
    plateau = truth.start.get(key, min(85.0, 2 * final + 1))
    rows = []
    for step in np.linspace(0, truth.iterations, truth.evaluations + 1)[1:].astype(int):
        done = step / truth.iterations
        speed = 12 / (1 + key[1] / 20) if key[0] == "plain" else 12
        level = plateau if done <= 0.5 else final + (plateau - final) * 0.15 * np.exp(-8 * (done - 0.5))
        error = level + (88 - level) * np.exp(-speed * done)
        noise = 0.04 * error if done <= 0.5 else 0.01 * error
        train = float(np.clip(error + random.normal(0, noise + 0.02), 0, 100))
        test = float(np.clip(error + truth.overfit + random.normal(0, 2 * noise + 0.05), 0, 100))
        rows.append(
            {
                **{name: run[name] for name in ("run_id", "architecture", "depth", "net", "variant", "seed")},
                "step": int(step),
                "train_error": train,
                "train_loss": train / 40,
                "test_error": test,
                "test_loss": test / 40,
                "validation_error": np.nan,
                "lr": 0.1 if done <= 0.5 else 0.01,
                "images_per_second": 100.0,
            }
        )
    return rows


def _trials(
    architecture: str, depth: int, error: float, truth: Truth, random: np.random.Generator
) -> list[dict[str, object]]:
    best = 0.3 if architecture == "residual" else 0.3 / (depth / 8)
    rates = 10 ** (-3 + 3 * (np.arange(truth.trials) + 0.25) / max(1, truth.trials))
    noise = 0.01 * random.random(truth.trials + 1)
    rows = []
    for number, lr in enumerate(rates):
        for seed in range(1000, 1000 + truth.trial_seeds):
            value = 0.01 + error / 40 + 0.35 * np.log10(lr / best) ** 2 + noise[number + 1] + (seed - 1000) / 500
            state = "diverged" if lr > 8 * best else "pruned" if value > 0.9 + error / 40 else "complete"
            rows.append(make_trial(architecture, depth, number, float(lr), seed=seed, error=40 * value, state=state))
    complete = [row for row in rows if row["state"] == "complete"]
    if complete:
        found = min(complete, key=lambda row: float(str(row["value"])))["number"]
        for row in rows:
            row["chosen"] = row["number"] == found
    return rows


def make_trial(
    architecture: str,
    depth: int,
    number: int,
    lr: float,
    *,
    seed: int = 1000,
    error: float = 1.0,
    state: str = "complete",
    **others: object,
) -> dict[str, object]:
    """Return a row of `load_trials`; the loss is a fortieth of the error, held-out images have three points more."""
    net = f"{'resnet' if architecture == 'residual' else architecture}-{depth}"
    error = 90.0 if state == "diverged" else min(error, 90.0)
    ended = state in ("complete", "diverged")
    return {
        "architecture": architecture,
        "depth": depth,
        "net": net,
        "variant": "",
        "number": number,
        "seed": seed,
        "lr": lr,
        "objective": "train_loss",
        "value": 2 * np.log(10) if state == "diverged" else error / 40,
        "state": state,
        "step": 220 if state == "complete" else 55,
        "chosen": False,
        "edge": "",
        "low": 0.001,
        "high": 1.0,
        "began": pd.Timestamp(0),
        "point": json.dumps({"lr": lr}),
        "train_error": error + 1,
        "final_train_error": error if ended else np.nan,
        "final_train_loss": error / 40 if state == "complete" else np.nan,
        "final_test_error": error + 3 if ended else np.nan,
        "final_validation_error": error + 3 if state == "complete" else np.nan,
        "run_id": f"{net}t{number}s{seed}".ljust(32, "0"),
        **others,
    }
