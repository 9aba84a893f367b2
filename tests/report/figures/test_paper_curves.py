import numpy as np
import pytest

from study.report.figures.paper_curves import paper_lines

NETS = [(name, depth) for name in ("plain", "residual") for depth in (8, 20, 32, 44, 56, 110)]


def of(runs, **changes):
    return paper_lines(runs.assign(**({"dataset": "cifar10", "total_iterations": 64_000} | changes)), NETS)


def test_the_ends_are_those_of_the_papers_tables(paper):
    lines = {(one.architecture, one.depth, one.split): one for one in of(paper.runs)}
    assert len(lines) == 16
    # Table 6 of the paper: test error of residual nets, to which the reading of the figure was checked.
    for depth, error in {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97}.items():
        late = lines["residual", depth, "test"]
        assert np.mean(late.error[late.step >= 55_000]) == pytest.approx(error, abs=0.15)
    assert lines["plain", 56, "test"].error[-5:].mean() > lines["plain", 20, "test"].error[-5:].mean() + 3
    assert all(one.step[0] == 34_000 and (np.diff(one.step) > 0).all() for one in lines.values())


@pytest.mark.parametrize(("changes", "shown"), [
    ({}, True), ({"total_iterations": 70_000}, True), ({"total_iterations": 71_000}, False),
    ({"total_iterations": 57_000}, False), ({"dataset": "cifar100"}, False), ({"dataset": "image-folder"}, False),
    ({"total_iterations": np.nan}, False),
])  # fmt: skip
def test_only_under_studies_of_cifar10_that_are_as_long(paper, changes, shown):
    assert bool(of(paper.runs, **changes)) == shown


def test_one_run_of_another_length_is_enough_to_leave_them_out(paper):
    lengths = [64_000] * (len(paper.runs) - 1) + [900]
    assert of(paper.runs, total_iterations=lengths) == ()
    assert paper_lines(paper.runs.drop(columns="dataset"), NETS) == ()
    assert paper_lines(paper.runs.iloc[:0], NETS) == ()


def test_only_depths_that_the_study_has(paper):
    runs = paper.runs.assign(dataset="cifar10")
    assert {one.depth for one in paper_lines(runs, [("plain", 20), ("residual", 110)])} == {20}
