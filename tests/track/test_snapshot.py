import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from study.errors import StudyError
from study.track import tags as tag
from study.track.datasets import load_datasets
from study.track.frames import load_curves, load_runs, load_study, load_trials, runs_frame
from study.track.provenance import load_provenance
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.uri import Unreachable

from .test_store import POINT, begin, uri


def test_one_look_is_equal_to_all_the_others(small_study: Path) -> None:
    address = f"sqlite:///{small_study / 'mlflow.db'}"
    study = load_study("small", address)
    for frame, load in ((study.runs, load_runs), (study.curves, load_curves), (study.trials, load_trials)):
        pd.testing.assert_frame_equal(frame, load("small", address), check_exact=True)
    assert study.provenance == load_provenance("small", address)
    assert [record.fingerprint for record in study.datasets] == [
        record.fingerprint for record in load_datasets("small", address)
    ]


def test_the_state_changes_with_whatever_is_logged(tmp_path: Path) -> None:
    store = Store("s", uri(tmp_path))
    run = begin(store)
    states = [take_snapshot("s", store.uri).state]

    def note() -> None:
        states.append(take_snapshot("s", store.uri).state)

    store.log_points(run, [POINT])
    note()
    store.log_points(run, [replace(POINT, step=20, epoch=2.0)])
    note()
    store.end(run, "finished")
    note()
    begin(store, "other")
    note()
    assert len(set(states)) == len(states)
    assert take_snapshot("s", store.uri).state == states[-1]


def test_who_is_at_work(tmp_path: Path) -> None:
    """A run of a process that is dead isn't; one of another machine may be."""
    store = Store("s", uri(tmp_path))
    mine, dead, far, ended = (begin(store, key) for key in "abcd")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    host, system, _, began = store.client.get_run(mine).data.tags[tag.OWNER].split(":")
    store.set_tags(dead, {tag.OWNER: f"{host}:{system}:{process.pid}:{began}"})
    store.set_tags(far, {tag.OWNER: "elsewhere:1:1"})
    store.end(ended, "finished")
    assert take_snapshot("s", store.uri).active == 2
    assert set(runs_frame(take_snapshot("s", store.uri).records)["run_id"]) == {mine, dead, far, ended}


def test_commands_are_read_without_mlflow(small_study: Path) -> None:
    address = f"sqlite:///{small_study / 'mlflow.db'}"
    commands = take_snapshot("small", address).commands
    assert tuple(commands) == load_provenance("small", address).commands
    assert [command.command.split()[:2] for command in commands] == [["study", "run"]] * len(commands) != []


def test_what_is_not_there(tmp_path: Path) -> None:
    begin(Store("s", uri(tmp_path)))
    with pytest.raises(StudyError, match="no study is called 't'"):
        load_study("t", uri(tmp_path))
    with pytest.raises(Unreachable, match=r"can't be reached at http://127\.0\.0\.1:9"):
        take_snapshot("s", "http://127.0.0.1:9")
