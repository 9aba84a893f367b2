import pandas as pd
import pytest

from study.report.moments import END, at_moments, evenly, label, moments_of, phrase

RUNS = pd.DataFrame({"run_id": ["a", "b", "c"], "outcome": ["finished", "diverged", "finished"]})


def test_the_end_is_the_last_of_a_run_that_finished():
    rows = pd.DataFrame({"run_id": [*"aaabbcb"], "step": [0, 10, 500, 0, 10, 0, 77]})
    found = at_moments(rows, RUNS)
    assert found["moment"].tolist() == [0, 10, END, 0, 10, 0]  # initialisation is no end, 77 nobody else's
    assert moments_of(found) == [0, 10, END]
    assert at_moments(rows.iloc[:0], RUNS).empty
    assert moments_of(at_moments(rows[rows["run_id"] == "b"], RUNS)) == [0, 10, 77]


@pytest.mark.parametrize(("most", "expected"), [(9, [0, 1, 2, 3, 4]), (3, [0, 2, 4]), (2, [0, 4])])
def test_of_many_the_ends_stay(most, expected):
    assert evenly([4, 0, 1, 2, 3, 3], most) == expected


@pytest.mark.parametrize(
    ("moment", "title", "words"),
    [
        (0.0, "initialisation", "at initialisation"),
        (1.0, "1 iteration", "after 1 iteration"),
        (1000.0, "1,000 iterations", "after 1,000 iterations"),
        (END, "end of training", "at the end"),
    ],
)
def test_moments_in_words(moment, title, words):
    assert (label(moment), phrase(moment)) == (title, words)
