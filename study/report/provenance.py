"""How a study was made: facts, versions, grid, commands, runs without a result, and whether all were made alike."""

import json
import math
import platform
import shlex
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd
import yaml

from study.config import DatasetSpec, Recipe
from study.errors import with_noun
from study.names import is_own
from study.verdict import selection as c
from study.verdict.text import listed

LENGTH = ("epochs", "iterations", "total_iterations", "batch_size")
OPTIMIZER = ("optimizer", "momentum", "nesterov", "weight_decay")
SCHEDULE = ("schedule", "milestones", "gamma", "warmup")
INPUT = ("augment", "normalize")
NET = ("shortcut", "width", "family")
COMPUTATION = ("precision", "deterministic", "gpus_per_run")
REMEDIES = ("batch_norm", "shortcut_scale", "preactivation", "scaling", "initialisation", "activation")
RECIPE = (*LENGTH, *OPTIMIZER, *SCHEDULE, *INPUT, *NET, *COMPUTATION, *REMEDIES)
DATA = ("dataset", "fingerprint", "train_images", "test_images", "skipped_images", "classes")
PROCESSOR = ("device", "processor", "cpu capability", "threads of a run", "memory")
HARDWARE = (*PROCESSOR, "gpu", "driver", "cuda", "cudnn", "system")
LIBRARIES = ("pandas", "scipy", "matplotlib", "seaborn", "jinja2")
"""What a report's numbers and figures come from."""
OWN_PLACE = (
    "command",
    "report_command",
    "grid",
    "tune",
    "rule",
    "note",
    "left out",
    "mlflow_ui",
    "experiment_id",
    "commit",
)
"""Words of the provenance that the page shows elsewhere than in the list of versions."""

ALIKE = (
    ("code", "by code"),
    ("torch", "with PyTorch"),
    ("precision", "in"),
    ("device", "on"),
    ("fingerprint", "of data"),
    ("own_nets", "of nets by"),
)
"""Columns of runs whose values should be the same, and the words before their value."""
FINGERPRINT_DIGITS = 12
"""Digits of a fingerprint that are shown."""
Fact = tuple[str, str]
"""A line of how the study was made: name and value."""


class Made(NamedTuple):
    """All that the end of the page tells."""

    facts: tuple[Fact, ...]
    hardware: tuple[Fact, ...]
    versions: tuple[Fact, ...]
    commits: tuple[str, ...]
    grid: str
    """What the commands were given."""
    as_run: str
    """What the runs that count were made of, in YAML."""
    commands: tuple[str, ...]
    links: Mapping[str, str]
    """By run id, where its page in MLflow is; empty where that isn't known."""
    counted: int
    total: int
    excluded: tuple[c.Excluded, ...]
    """With why, how far they came, and what they said of a failure."""
    rule: tuple[str, ...]
    """A line for each change of the rule that isn't used."""
    left_out: tuple[str, ...]
    """A line for each run that can't be used."""
    note: str
    """What a reader must know first, if runs have no result yet."""
    mixed: str
    """What the runs that are compared have unlike beside their settings, if anything."""


def made(study_name: str, runs: pd.DataFrame, provenance: Mapping[str, str]) -> Made:
    """Gather how a study was made from its runs and from what was stored with it.

    Args:
        study_name: its name.
        runs: all its runs.
        provenance: words by name, as `load_provenance` gives them, and `report_command`, which makes the page again;
            all may be missing.
    """
    known = {str(key): str(value) for key, value in provenance.items() if value}
    others = {key: value for key, value in known.items() if key not in OWN_PLACE}
    hardware = [_fact(runs, "device")] if "device" in runs else []
    hardware += [(name, others.pop(name)) for name in HARDWARE if name in others]
    again = known.get("command", "").splitlines()
    page = known.get("report_command") or shlex.join(["study", "report", "--experiment", study_name])
    return Made(
        facts=facts(runs),
        hardware=tuple(fact for fact in hardware if fact[1]),
        versions=(*others.items(), ("this page", _own_versions())),
        commits=_commits(runs, known),
        grid=known.get("grid", ""),
        as_run=as_run(runs, known.get("tune", "")),
        commands=(*again, page),
        links=_links(runs, known),
        counted=len(c.counted(runs)),
        total=len(runs),
        excluded=_excluded(runs),
        rule=tuple(known.get("rule", "").splitlines()),
        left_out=tuple(known.get("left out", "").splitlines()),
        note=known.get("note") or unfinished_note(runs),
        mixed=mixture(runs),
    )


def facts(runs: pd.DataFrame) -> tuple[Fact, ...]:
    """Return data, recipe and seeds, each with all the values that the runs have which count, and the times of all."""
    counted_runs = c.counted(runs)
    out = [_fact(counted_runs, name) for name in (*DATA, *RECIPE) if name in counted_runs]
    if c.several_splits(counted_runs):
        out.append(_fact(counted_runs, "split_seed"))
    out.append(("seeds", ", ".join(map(str, sorted({int(seed) for seed in counted_runs["seed"]})))))
    hours = float(runs["seconds"].sum(min_count=1)) / 3600
    if not math.isnan(hours):
        out.append(("time of all runs", f"{hours:.2f} hours" if hours >= 0.1 else f"{hours * 60:.1f} minutes"))
    begun = runs["start_time"].dropna() if "start_time" in runs else pd.Series(dtype="datetime64[ns]")
    if len(begun):
        days = dict.fromkeys(f"{moment:%Y-%m-%d %H:%M}" for moment in (begun.min(), begun.max()))
        out.append(("runs begun (UTC)", " to ".join(days)))
    return tuple(fact for fact in out if fact[1])


def as_run(runs: pd.DataFrame, tune: str = "") -> str:
    """Return what the runs that count were made of, as YAML: what they share, then each net with what it has alone.

    `tune` are the settings of their searches, a line for each that differ. It is read by people, and isn't a
    grid file: axes are multiplied out.
    """
    counted_runs = c.counted(runs)
    if counted_runs.empty:
        return ""
    data = [
        name for name in ("dataset", *DatasetSpec.model_fields) if name in counted_runs and name not in ("name", "root")
    ]
    recipe = [name for name in Recipe.model_fields if name in counted_runs]
    rows = [{name: _plain(run[name]) for name in (*data, *recipe)} for _, run in counted_runs.iterrows()]
    shared = {name: rows[0][name] for name in rows[0] if all(row[name] == rows[0][name] for row in rows)}
    nets: dict[str, dict[str, Any]] = {}
    for (_, run), row in zip(counted_runs.iterrows(), rows, strict=True):
        variant = {"variant": str(run["variant"])} if run["variant"] else {}
        others = {name: value for name, value in row.items() if name not in shared and value is not None}
        net = {"net": str(run["net"]), **variant, **others, "seeds": []}
        nets.setdefault(json.dumps(net), net)["seeds"].append(int(run["seed"]))
    parts = {"dataset": data, "recipe": recipe}
    whole: dict[str, Any] = {
        part: {name: shared[name] for name in names if shared.get(name) is not None} for part, names in parts.items()
    }
    probes = {name for names in counted_runs.get("probes", ()) for name in str(names).split(",") if name}
    whole |= {"probes": sorted(probes)} if probes else {}
    text = yaml.safe_dump(
        whole | {"runs": len(counted_runs)}, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    lines = (yaml.safe_dump(net, sort_keys=False, default_flow_style=True, width=10**6) for net in nets.values())
    searches = "".join(f"- {line}\n" for line in tune.splitlines())
    return "".join([text, f"tune:\n{searches}" if searches else "", "nets:\n", *(f"- {line}" for line in lines)])


def _plain(value: Any) -> Any:
    """Return a parameter, which MLflow keeps as text, as what it was; None where a run hasn't got it."""
    if not isinstance(value, str):
        return None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value
    if value in ("", "None"):
        return None
    try:
        return json.loads({"True": "true", "False": "false"}.get(value, value))
    except ValueError:
        return value


def _excluded(runs: pd.DataFrame) -> tuple[c.Excluded, ...]:
    """Return the runs that don't count, with how far they came and what they said of a failure."""
    rows = {str(run["run_id"]): run for _, run in runs.iterrows()}
    excluded = []
    for each in c.excluded(runs):
        run, reason = rows[each.run_id], each.reason
        done, whole, said = (run.get(key) for key in ("step", "total_iterations", "reason"))
        if run["outcome"] not in c.ENDED and done is not None and pd.notna(done) and whole:
            reason += f" after {int(done):,} of {int(whole):,} iterations"
        excluded.append(each._replace(reason=f"{reason} ({said})" if isinstance(said, str) and said else reason))
    return tuple(excluded)


def unfinished_note(runs: pd.DataFrame) -> str:
    """Return which runs have no result yet, in a sentence or two; empty where all have one."""
    outcomes = Counter(str(outcome) for outcome in runs["outcome"] if outcome not in c.ENDED)
    if not outcomes:
        return ""
    running, total = outcomes.pop("running", 0), len(runs)
    parts = []
    if running:
        parts.append(f"{running:,} of {total:,} runs {'is' if running == 1 else 'are'} still running")
    if outcomes:
        ended = listed([f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items())])
        many = sum(outcomes.values())
        parts.append(f"{many:,} of {total:,} runs {'has' if many == 1 else 'have'} no result ({ended})")
    return f"{' and '.join(parts)}. All that is said here rests on the {len(c.counted(runs)):,} runs that are counted."


def _links(runs: pd.DataFrame, known: Mapping[str, str]) -> dict[str, str]:
    """Return the address of each run in MLflow's pages; none where these aren't known."""
    pages, experiment_id = known.get("mlflow_ui", ""), known.get("experiment_id", "")
    if urlsplit(pages).scheme not in ("http", "https") or not experiment_id:
        return {}
    address = f"{pages.rstrip('/')}/#/experiments/{quote(experiment_id, safe='')}/runs/"
    return {str(run_id): address + quote(str(run_id), safe="") for run_id in runs["run_id"]}


def _commits(runs: pd.DataFrame, known: Mapping[str, str]) -> tuple[str, ...]:
    """Return the program's commits in words, those of the runs before the one that was stored with the study."""
    commits = {str(commit) for commit in runs["commit"].dropna()} if "commit" in runs else set()
    commits |= set(known.get("commit", "").split("; ")) if not commits - {""} else set()
    return tuple(
        f"{commit.removesuffix('-dirty')} with changes that weren't committed" if commit.endswith("-dirty") else commit
        for commit in sorted(commits - {""})
    )


def _own_versions() -> str:
    import study

    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return f"study {study.__version__}, Python {platform.python_version()}, {libraries}"


def _fact(runs: pd.DataFrame, name: str) -> Fact:
    present = runs[name].dropna()
    if pd.api.types.is_numeric_dtype(present):
        words = [f"{value:,.15g}" for value in sorted(set(present))]
    else:
        words = sorted({str(value) for value in present} - {"", "None", "nan"})
    return name.replace("_", " "), ", ".join(words)


def mixture(runs: pd.DataFrame) -> str:
    """Return a sentence on what the counted runs of a variant have unlike, with counts; empty where all are alike.

    Leave out what an axis of the grid varies: runs of different variants are never compared.
    """
    counted_runs = c.counted(runs)
    if "family" in counted_runs:
        families = counted_runs["family"].astype(str)
        counted_runs = counted_runs.assign(own_nets=families.where(families.map(is_own), ""))
    mixed = [(column, word, _unlike(counted_runs, column)) for column, word in ALIKE if column in counted_runs]
    parts = [f"{word} {_counts(unlike, column)}" for column, word, unlike in mixed if len(unlike)]
    return f"Not all runs that are compared were made alike: {'; '.join(parts)}." if parts else ""


def _unlike(counted_runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the runs of those variants that have several values of a column; each split has images of its own."""
    mixed: set[str] = set()
    for variant in c.variants(counted_runs):
        own = c.of_variant(counted_runs, variant)
        alike = own["split_seed"] if column == "fingerprint" and c.several_splits(own) else own["variant"]
        if own[column].fillna("").groupby(alike).nunique().max() > 1:
            mixed |= set(own["run_id"])
    return counted_runs[counted_runs["run_id"].isin(mixed)]


def _counts(unlike: pd.DataFrame, column: str) -> str:
    counts = unlike[column].fillna("").value_counts(sort=False).sort_index()
    digits = FINGERPRINT_DIGITS if column == "fingerprint" else None
    return listed([f"{str(value)[:digits] or 'unknown'} ({with_noun(n, 'run')})" for value, n in counts.items()])
