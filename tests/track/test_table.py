"""Runs made elsewhere: the CSV file that `study judge` takes, and its verdict."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study.errors import StudyError
from study.track.client import connect
from study.track.table import read_experiment, read_table
from tests.conftest import run_here

HEAD = "architecture,depth,seed,final_train_error"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "paper-figure6.csv"


def table(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / "runs.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def test_rows_are_runs(tmp_path: Path) -> None:
    head = "seed, depth,architecture,final_train_error,final_test_error,variant,lr,augment"
    path = table(tmp_path, "0,20,plain,1.5,8,,0.1,crop-flip", "1,20,residual,0.5,,width=2,,", head=head)
    study = read_table(path, classes=10)
    assert study.name == "runs"
    first, second = (run for _, run in study.runs.iterrows())
    assert (first["net"], first["seed"], first["final_train_error"], first["lr"]) == ("plain-20", 0, 1.5, 0.1)
    assert (first["augment"], first["outcome"], first["classes"]) == ("crop-flip", "finished", 10)
    assert (second["net"], second["variant"]) == ("resnet-20", "width=2")
    assert second[["final_test_error", "lr"]].isna().all()


@pytest.mark.parametrize(
    ("rows", "head", "says"),
    [
        ([], HEAD, "no runs in it"),
        (["plain,20,0,5"], HEAD.replace("depth", "depht"), r"no column 'depth' \(did you mean 'depht'\?\)"),
        (["plain,20,0,5,5"], HEAD + ",seed", "two columns are called 'seed'"),
        (["plain,20,0"], HEAD, "line 2: 3 values, but there are 4 columns"),
        (["plain,20,0,5", "vgg,16,0,5"], HEAD, "line 3: 'architecture' must be plain or residual, not 'vgg'"),
        (["plain,twenty,0,5"], HEAD, "line 2: 'depth' must be a whole number, not 'twenty'"),
        (["plain,20,0.5,5"], HEAD, "line 2: 'seed' must be a whole number"),
        (["plain,20,0,nan"], HEAD, "must be an error in percent, 0 to 100, not 'nan'"),
        (["plain,20,0,101"], HEAD, "must be an error in percent, 0 to 100, not '101'"),
        (["plain,20,0,"], HEAD, "must be an error in percent"),
        (["plain,20,0,5", "plain,20,0,6"], HEAD, "line 2 and .*line 3: plain-20 seed 0 is there twice"),
        (["plain,20,0,nan"], HEAD, r"not 'nan' \(of a run that diverged, what guessing gives\)"),
        (["plain,20,0,5", "plain,20,0,6"], HEAD, "or name in a column 'variant' what else they differ in"),
        (["plain,20,0,5,1"], HEAD + ",classes", "'classes' must be 2 or more"),
        (["plain,0,0,5"], HEAD, "line 2: 'depth' must be 1 or more"),
        (["plain,00000000000020000000000,0,5"], HEAD, "'depth' must be a whole number"),
        (["plain,2_0,0,5"], HEAD, "'depth' must be a whole number, not '2_0'"),
        (["plain,20,0,5,wide"], HEAD + ",width", "'width' must be a number above 0, not 'wide'"),
        (["plain,20,0,5,tuned"], HEAD + ",lr", "'lr' must be a number above 0, not 'tuned'"),
        (["plain,20,0,5,inf"], HEAD + ",lr", "'lr' must be a number above 0, not 'inf'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, rows: list[str], head: str, says: str) -> None:
    with pytest.raises(StudyError, match=says):
        read_table(table(tmp_path, *rows, head=head), classes=None if "classes" in head else 10)


def test_the_two_rows_of_one_seed_are_those_of_its_variant_and_split(tmp_path: Path) -> None:
    head = HEAD + ",split_seed,variant"
    rows = [f"plain,20,0,5,{split},w={width}" for split in (0, 1) for width in (1, 2)]
    assert len(read_table(table(tmp_path, *rows, head=head), classes=10).runs) == 4
    with pytest.raises(StudyError, match=r"line 4 and .*line 6: plain-20 seed 0 is there twice"):
        read_table(table(tmp_path, *rows, rows[2], head=head), classes=10)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_spreadsheets_are_read(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "runs.csv"
    lines = ["Architecture,DEPTH,Seed,Final train error,Train_Images", "plain,20.0,0,5,45000.0", ",,,,"]
    path.write_bytes("\r\n".join(lines).replace(",", separator).encode("utf-8-sig"))
    runs = read_table(path, classes=10).runs
    assert runs[["net", "seed", "final_train_error", "train_images"]].values.tolist() == [["plain-20", 0, 5.0, 45000]]
    path.write_bytes("\n".join(lines).encode("utf-16"))
    with pytest.raises(StudyError, match="isn't text in UTF-8: save it so"):
        read_table(path, classes=10)


def test_parts_of_1_that_are_taken_for_percent_are_doubted(tmp_path: Path) -> None:
    head, rows = f"{HEAD},final_test_error", ["plain,20,0,0.01,", "plain,56,0,1,0.9"]
    doubt = "No error is above 1, and they are taken for percent"
    assert doubt in read_table(table(tmp_path, *rows, head=head), classes=10).provenance.words["note"]
    path = table(tmp_path, *rows, "plain,32,0,0.5,8", head=head)
    assert doubt not in read_table(path, classes=10).provenance.words["note"]
    path = table(tmp_path, "plain,20,0,0.99", "plain,56,0,0.1", head="architecture,depth,seed,final_train_accuracy")
    with pytest.raises(StudyError, match="no accuracy is above 1 percent: of parts of 1, say so with --fractions"):
        read_table(path, classes=10)
    assert read_table(path, classes=10, fractions=True).runs["final_train_error"].round(6).tolist() == [1.0, 90.0]


def test_the_number_of_classes_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--classes"):
        read_table(table(tmp_path, "plain,20,0,5"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text('plain,residual"\n0123456789.-\u00e9', max_size=100).map(str.encode))
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(HEAD.encode() + b"\n" + content)
    with suppress(StudyError):
        assert read_table(path, classes=10).runs["final_train_error"].between(0, 100).all()


def test_a_verdict_on_runs_made_elsewhere(tmp_path: Path) -> None:
    errors = {("plain", 20): 1.0, ("plain", 56): 6.0, ("residual", 20): 1.0, ("residual", 56): 0.5}
    rows = [
        f"{architecture},{depth},{seed},{error + 0.1 * seed},10,45000"
        for (architecture, depth), error in errors.items()
        for seed in range(5)
    ]
    table(tmp_path, *rows, head=HEAD + ",classes,train_images")
    done = run_here(tmp_path, "judge", "runs.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Degradation shown: plain-56 ends with 5.00 points more training error than plain-20")
    assert "weren't trained by this program" in done.stderr
    page = (tmp_path / "reports" / "runs" / "index.html").read_text(encoding="utf-8")
    assert "study judge runs.csv" in page
    assert "when this rule was set isn" in page
    assert "1970" not in page
    assert "How learning rates were chosen isn" in page
    assert page.index("trained by this program") < page.index("<figure")
    record = json.loads((tmp_path / "reports" / "runs" / "verdict.json").read_text(encoding="utf-8"))
    assert record["verdicts"][0]["findings"][0]["status"] == "shown"


def test_the_papers_own_figure_has_one_run_a_net(tmp_path: Path) -> None:
    done = run_here(tmp_path, "judge", str(EXAMPLE))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Inconclusive: plain-20, plain-32, plain-44 and plain-56 have one seed each")


def test_accuracies_and_parts_of_1_are_errors_in_percent(tmp_path: Path) -> None:
    head = "architecture,depth,seed,final_train_accuracy,final_test_error"
    path = table(tmp_path, "False,20,0,0.75,0.5", "ResNet,20,0,1,0", head=head)
    runs = read_table(path, classes=10, fractions=True).runs
    assert runs[["net", "final_train_error", "final_test_error"]].values.tolist() == [
        ["plain-20", 25.0, 50.0],
        ["resnet-20", 0.0, 0.0],
    ]
    with pytest.raises(StudyError, match="line 2: 'final_train_accuracy' must be an accuracy in parts of 1, not '75'"):
        read_table(table(tmp_path, "plain,20,0,75,0.5", head=head), classes=10, fractions=True)


COLUMNS = {"architecture": "params.residual", "depth": "layers", "final_train_accuracy": "metrics.train_acc"}


@pytest.fixture
def experiment(tmp_path: Path) -> str:
    """The address of a database with an experiment `theirs` of another program, one run of it unfinished."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = connect(uri)
    experiment = client.create_experiment("theirs", artifact_location=str(tmp_path / "files"))
    for residual in (True, False):
        for seed in range(3):
            for layers, accuracy in ((20, 0.99), (56, 0.985 if residual else 0.5)):
                run = client.create_run(experiment, run_name=f"r{residual}-{layers}-{seed}").info.run_id
                params = {"residual": residual, "layers": layers, "seed": seed, "optimizer": "sgd"}
                for key, value in params.items():
                    client.log_param(run, key, value)
                for step, share in enumerate((0.5, 1.0)):
                    client.log_metric(run, "train_acc", share * (accuracy - 0.001 * seed), step=step)
                client.set_terminated(run)
    client.log_param(client.create_run(experiment).info.run_id, "residual", value="False")
    above = client.create_run(experiment, run_name="mean of the others").info.run_id
    client.log_metric(above, "train_acc", 0.8)
    client.set_terminated(above)
    client.set_terminated(client.create_run(experiment, run_name="above the others").info.run_id)
    return uri


def test_what_might_never_end_or_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for place in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(StudyError, match="a pipe or a device, not a file"):
            read_table(place, classes=10)
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(StudyError, match="larger than 64 MiB"):
        read_table(tmp_path / "large.csv", classes=10)


def test_judging_a_table_loads_neither_mlflow_nor_torch(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.argv = ['study', 'judge', {str(EXAMPLE)!r}]\n"
        "from study.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print([m for m in ('mlflow', 'torch', 'sqlalchemy', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_experiment_of_another_program_is_judged(experiment: str, tmp_path: Path) -> None:
    study = read_experiment("theirs", COLUMNS, classes=10, fractions=True, uri=experiment)
    errors = study.runs.groupby("net")["final_train_error"].mean().round(6).to_dict()
    assert errors == {"plain-20": 1.1, "plain-56": 50.1, "resnet-20": 1.1, "resnet-56": 1.6}
    assert set(study.runs["optimizer"]) == {"sgd"}
    assert study.provenance.words["left out"].splitlines() == [
        "1 run not finished",
        "2 finished runs without architecture",
    ]
    words = [word for key, name in COLUMNS.items() for word in ("--column", f"{key}={name}")]
    done = run_here(tmp_path, "judge", "-e", "theirs", "--classes", "10", "--fractions", *words)
    assert done.returncode == 0, done.stderr
    assert "Degradation shown: plain-56 ends with 49.0 points more training error than plain-20" in done.stdout
    page = (tmp_path / "reports" / "theirs" / "index.html").read_text(encoding="utf-8")
    assert "trained by this program" in page
    assert "study judge --experiment theirs --column architecture=params.residual" in page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": "params.layer"}, r"no run has 'params.layer' for 'depth' \(did you mean 'params.layers'\?\)"),
        ({"depth": "optimizer"}, "'theirs', run rFalse-56-2 .*: 'depth' must be a whole number, not 'sgd'"),
        ({"seed": "layers"}, "is there twice: number the seeds"),
        ({"seed": ""}, "no run has seed: name it with --column"),
        ({"final_train_accuracy": ""}, "no run has final_train_error or final_train_accuracy: name it with --column"),
        ({"lr": "optimizer"}, r"'lr' must be a number above 0, not 'sgd' \(of an experiment, `--column lr=` leaves it"),
        ({"final_train_accuracy": "tags.mlflow.note"}, "no run has 'tags.mlflow.note' for 'final_train_accuracy'"),
    ],
)
def test_what_is_wrong_with_an_experiment_is_said_with_its_run(
    experiment: str, change: dict[str, str], says: str
) -> None:
    with pytest.raises(StudyError, match=says):
        read_experiment("theirs", COLUMNS | change, classes=10, fractions=True, uri=experiment)


def test_columns_are_left_out_and_an_accuracy_that_is_named_counts(experiment: str) -> None:
    client = connect(experiment)
    for run in client.search_runs([client.get_experiment_by_name("theirs").experiment_id]):
        if run.info.status == "FINISHED":
            client.log_param(run.info.run_id, "width", "[64, 128]")
            client.log_metric(run.info.run_id, "final_train_error", 77.0)
    with pytest.raises(StudyError, match=r"'width' must be a number above 0, not '\[64, 128\]'"):
        read_experiment("theirs", COLUMNS, classes=10, fractions=True, uri=experiment)
    runs = read_experiment("theirs", COLUMNS | {"width": ""}, classes=10, fractions=True, uri=experiment).runs
    assert runs["final_train_error"].max() < 51


def test_experiments_that_arent_there(experiment: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no experiment is called 'their' at .* \(known: theirs, Default\)$"):
        read_experiment("their", {}, uri=experiment)
    (tmp_path / "old" / "mlruns" / "1").mkdir(parents=True)
    (tmp_path / "old" / "mlruns" / "1" / "meta.yaml").touch()
    for uri in (f"sqlite:///{tmp_path / 'old' / 'mlflow.db'}", (tmp_path / "old" / "mlruns").as_uri()):
        with pytest.raises(StudyError, match=r"an old MLflow's store of files: `mlflow migrate-filestore --source"):
            read_experiment("theirs", {}, uri=uri)


def test_a_study_of_this_program_is_reported(small_study: Path) -> None:
    done = run_here(small_study, "judge", "--experiment", "small", "--classes", "10")
    assert (done.returncode, "`study report --experiment` judges it" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [(), ("a.csv", "--experiment", "b"), ("a.csv", "--column", "depth=layers")])
def test_a_file_or_an_experiment(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run_here(tmp_path, "judge", *words)
    assert (done.returncode, "name a CSV file, or an MLflow experiment" in done.stderr) == (2, True)
