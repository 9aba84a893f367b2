"""How gradients grow from layer to layer: a line through their logarithms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from study.errors import StudyError

BATCH_NORM_GROWTH = math.sqrt(math.pi / (math.pi - 1))
"""1.211: by theory the factor a layer of batch norm and ReLU multiplies a gradient's norm by, toward the input."""


@dataclass(frozen=True)
class Growth:
    """The factor by which a gradient's norm grows a layer, toward the input, with its standard error."""

    rate: float
    standard_error: float
    layers: int
    """Fitted."""


def fit_growth(norms: Sequence[float]) -> Growth:
    """Fit r = exp(-slope) of log G_l = a + slope l by least squares, l the layers after the first: r > 1 is explosion.

    Yang et al. 2019, "A Mean Field Theory of Batch Normalization" (arXiv 1902.08129): at initialisation, gradients of
    nets of batch norm without shortcuts grow exponentially toward the input. For ReLU the square grows by
    pi / (pi - 1) a layer, the norm by 1.211 (`BATCH_NORM_GROWTH`): dividing by the batch's deviation,
    sqrt((pi - 1) / 2 pi) after a ReLU, against the sqrt(1/2) that ReLU lets through. The first layer's input is the
    image, which is no layer's output, and is left out.

    The standard error is that of least squares, by the delta method. Neighbouring layers' deviations from the line are
    alike, so it's too small where the line isn't straight; seeds are the better measure.

    Args:
        norms: of all 3x3 layers of a net, in its order.

    Raises:
        StudyError: fewer than three layers after the first, or a gradient that is 0 or isn't a number.
    """
    used = norms[1:]
    if len(used) < 3 or not all(0 < value < math.inf for value in used):
        raise StudyError(f"no growth can be fitted to {len(used)} layers' gradients: it takes three that are above 0")
    fit = stats.linregress(range(1, len(norms)), [math.log(value) for value in used])
    rate = math.exp(-fit.slope)
    return Growth(rate, rate * float(fit.stderr), len(used))
