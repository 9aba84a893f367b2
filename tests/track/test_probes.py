from pathlib import Path

import pandas as pd
import pytest

from study.events import Probed
from study.launch.plan.probe_tags import save_tables, tables
from study.track import tags as tag
from study.track.frames import load_probes
from study.track.store import Store

PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 3, "lr": 0.05, "iterations_per_epoch": 10}
FOUND = [
    Probed("gradients", 10, {"gradients": {"layer": [0, 1], "norm": [0.5, 0.25]}}),
    Probed("gradients", 0, {"gradients": {"layer": [0, 1], "norm": [2.0, 1.0]}}),
    Probed("curvature", 10, {"curvature": {"eigenvalue": [7.5], "converged": [True]}, "ranks": {"rank": [3.5]}}),
]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def done(store: Store, name: str, outcome: str = "finished", found: list[Probed] | None = None) -> str:
    tags = {tag.KIND: "run", tag.KEY: name, tag.PROBES: "gradients,curvature"}
    run_id = store.begin(name, PARAMS, tags)
    save_tables(store, run_id, FOUND if found is None else found)
    store.end(run_id, outcome)
    return run_id


def test_what_was_measured_comes_back_with_its_run(uri: str) -> None:
    store = Store("s", uri)
    run_id = done(store, "a")
    found = load_probes("s", uri)
    assert sorted(found) == ["curvature", "gradients", "ranks"]
    rows = found["gradients"]
    assert list(rows["step"]) == [0, 0, 10, 10]
    assert list(rows["norm"]) == [2.0, 1.0, 0.5, 0.25]
    assert set(rows["run_id"]) == {run_id}
    assert (rows["net"].iloc[0], rows["depth"].iloc[0], rows["seed"].iloc[0], rows["lr"].iloc[0]) == (
        "plain-8",
        8,
        3,
        0.05,
    )
    assert found["curvature"]["converged"].dtype == bool


def test_only_results_are_read_and_damaged_files_are_left_out(uri: str) -> None:
    store = Store("s", uri)
    one, two = done(store, "a"), done(store, "b")
    done(store, "c", outcome="interrupted")
    done(store, "d", found=[])
    place = Path(store.client.get_run(two).info.artifact_uri.removeprefix("file://"))
    (place / "probes" / "gradients.parquet").write_bytes(b"PAR1 and nothing else")
    found = load_probes("s", uri)
    assert set(found["gradients"]["run_id"]) == {one}
    assert set(found["curvature"]["run_id"]) == {one, two}


def test_a_study_without_probes_has_no_tables(uri: str) -> None:
    store = Store("s", uri)
    run_id = store.begin("a", PARAMS, {tag.KIND: "run", tag.KEY: "a"})
    store.end(run_id, "finished")
    assert load_probes("s", uri) == {}


def test_tables_hold_iterations_in_order() -> None:
    found = tables(FOUND)
    assert pd.DataFrame(found["gradients"]).groupby("step")["norm"].sum().to_dict() == {0: 3.0, 10: 0.75}
    assert found["ranks"] == {"step": [10], "rank": [3.5]}
