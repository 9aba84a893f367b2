"""What lies under examples/: notebooks, committed with the outputs of a whole run, run to the end; own nets train."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from study.config import load_grid
from study.nets.own_check import check_own_nets
from study.track.find import list_studies
from study.track.frames import load_runs
from tests.conftest import run_study
from tests.launch.processes import uri

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))
OWN_NETS = sorted((Path(__file__).parents[1] / "examples" / "own_nets").glob("*.yaml"))
MAIN = EXAMPLES[0].with_name("degradation.ipynb")


def run_notebook(path: Path, folder: Path) -> dict[str, Any]:
    """Execute a notebook in a folder and return its cells by their ids."""
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return {cell.id: cell for cell in notebook.cells}


def texts(cell: Any) -> str:
    parts = [output.get("text") or output.get("data", {}).get("text/markdown", "") for output in cell.outputs]
    return "\n".join(parts)


def images(cell: Any) -> list[np.ndarray]:
    found = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")) for png in found]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_notebooks_are_committed_with_the_outputs_of_a_whole_run(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert cell.outputs, cell.source
        assert {output.get("name", "stdout") for output in cell.outputs} == {"stdout"}, "no warnings of this machine"
        assert all(output.output_type != "error" for output in cell.outputs)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_the_main_notebook_shows_figure_verdict_and_tables():
    cells = {cell.id: cell for cell in nbformat.read(MAIN, as_version=4).cells}
    assert len(images(cells["main-figure"])) == 2
    assert "Degradation shown" in texts(cells["judge"])
    assert "resnet-56" in texts(cells["show-tables"])


def test_the_main_figure_takes_five_lines():
    cell = next(cell for cell in nbformat.read(MAIN, as_version=4).cells if cell.id == "main-figure")
    assert len([line for line in cell.source.splitlines() if line.strip()]) == 5


@pytest.mark.slow
def test_the_notebook_shows_the_study_of_its_folder(small_study):
    before = (small_study / "mlflow.db").stat().st_size
    cells = run_notebook(MAIN, small_study)
    assert cells["find-study"].outputs[-1].data["text/plain"] == "'small'"
    assert [image.min() < 100 for image in images(cells["main-figure"])] == [True, True]  # something is drawn
    assert len(images(cells["draw-curves"])) == 1
    verdict = texts(cells["judge"])
    assert "plain-14" in verdict
    assert len(verdict.split("\n\n")) > 3
    tables = texts(cells["show-tables"])
    assert "| resnet-14 |" in tables
    assert "as in Table 2 of the paper" in tables
    assert (small_study / "mlflow.db").stat().st_size == before  # nothing was trained


@pytest.mark.slow
def test_the_notebook_trains_a_study_where_there_is_none(tmp_path):
    cells = run_notebook(MAIN, tmp_path)
    assert cells["find-study"].outputs[-1].data["text/plain"] == "'notebook'"
    assert "plain-14" in texts(cells["judge"])
    assert list_studies(f"sqlite:///{tmp_path / 'mlflow.db'}") == ["notebook"]


@pytest.mark.parametrize("path", OWN_NETS, ids=lambda path: path.name)
@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 32, 32)])
def test_own_nets_pass_the_checks_on_images_of_any_size(path: Path, image_shape: tuple[int, int, int]) -> None:
    points = load_grid(str(path)).points
    for own in dict.fromkeys(point.own for point in points):
        assert own is not None
        nets = {point.depth: {False, True} for point in points if point.own == own}
        assert len(nets) > 1
        check_own_nets(own, nets, image_shape, 10)


@pytest.mark.slow
@pytest.mark.parametrize("path", OWN_NETS, ids=lambda path: path.name)
def test_grids_of_own_nets_run(path: Path, tmp_path: Path) -> None:
    least = min(point.depth for point in load_grid(str(path)).points)
    changes = ("recipe.epochs=1", "recipe.lr=0.03", f"grid.depth=[{least}]", "grid.seed=0", "dataset.train_limit=200")
    done = run_study(tmp_path, "run", "--grid", str(path), *(word for change in changes for word in ("--set", change)))
    assert done.returncode == 0, done.stderr
    runs = load_runs(load_grid(str(path)).name, uri(tmp_path))
    assert set(runs["architecture"]) == {"plain", "residual"}
    assert (runs["outcome"] == "finished").all()
