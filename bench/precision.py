"""Whether curves in bfloat16 are those of 32-bit floats, within the noise of seeds, on the default grid.

    study run --grid bench/precision-digits.yaml       # every net with six seeds in both formats, ten minutes
    python bench/precision.py precision-digits         # prints the table

Two formats of one seed are two runs: rounding makes them part within some steps, as another seed would. So what is
compared is the mean over seeds, at each point of the curve. `farthest` is the largest difference of the two means over
the points, in standard errors of Welch; `expected` is what that is between two halves of one format's seeds: its mean
over all ways of halving them, and over both formats.
"""

import argparse
import itertools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.statistics.multiplicity import holm
from study.statistics.welch import welch
from study.track.frames import load_curves, load_runs

RESOLUTION = 100 / 1437  # of the error, in points: one of the training images of digits
FORMATS = ("fp32", "bf16")
Curves = NDArray[np.float64]


def farthest(a: Curves, b: Curves) -> float:
    """(seeds, points), (seeds, points) -> the largest difference of means, in standard errors."""
    compared = (welch([a[:, i], b[:, i]], (1.0, -1.0), RESOLUTION) for i in range(a.shape[1]))
    return max(abs(one.estimate) / one.error for one in compared)


def halves(curves: Curves) -> list[float]:
    """(seeds, points) -> the same distance between the halves of every way of halving the seeds."""
    seeds = range(len(curves))
    ways = (set(way) for way in itertools.combinations(seeds, len(curves) // 2) if 0 in way)
    return [farthest(curves[sorted(way)], curves[[i for i in seeds if i not in way]]) for way in ways]


def compare(runs: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """Return the rows of the table, a net each."""
    found = []
    for net, of_net in runs.groupby("net", sort=False):
        ends = [of_net[of_net["precision"] == kind]["final_train_error"].to_numpy(float) for kind in FORMATS]
        there = curves[curves["net"] == net].merge(runs[["run_id", "precision"]], on="run_id")
        lines = [
            there[there["precision"] == kind].pivot(index="seed", columns="step", values="train_error").to_numpy(float)
            for kind in FORMATS
        ]
        found.append((str(net), ends, lines, welch(ends, (-1.0, 1.0), RESOLUTION).interval()))
    rows = []
    for (net, ends, lines, difference), p in zip(found, holm([one[3].p for one in found]), strict=True):
        fp32, bf16 = (f"{end.mean():.2f} ± {end.std(ddof=1):.2f}" for end in ends)
        noise = [distance for line in lines for distance in halves(line)]
        rows.append(
            f"| {net} | {fp32} | {bf16} | {difference.estimate:+.2f} ({difference.low:.2f} to {difference.high:.2f}) "
            f"| {p:.2g} | {farthest(*lines):.1f} | {np.mean(noise):.1f} (up to {max(noise):.1f}) |"
        )
    return rows


def main() -> None:
    """Print the table of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    study = parser.parse_args().study
    print("| net | fp32: final training error (%) | bf16 | difference (95 %) | p, Holm | farthest | expected |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(compare(load_runs(study), load_curves(study))))


if __name__ == "__main__":
    main()
