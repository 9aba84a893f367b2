"""A study on MLflow's pages: a view of its curves, the address that opens it, its verdict and its report."""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from study.errors import StudyError
from study.track import tags as tag
from study.track.client import translate_errors
from study.track.store import Store
from study.track.uri import tracking_uri

NAME = "study"
VIEW = f"mlflow.sharedViewState.{NAME}"
"""Tag of an experiment in which MLflow's pages (3.17) keep a saved view."""
CHARTS = (("train_error", "linear"), ("test_error", "linear"), ("train_loss", "log"), ("lr", "log"))
"""Metrics that are drawn by iteration, and their scales."""
RESULTS = ("metrics.`final_train_error`", "metrics.`final_test_error`")
SECTION = "study-by-iteration"
DESCRIPTION = "mlflow.note.content"
"""Tag of an experiment that MLflow's pages show as its description."""
WRITTEN = "*Written by `study run`; remove this line to keep a text of your own.*"
REPORT = "report"
"""Kind, key and name of the run that holds a study's report, and the folder of its artifacts."""
LINK = "[Report]"
"""How the paragraph of a description begins that leads to it."""


def view_address(pages: str, experiment_id: str) -> str:
    """Return the address of a study's view; `pages` is that of MLflow's pages."""
    query = {"workflowType": "machine_learning", "compareRunsMode": "CHART", "viewStateShareKey": NAME}
    return f"{pages}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def saved_view(varying: Iterable[str]) -> str:
    """Return the value of the tag that saves the view, as MLflow's page writes it: name, times and state in JSON.

    Columns show the net, the parameters that are `varying` in the study, the rate and final errors.
    """
    now, params = int(1000 * time.time()), dict.fromkeys((*varying, "lr"))
    state = _state([f"tags.`{tag.NET}`", *(f"params.`{name}`" for name in params), *RESULTS])
    return json.dumps({"name": NAME, "createdAt": now, "updatedAt": now, "state": json.dumps(state)})


def write_description(experiment: str, verdicts: Sequence[str]) -> None:
    """Write a study's verdicts into the description of its experiment, unless a user's own text is there.

    Raises:
        StudyError: MLflow can't be used.
    """
    store = Store.find(experiment) if verdicts else None
    if store is not None:
        _describe(store, verdicts)


def store_report(experiment: str, folder: Path, parts: Iterable[str]) -> None:
    """Store these `parts` of a report's folder as artifacts of a run of their own, in place of an older report's.

    The experiment's description links to it, unless a user's own text is there.

    Raises:
        StudyError: there is no such experiment, or MLflow or its artifacts can't be written.
    """
    files = [file for part in parts for file in sorted([folder / part, *(folder / part).rglob("*")]) if file.is_file()]
    with translate_errors(tracking_uri()):
        store = Store.find(experiment)
        if store is None:
            raise StudyError(f"there is no experiment '{experiment}'")
        runs = store.records_of(REPORT, REPORT)
        run_id = runs[0].run_id if runs else store.begin(REPORT, {}, {tag.KIND: REPORT, tag.KEY: REPORT})
        place = store.place(run_id)
        place.remove(REPORT)
        for file in files:
            place.put(file, (Path(REPORT) / file.relative_to(folder)).parent.as_posix())
        store.end(run_id, "finished")
        _describe(store)


def _describe(store: Store, verdicts: Sequence[str] | None = None) -> None:
    """Write verdicts, by default those of before, and a link to the report into an experiment's description."""
    before = str(store.do(store.client.get_experiment, store.experiment_id).tags.get(DESCRIPTION, ""))
    if verdicts is None:
        verdicts = [text for text in before.split("\n\n") if text and not text.startswith((LINK, WRITTEN))]
    page = f"#/experiments/{store.experiment_id}/runs/{{}}/artifacts/{REPORT}/index.html"
    reports = [run for run in store.records_of(REPORT, REPORT) if run.outcome == "finished"]
    text = "\n\n".join([*verdicts, *(f"{LINK}({page.format(run.run_id)})" for run in reports[:1]), WRITTEN])
    if text != before and (WRITTEN in before or not before.strip()):
        store.do(store.client.set_experiment_tag, store.experiment_id, DESCRIPTION, text)


def _state(columns: list[str]) -> dict[str, Any]:
    """Return the state of the page of runs."""
    section = {"uuid": SECTION, "name": "By iteration", "display": True, "isReordered": False}
    return {
        "searchFilter": f"tags.`{tag.KIND}` = 'run'",
        "orderByKey": "params.`depth`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [_chart(metric, scale) for metric, scale in CHARTS],
        "compareRunSections": [{**section, "deleted": False, "isGenerated": False}],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": tag.NET}]},
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _chart(metric: str, scale: str) -> dict[str, Any]:
    return {
        "uuid": f"study-{metric}",
        "type": "LINE",
        "runsCountToCompare": 100,
        "metricSectionId": SECTION,
        "deleted": False,
        "isGenerated": False,
        "displayName": metric,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": scale,
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }
