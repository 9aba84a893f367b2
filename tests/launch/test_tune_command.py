"""`study tune` and `study run --lr-from`: rates found apart from the runs that use them."""

import re
from pathlib import Path

import pytest

from study.track import tags as tag
from study.track.client import connect
from study.track.frames import load_runs, load_trials
from study.track.snapshot import take_snapshot
from tests.conftest import run_here, run_study
from tests.launch.processes import records, uri

GRID = """
name: g
dataset: {name: digits, train_limit: 200, test_limit: 100}
recipe: {epochs: 2, batch_size: 32, lr: tune}
tune: {trials: 3, seeds: 2, shared: 1, confirm: 2, low: 0.2, high: 2.0, widen: 0, warmup: [0, 6], warm_start: true}
grid: {net: [plain-8, plain-14]}
"""


@pytest.mark.slow
def test_rates_first_then_runs_then_another_study_with_the_same_rates(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    done = run_study(tmp_path, "tune", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    assert "to train at these rates: study run --grid g.yaml" in done.stderr
    assert done.stderr.splitlines()[0] == "g: 2 runs, and 2 searches of 3 learning rates"
    best = re.findall(r"plain-8 trial \d rate .*: train loss ([0-9.e-]+), best so far ([0-9.e-]+) at rate", done.stderr)
    assert len(best) >= 4  # of eight trainings: two with no rate whole before, and the last
    assert [float(value) for _, value in best[:4]] == sorted((float(value) for _, value in best[:4]), reverse=True)
    assert load_runs("g", uri(tmp_path)).empty
    assert not any(record.kind == "run" for record in records(tmp_path))
    trials = load_trials("g", uri(tmp_path))
    assert len(trials) == 2 * (3 * 2 + 2)  # two seeds a rate, and a third of the best two
    chosen = trials[trials["chosen"]].drop_duplicates("net").set_index("net")
    assert set(chosen.index) == {"plain-8", "plain-14"}
    for net, row in chosen.iterrows():
        assert any(str(net) in line and f"{row['lr']:g}" in line for line in done.stdout.splitlines())
    seen = [run for run in reversed(take_snapshot("g", uri(tmp_path)).records) if run.tags[tag.KIND] == "trial"]
    begun = [run.name.split()[0] for run in seen]
    assert begun == ["plain-8"] * 8 + ["plain-14"] * 8  # one search after the other, as a warm start needs
    assert chosen.loc["plain-8", "point"] in set(trials.loc[trials["net"] == "plain-14", "point"])

    done = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    assert "2 runs and 0 trials done" in done.stderr
    runs = load_runs("g", uri(tmp_path)).set_index("net")
    assert runs["lr"].to_dict() == chosen["lr"].to_dict()
    assert runs["lr_tuned"].all()

    client = connect(uri(tmp_path))
    for record in take_snapshot("g", uri(tmp_path)).records:
        if record.tags[tag.KIND] in ("tuning", "trial"):
            client.delete_run(record.run_id)
    done = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    assert "0 runs and 0 trials done, 2 runs were done before" in done.stderr
    assert "plain-14" in done.stdout

    (tmp_path / "h.yaml").write_text(GRID.replace("name: g", "name: h").replace("epochs: 2", "epochs: 3"))
    done = run_study(tmp_path, "run", "--grid", "h.yaml", "--lr-from", "g")
    assert done.returncode == 0, done.stderr
    assert "2 runs and 0 trials done" in done.stderr
    assert "learning rates from study g: plain-" in done.stderr
    assert "what 'tune' says in this grid isn't used" in done.stderr
    others = load_runs("h", uri(tmp_path)).set_index("net")
    assert others["lr"].to_dict() == chosen["lr"].to_dict()
    assert others["warmup"].to_dict() == runs["warmup"].to_dict()
    assert load_trials("h", uri(tmp_path)).empty


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["tune", "--grid", "g.yaml", "--set", "recipe.lr=0.1"],
            "no net has 'lr: tune', so there is nothing to search",
        ),
        (["run", "--grid", "g.yaml", "--lr-from", "x"], "no study is called 'x'"),
        (
            ["run", "--grid", "g.yaml", "--set", "recipe.lr=0.1", "--lr-from", "x"],
            "--lr-from x: no net of the grid has 'lr: tune', so no learning rate is taken",
        ),
        (
            ["run", "--grid", "g.yaml", "--set", "tune.storage=sqlite:////no/such/folder/o.db"],
            "the database of leases, sqlite:////no/such/folder/o.db, can't be opened: ",
        ),
    ],
)
def test_what_cannot_be_done_is_a_line(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    done = run_here(tmp_path, *words)
    assert done.returncode == 2
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
