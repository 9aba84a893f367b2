from pathlib import Path

import numpy as np
import pytest

from study.track import list_studies, load_curves, load_provenance, load_runs, load_trials


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
    chosen = trials[trials["chosen"]].set_index("net")["lr"]
    assert len(chosen) == 4
    for net, cell in runs.groupby("net"):
        assert set(cell["lr"]) == {chosen[net]}
    complete = trials[trials["state"] == "complete"]
    best = complete.loc[complete.groupby("net")["value"].idxmin()].set_index("net")["lr"]
    assert best.to_dict() == chosen.to_dict()


def test_trials_are_paired_between_nets(uri: str) -> None:
    trials = load_trials("small", uri)
    assert len(trials) == 16
    assert (trials["objective"] == "train_loss").all()
    shared = trials[trials["number"] < 3].groupby("net")["lr"].apply(tuple)
    assert shared.nunique() == 1


def test_curves_have_every_step_once(uri: str) -> None:
    curves = load_curves("small", uri)
    for _, curve in curves.groupby("run_id"):
        assert list(curve["step"]) == [5, 10, 15]
        np.testing.assert_allclose(curve["lr"] / curve["lr"].iloc[0], [1, 0.1, 0.01])
    assert curves["test_error"].between(0, 100).all()


def test_provenance(uri: str) -> None:
    found = load_provenance("small", uri)
    assert found.smallest_effect == 0.5
    assert found.words["command"] == "study run --grid small.yaml"
    assert "depth: [8, 14]" in found.words["grid"]
    assert found.words["torch"].startswith("2.")


def test_studies_are_listed(uri: str) -> None:
    assert list_studies(uri) == ["small"]
