"""A run's curve as a file of its artifacts."""

import csv
import io
from collections.abc import Sequence

from study.events import Epoch


def curves_csv(points: Sequence[Epoch]) -> str:
    """Return a curve as text, a line a point."""
    out = io.StringIO()
    writer = csv.writer(out)
    if points:
        writer.writerow(vars(points[0]))
        writer.writerows(vars(point).values() for point in points)
    return out.getvalue()
