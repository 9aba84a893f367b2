"""The chapter on responses, the paper's Figure 7: whether residual layers change the signal less than plain ones."""

import math

import pandas as pd

from study.report.figures.responses import responses_drawing
from study.report.moments import END
from study.report.why.chapter import Evidence, Findings, chapter
from study.report.why.comparison import deepest_pair
from study.statistics.interval import geometric_mean
from study.statistics.welch import ratio
from study.verdict import selection as c


@chapter("responses", "Do layers with shortcuts change less?")
def responses_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether residual responses are smaller, and fall with depth; None where none were measured at the end."""
    rows = evidence.at_moments("responses")
    drawing = responses_drawing(rows) if len(rows) else None
    if drawing is None:
        return None
    sizes = mean_responses(rows)
    by_net = {str(net): part["size"] for net, part in sizes.groupby("net")}
    ends = [(kind, nets) for kind in c.architectures(sizes) if (nets := _ends(sizes, kind))]
    pair = deepest_pair(sizes)
    facts = {
        "pair": pair,
        "smaller": ratio(by_net[pair[1]], by_net[pair[0]]) if pair else None,
        "changes": [(kind, nets, ratio(by_net[nets[1]], by_net[nets[0]])) for kind, nets in ends],
        "alone": {net: geometric_mean(size) for net, size in by_net.items()},
    }
    return Findings(facts, [drawing])


def _ends(sizes: pd.DataFrame, kind: str) -> tuple[str, str] | None:
    """Return the shallowest and the deepest net of an architecture, where there are two."""
    depths = c.depths(sizes[sizes["architecture"] == kind])
    return (c.net_name(sizes, kind, depths[0]), c.net_name(sizes, kind, depths[-1])) if len(depths) > 1 else None


def mean_responses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: `size`, the geometric mean over its layers of their deviation at the end of training.

    A net in trouble has a few layers that respond tenfold, which would be all that another mean shows. It's not a
    number where a layer's deviation is 0 or isn't one.
    """
    ended = rows[rows["moment"] == END]
    ended = ended.assign(log=ended["std"].where(ended["std"] > 0).map(math.log, na_action="ignore"))
    runs = ended.groupby(["architecture", "depth", "net", "run_id"])["log"]
    sizes = runs.agg(lambda logs: float(logs.mean(skipna=False)))
    return sizes.map(math.exp).rename("size").reset_index()
