"""The names under which a run's facts stand in MLflow: written by one module, read by another."""

KIND = "study.kind"
"""Tag: `run`, `tuning` (the search of a cell), `trial` (one rate of it), `dataset` (what was trained on)."""
KEY = "study.run_key"
CELL = "study.cell_key"
OUTCOME = "study.outcome"
"""Tag: `running`, `finished`, `diverged`, `pruned`, `failed`, `interrupted`."""
REASON = "study.reason"
"""Tag: why a run failed or was pruned, in a line."""
VARIANT = "study.variant"
OWNER = "study.owner"
TRIAL = "study.trial"
"""Tag: a trial's number in its cell's search."""
CHOSEN = "study.chosen"
"""Tag of a tuning run: the point it found, in JSON."""
POINT = "study.point"
"""Tag of a trial: the point it tries, in JSON: the rate and whatever else is searched."""
BOUNDS = "study.bounds"
"""Tag of a tuning run: smallest and largest rate that were asked for, in JSON."""
WIDENED = "study.widened"
"""Tag of a tuning run: trials beyond those bounds."""
EDGE = "study.lr_edge"
"""Tag of a tuning run: `lowest` or `highest` where the best rate was the last one tried on that side."""
OBJECTIVE = "study.objective"
LR_TUNED = "study.lr_tuned"
HOST = "study.host"
PROBES = "study.probes"
"""Tag: what was measured beside the curve, by name."""
DEVICE = "study.device"
PRECISION = "study.precision"
EFFECT, USUAL_EFFECT = "study.smallest_effect", 0.5
"""Tag of the experiment: the smallest effect that its verdict calls one, in points, and in turn those that were asked
for after the first result; and what holds without it."""
MADE = "study.made"
"""Tag of a run: ids of the commands that began it and went on with it, in turn. Of the experiment, with an id behind
it: a command."""
CODE = "study.code"
"""Tag: digest of the code that decides results; of a run that went on under other code, all of them in turn."""
TORCH = "study.torch"
"""Tag: PyTorch's version, all of them in turn likewise."""
DATA = "study.data"
"""Tag: fingerprint of the images."""
TIMES = ", "
"""Between values of these tags that held one after another."""
COMMIT = "mlflow.source.git.commit"
PARENT = "mlflow.parentRunId"
NAME = "mlflow.runName"

NET_COLUMNS = ["run_id", "architecture", "depth", "net", "variant", "seed"]
"""Columns that tell a run's points from others'."""
PROBE_COLUMNS = [*NET_COLUMNS, "lr"]
"""What a row of a probe's table says of its run, before `step` and the probe's own columns."""
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
PROBE_TABLES = "probes"
"""Folder of a run's artifacts with what probes found, a Parquet file a table."""
DONE = ("finished", "diverged", "pruned")
"""Outcomes that are results: such a run isn't done again."""
