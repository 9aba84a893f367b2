"""Lesions and reorderings made up with known answers."""

from .probes import with_probe


def lesion_rows(rise, whole=lambda run: 0.0, counts=(1, 2, 4), draws=2):
    """Return what makes rows of `lesion` from rise(run, place, count): place 0 where blocks are drawn at random.

    Nets have three blocks a stage, in two stages; the second stage's first changes the map, and plain nets keep it.
    """

    def row(run, kind, block, count, draw, points):
        return {
            "step": 220,
            "kind": kind,
            "block": block,
            "stage": 1,
            "count": count,
            "draw": draw,
            "downsamples": block == "layer2.0",
            "error": whole(run) + points,
            "loss": 1.0,
            "rise": points,
        }

    def rows(run, random):
        names = [f"layer{stage}.{i}" for stage in (1, 2) for i in range(3)]
        for place, name in enumerate(names, 1):
            if run["architecture"] == "residual" or name != "layer2.0":
                yield row(run, "each", name, 1, 0, rise(run, place, 1) + 0.01 * run["seed"])
        for count in counts:
            for draw in range(draws):
                yield row(run, "random", "", count, draw, rise(run, 0, count) + draw)

    return rows


def reordering_rows(rise):
    """Return what makes rows of `reordering` from rise(run, tau)."""

    def rows(run, random):
        for swaps, tau in ((1, 0.95), (2, 0.9), (4, 0.8), (8, 0.6)):
            for draw in range(2):
                points = rise(run, tau) + 0.01 * (run["seed"] + draw)
                yield {
                    "step": 220,
                    "swaps": swaps,
                    "draw": draw,
                    "kendall_tau": tau,
                    "error": points,
                    "loss": 1.0,
                    "rise": points,
                }

    return rows


def by_degrees(run, place, count):
    """Return a rise as in the paper: at once in plain nets, with the number of blocks in residual ones."""
    if run["architecture"] == "plain":
        return 80.0
    return (20.0 if place == 4 else 1.0) if place else 10.0 * count


def with_lesions(evidence, rise=by_degrees, order=lambda run, tau: 0.0, **options):
    """Return the evidence with both tables."""
    evidence = with_probe(evidence, "lesion", lesion_rows(rise, **options))
    return with_probe(evidence, "reordering", reordering_rows(order))
