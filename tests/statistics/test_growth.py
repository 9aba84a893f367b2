import math

import pytest
from scipy import stats

from study.errors import StudyError
from study.statistics.growth import fit_growth


def test_an_exact_exponential_is_fitted_exactly():
    found = fit_growth([1e9] + [3 * 1.3**-layer for layer in range(1, 9)])  # the first one isn't looked at
    assert found.rate == pytest.approx(1.3)
    assert found.standard_error == pytest.approx(0, abs=1e-7)


def test_the_standard_error_is_that_of_least_squares():
    values = [5.0, 3.0, 4.0, 2.0, 1.5]
    found = fit_growth([1.0, *values])
    line = stats.linregress(range(1, 6), [math.log(value) for value in values])
    assert found.rate == pytest.approx(math.exp(-line.slope))
    assert found.standard_error == pytest.approx(line.stderr * math.exp(-line.slope))


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [1.0, 2.0, 0.0, 4.0], [1.0, 2.0, math.nan, 4.0]])
def test_what_cant_be_fitted_is_refused(values):
    with pytest.raises(StudyError, match="no growth can be fitted"):
        fit_growth(values)
