import json
from pathlib import Path

import numpy as np
import pytest

from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import list_studies
from study.track.frames import load_curves, load_runs, load_trials, runs_frame
from study.track.provenance import load_provenance
from study.track.store import Store
from study.track.tags import FINALS
from study.verdict.selection import title

PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0, "iterations_per_epoch": 10}


@pytest.fixture(scope="module")
def uri(small_study: Path) -> str:
    return f"sqlite:///{small_study / 'mlflow.db'}"


def test_runs_of_a_real_study(uri: str) -> None:
    runs = load_runs("small", uri)
    assert len(runs) == 8
    assert set(runs["net"]) == {"plain-8", "plain-14", "resnet-8", "resnet-14"}
    assert (runs["outcome"] == "finished").all()
    assert (runs["status"] == "FINISHED").all()
    assert runs["lr_tuned"].all()
    assert runs["run_key"].is_unique
    assert runs["final_train_error"].between(0, 100).all()
    assert (runs["train_images"] == 360).all()
    assert (runs["total_iterations"] == 15).all()
    assert (runs["step"] == 15).all()
    # plain nets and their residual twins have the same size
    sizes = runs.groupby("depth")[["parameters", "multiply_adds"]].nunique()
    assert (sizes == 1).all(axis=None)


def test_one_rate_a_cell_and_it_is_the_chosen_one(uri: str) -> None:
    runs, trials = load_runs("small", uri), load_trials("small", uri)
    chosen = trials[trials["chosen"]].groupby("net")["lr"].unique().map(np.ndarray.item)  # one rate, with all its seeds
    assert len(chosen) == 4
    for net, cell in runs.groupby("net"):
        assert set(cell["lr"]) == {chosen[net]}
    complete = trials[trials["state"] == "complete"].groupby(["net", "lr"])["value"].agg(["mean", "size"])
    confirmed = complete[complete["size"] == 2]["mean"]
    assert {net: lr for net, lr in confirmed.groupby("net").idxmin()} == chosen.to_dict()


def test_trials_are_paired_between_nets(uri: str) -> None:
    trials = load_trials("small", uri)
    assert len(trials) >= 24  # four a net, further seeds of two, and those beyond the bounds
    assert (trials["objective"] == "train_loss").all()
    shared = trials[trials["number"] < 3].groupby("net")["lr"].apply(tuple)
    assert shared.nunique() == 1


def test_the_columns_of_trials(uri: str) -> None:
    """What the report and other programs rely on."""
    trials = load_trials("small", uri)
    assert list(trials.columns) == [
        *("architecture", "depth", "net", "variant", "number", "seed", "lr", "objective", "value", "state", "step"),
        *("chosen", "edge", "low", "high", "point", "began", *FINALS, "run_id"),
    ]
    for _, search in trials.groupby("net"):
        assert list(search["number"]) == list(range(len(search)))
    assert set(trials["net"]) == {"plain-8", "plain-14", "resnet-8", "resnet-14"}
    assert set(trials["seed"]) == {1000, 1001}  # apart from the grid's 0 and 1
    assert (trials["low"] == 0.01).all()
    assert (trials["high"] == 0.3).all()
    assert [json.loads(point) for point in trials["point"]] == [{"lr": rate} for rate in trials["lr"]]
    assert trials["run_id"].is_unique
    ended = trials[trials["state"] == "complete"]
    assert len(ended) >= 12  # three shared trials a net, which no pruner stops
    np.testing.assert_allclose(ended["value"], ended["final_train_loss"])  # the objective
    assert ended["final_test_error"].between(0, 100).all()
    assert (ended["step"] == 15).all()
    assert trials.loc[trials["state"] == "pruned", "final_train_loss"].isna().all()


def test_the_papers_rate_is_tried_first_by_all(uri: str) -> None:
    trials = load_trials("small", uri)
    assert (trials.loc[trials["number"] == 0, "lr"] == 0.1).all()


def test_where_a_search_ends_at_its_last_rate_it_says_so(uri: str) -> None:
    """Beyond the bounds, or up to as far as it may go."""
    for _, search in load_trials("small", uri).groupby("net"):
        chosen = search.loc[search["chosen"], "lr"].unique().item()
        lowest, highest = search["lr"].min(), search["lr"].max()
        side = {lowest: "lowest", highest: "highest"}.get(chosen, "")
        assert set(search["edge"]) == {side}
        beyond = search[~search["lr"].between(0.01 * 0.999, 0.3 * 1.001)]
        first = search[search["seed"] == 1000]
        assert len(first) == 4 + beyond["lr"].nunique()
        assert beyond["lr"].nunique() == 4 or side == ""


def test_a_trial_with_several_seeds_has_a_row_each(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = Store("s", uri)
    rates, numbers = (0.1, 0.2), (0, 1)
    search = store.begin("plain-8 tuning", PARAMS | {"lr": "tune"}, {tag.KIND: "tuning", tag.BOUNDS: "[0.01, 1.0]"})
    store.set_tags(search, {tag.CHOSEN: json.dumps({"lr": 0.2}), tag.EDGE: "highest"})
    for number, rate in reversed(list(zip(numbers, rates, strict=True))):
        for seed in (1001, 1000):
            tags = {tag.KIND: "trial", tag.TRIAL: str(number), tag.POINT: json.dumps({"lr": rate})}
            run = store.begin("t", PARAMS | {"lr": rate, "seed": seed}, tags | {tag.PARENT: search})
            store.client.log_metric(run, "objective", rate + seed)
            store.end(run, "finished")
    trials = load_trials("s", uri)
    assert list(zip(trials["number"], trials["seed"], strict=True)) == [(0, 1000), (0, 1001), (1, 1000), (1, 1001)]
    assert list(trials["lr"]) == [0.1, 0.1, 0.2, 0.2]
    assert list(trials["value"]) == [1000.1, 1001.1, 1000.2, 1001.2]
    assert list(trials["chosen"]) == [False, False, True, True]
    assert set(trials["edge"]) == {"highest"}


def test_two_searches_of_a_net_are_told_apart(tmp_path: Path) -> None:
    """Other bounds are another search of the same cell: each trial goes by its own."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = Store("s", uri)
    for high in (1.0, 2.0):
        tags = {tag.KIND: "tuning", tag.CELL: "c", tag.BOUNDS: f"[0.01, {high}]"}
        search = store.begin("plain-8 tuning", PARAMS, tags | {tag.CHOSEN: json.dumps({"lr": high})})
        for rate in (1.0, 2.0):
            tags = {tag.KIND: "trial", tag.CELL: "c", tag.TRIAL: "0", tag.POINT: json.dumps({"lr": rate})}
            store.end(store.begin("t", PARAMS | {"lr": rate}, tags | {tag.PARENT: search}), "finished")
    trials = load_trials("s", uri)
    assert (trials["chosen"] == (trials["lr"] == trials["high"])).all()
    assert sorted(trials["high"]) == [1.0, 1.0, 2.0, 2.0]
    first, second = trials.groupby("high")["began"].unique()
    assert len(first) == len(second) == 1
    assert first[0] < second[0]


def test_curves_have_every_step_once(uri: str) -> None:
    curves = load_curves("small", uri)
    for _, curve in curves.groupby("run_id"):
        assert list(curve["step"]) == [5, 10, 15]
        np.testing.assert_allclose(curve["lr"] / curve["lr"].iloc[0], [1, 0.1, 0.01])
    assert curves["test_error"].between(0, 100).all()


def test_provenance(uri: str) -> None:
    found = load_provenance("small", uri)
    (protocol,) = found.protocols
    assert protocol.results == 0
    assert {key[:8] for key in load_runs("small", uri)["planned_key"]} == set(protocol.keys)
    command = found.words["command"]
    trials = len(load_trials("small", uri))
    assert command == f"study run --grid small.yaml  # 8 runs and {trials} trials"
    assert "depth: [8, 14]" in found.words["grid"]
    assert found.words["torch"].startswith("2.")


def test_studies_are_listed(uri: str) -> None:
    assert list_studies(uri) == ["small"]


def test_a_name_is_without_its_variant() -> None:
    tags = {"study.kind": "run", "study.variant": "budget=3"}
    run = StoredRun("1", "plain-8 seed 0 (budget=3)", "FINISHED", 0, tags, {"depth": "8"}, {})
    row = runs_frame([run]).iloc[0]
    assert title(row["name"], row["variant"]) == "plain-8 seed 0 (budget=3)"
