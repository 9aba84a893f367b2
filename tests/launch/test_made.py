"""What a study says of its making is true of the runs that it has, whatever commands came after."""

from pathlib import Path

from study.track.frames import load_runs
from study.track.provenance import load_provenance
from study.verdict import Rule
from tests.conftest import run_here, run_study
from tests.launch.processes import uri

GRID = """
name: g
dataset: {name: digits, train_limit: 200, test_limit: 100}
recipe: {epochs: 2, batch_size: 32, lr: 0.05, precision: fp32}
grid: {net: [plain-8, resnet-8], seed: [0, 1]}
"""
COMMAND = "study run --grid g.yaml"


def page(folder: Path) -> str:
    made = run_here(folder, "report")
    assert made.returncode == 0, made.stderr
    return (folder / "reports" / "g" / "index.html").read_text()


def test_commands_that_are_refused_or_extend_a_study(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    done = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    first = load_provenance("g", uri(tmp_path))
    assert first.words["command"] == f"{COMMAND}  # 4 runs"
    for words in (
        ("--set", "recipe.epochs=4", "--set", "smallest_effect=9", "--device", "cuda:77"),
        ("--set", "recipe.epochs=4", "--workers", "0"),
        ("--set", "recipe.epochs=0"),
        ("--set", "grid.seed=[2]", "--dry-run"),
    ):
        refused = run_study(tmp_path, "run", "--grid", "g.yaml", *words)
        assert refused.returncode == (0 if "--dry-run" in words else 2), refused.stderr
        assert load_provenance("g", uri(tmp_path)) == first
    assert run_here(tmp_path, "run", "--grid", "g.yaml").returncode == 0  # nothing is left to begin
    assert load_provenance("g", uri(tmp_path)) == first
    text = page(tmp_path)
    assert "epochs: 4" not in text
    assert "epochs: 2.0" in text

    more = run_study(tmp_path, "run", "--grid", "g.yaml", "--set", "grid.seed=[2]", "--set", "smallest_effect=2.0")
    assert more.returncode == 0, more.stderr
    told = "smallest_effect: 0.5, as set before the first result; 2 was asked for on"
    assert told in more.stderr
    assert "exploratory: 2 runs (plain-8 and resnet-8) were added on" in more.stdout
    second = load_provenance("g", uri(tmp_path))
    assert [protocol.results for protocol in second.protocols] == [0, 4]
    extended = f"{COMMAND} --set 'grid.seed=[2]' --set smallest_effect=2.0"
    assert second.words["command"].splitlines() == [f"{COMMAND}  # 4 runs", f"{extended}  # 2 runs"]
    assert len(load_runs("g", uri(tmp_path))) == 6
    text = page(tmp_path)
    for wanted in ("seeds: [0, 1, 2]", "runs: 6", "# 4 runs", "# 2 runs", told):
        assert wanted in text


def test_a_smallest_effect_that_is_changed_alone(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID.replace("[0, 1]", "0"))
    assert run_study(tmp_path, "run", "--grid", "g.yaml").returncode == 0
    changed = run_here(tmp_path, "run", "--grid", "g.yaml", "--set", "smallest_effect=0.1")
    assert changed.returncode == 0, changed.stderr
    assert "0.1 was asked for on" in changed.stderr
    assert "exploratory" not in changed.stdout  # no verdict rests on it
    found = load_provenance("g", uri(tmp_path))
    assert Rule.of(found.protocols).smallest_effect == 0.5
    assert found.words["command"] == f"{COMMAND}  # 2 runs"  # the other began nothing
