"""Names under which a run's facts are stored in MLflow: tags, metrics, params, and the columns made of them."""

from collections.abc import Mapping
from itertools import count, takewhile

KIND = "study.kind"
"""`run`, `tuning` (the search of a cell), `trial` (one rate of it), `dataset` (what was trained on), `report`."""
KEY = "study.run_key"
PLANNED = "study.planned_key"
"""Of a run: its key as the grid has it, before a search found its rate; a protocol names it."""
CELL = "study.cell_key"
OUTCOME = "study.outcome"
"""`running`, `finished`, `diverged`, `pruned`, `failed`, `interrupted`."""
REASON = "study.reason"
"""Why a run failed or was pruned, in a line."""
VARIANT = "study.variant"
NET = "study.net"
"""The net, with its variant if there is one: MLflow's pages group runs by it."""
OWN_NETS = "study.own_nets"
"""Of a net of the user's own: the place of the function that builds it, and the digest of its source."""
OWNER = "study.owner"
"""The process that writes the run, as `processes.this_process` names it."""
TRIAL = "study.trial"
"""A trial's number in its cell's search; of a search, the number of its trials."""
CHOSEN = "study.chosen"
"""Of a search: the point it found, in JSON."""
POINT = "study.point"
"""Of a trial: the point it tries, in JSON: the rate and the other searched fields."""
BOUNDS = "study.bounds"
"""Of a search: smallest and largest rate that were asked for, in JSON."""
WIDENED = "study.widened"
"""Of a search: trials beyond those bounds."""
CONFIRMED = "study.confirmed"
"""Of a search: trials that are further seeds of the best points."""
EDGE = "study.lr_edge"
"""Of a search: `lowest` or `highest` where the best rate was the last one tried on that side."""
OBJECTIVE = "study.objective"
LR_TUNED = "study.lr_tuned"
HOST = "study.host"
PROBES = "study.probes"
"""Names of the probes that were made."""
DEVICE = "study.device"
PRECISION = "study.precision"
PROTOCOL = "study.protocol"
"""Of the experiment, followed by an id: what was set when a command first began a run of a grid, in JSON."""
MADE = "study.made"
"""Of a run: ids of the commands that began and continued it, in order. Of the experiment, followed by an id: a
command."""
CODE = "study.code"
"""Digest of the code that decides results; of a run continued under other code, all of them in order."""
TORCH = "study.torch"
"""PyTorch's version, or all of them in order."""
DATA = "study.data"
"""Fingerprint of the images."""
COMMIT = "mlflow.source.git.commit"
PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"

SEPARATOR = ", "
"""Separator of the values that a tag had one after another."""
DONE = ("finished", "diverged", "pruned")
"""Outcomes that are results: such a run isn't repeated."""
NET_COLUMNS = ["run_id", "architecture", "depth", "net", "variant", "seed"]
"""Columns that identify the run of a row."""
PROBE_COLUMNS = [*NET_COLUMNS, "lr"]
"""First columns of a probe's table, before `step` and the probe's own."""
PROBE_TABLES = "probes"
"""Folder of a run's artifacts with the results of its probes, a Parquet file per table."""
CURVES = ("train_error", "train_loss", "test_error", "test_loss", "validation_error", "lr", "images_per_second")
"""Metrics by iteration."""
FINALS = (
    "final_train_error",
    "final_train_loss",
    "final_train_error_augmented",
    "final_test_error",
    "final_test_loss",
    "final_test_error_views",
    "final_validation_error",
    "final_validation_loss",
)
"""Metrics of the last iteration. `final_test_error` is of one view of each image, the centre; `final_test_error_views`
of the recipe's `test_views`, where they are more."""
COUNTS = (
    "total_iterations",
    "iterations_per_epoch",
    "train_images",
    "test_images",
    "skipped_images",
    "classes",
    "parameters",
    "multiply_adds",
)
"""Params that are whole numbers."""
LIMIT = 5000
"""Maximal characters of a tag; a longer text is continued in tags with the suffixes `.2`, `.3` ..."""


def split_text(key: str, text: str) -> dict[str, str]:
    """Return the tags that hold a text of any length; the first part last: if it is stored, all parts are."""
    parts = [text[start : start + LIMIT] for start in range(0, len(text), LIMIT)]
    return {_part(key, i): part for i, part in reversed([*enumerate(parts)])}


def join_text(tags: Mapping[str, str], key: str) -> str:
    """Return the text that `split_text` made tags of."""
    return "".join(filter(None, takewhile(lambda part: part is not None, (tags.get(_part(key, i)) for i in count()))))


def _part(key: str, i: int) -> str:
    return f"{key}.{i + 1}" if i else key
