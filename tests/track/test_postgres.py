"""MLflow's tables in PostgreSQL: read straight, and the same as MLflow's client gives them."""

import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from study.errors import StudyError
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import experiment_tags, find_experiment, list_studies, read_runs, search_runs
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.uri import Unreachable
from tests.postgres import postgres
from tests.track.test_store import PARAMS, POINT


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres() as url:
        yield url


def plain(run: StoredRun) -> dict[str, Any]:
    """Return what can be compared: NaN isn't equal to itself."""
    return asdict(run) | {"metrics": {key: repr(value) for key, value in run.metrics.items()}}


@pytest.mark.slow
def test_what_is_read_is_what_mlflows_client_gives(address: str) -> None:
    store = Store("s", address)
    runs = [
        store.begin("r%", PARAMS | {"a": "?", "b": None}, {tag.KIND: "run", tag.KEY: key}) for key in ("k", "k", "k2")
    ]
    trial = store.begin("t", {"a": 1}, {tag.KIND: "trial", tag.KEY: "k"})
    store.add_dataset(runs[0], "digits", "abc", None, {})
    store.client.log_metric(runs[0], "nan", float("nan"), step=2)
    store.end(runs[0], "finished", points=[POINT], metrics={"final_train_error": 1.5}, step=10)
    store.client.delete_run(runs[2])
    store.client.set_experiment_tag(store.experiment_id, tag.PROTOCOL, "0.5")
    for kind, wanted in ((None, ""), ("run", f"tags.`{tag.KIND}` = 'run'")):
        expected = search_runs(store.client, store.experiment_id, wanted)
        found = read_runs(store.experiment_id, address, kind)
        assert [plain(run) for run in found] == [plain(run) for run in expected]
    assert math.isnan(take_snapshot("s", address).records[-1].metrics["nan"])
    assert list_studies(address) == ["s"]
    assert find_experiment("s", address) == store.experiment_id
    assert experiment_tags(store.experiment_id, address)[tag.PROTOCOL] == "0.5"
    assert [record.run_id for record in store.records_of("k", "run")] == [runs[1], runs[0]]
    assert [record.outcome for record in store.records_of("k", "run")] == ["running", "finished"]
    assert [record.run_id for record in store.records_of("k", "trial")] == [trial]
    assert store.records_of("k3", "run") == []
    with pytest.raises(StudyError, match="no study is called 'other'"):
        find_experiment("other", address)


def test_a_server_that_is_away_is_said_to_be() -> None:
    pytest.importorskip("psycopg2")
    with pytest.raises(Unreachable, match=r"can't be reached at .*127\.0\.0\.1:1/x"):
        list_studies("postgresql+psycopg2://nobody@127.0.0.1:1/x")


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(StudyError, match=r"psycopg2.*pip install"):
        list_studies("postgresql+psycopg2://nobody@127.0.0.1:2/x")
