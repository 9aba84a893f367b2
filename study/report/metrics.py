"""What is measured: each quantity's key, label and unit. No axis or column label is written elsewhere."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Metric:
    """A measured quantity."""

    key: str
    """Name of its column in the frames."""
    label: str
    """Its name in words."""
    unit: str = ""
    """Its unit, empty where it has none."""

    @property
    def axis(self) -> str:
        """Label of an axis or column: ``Test error (%)``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("train_error", "Training error", "%"),
        Metric("test_error", "Test error", "%"),
        Metric("validation_error", "Validation error", "%"),
        Metric("error", "Error", "%"),
        Metric("train_loss", "Training loss", "nats"),
        Metric("test_loss", "Test loss", "nats"),
        Metric("validation_loss", "Validation loss", "nats"),
        Metric("final_train_error", "Final training error", "%"),
        Metric("final_train_error_augmented", "Final training error, augmented images", "%"),
        Metric("final_test_error", "Final test error", "%"),
        Metric("final_validation_error", "Final validation error", "%"),
        Metric("final_train_loss", "Final training loss", "nats"),
        Metric("final_test_loss", "Final test loss", "nats"),
        Metric("generalisation_gap", "Generalisation gap", "points"),
        Metric("step", "Iterations"),
        Metric("trained_on", "Iterations trained on"),
        Metric("depth", "Layers"),
        Metric("deeper", "Layers of the deeper net"),
        Metric("shallower", "Layers of the shallower net"),
        Metric("probability_worse", "P(the deeper net is worse)"),
        Metric("lr", "Learning rate"),
        Metric("shortcut_scale", "Factor of the shortcut, 0 plain, 1 residual"),
        Metric("parameters", "Parameters"),
        Metric("multiply_adds", "Multiply-adds"),
        Metric("images_per_second", "Training speed", "images/s"),
        Metric("seconds", "Time", "s"),
        Metric("along_first", "Along direction 1", "filter norms"),
        Metric("along_second", "Along direction 2", "filter norms"),
        Metric("nonconvex", "Not convex", "% of the basin"),
        Metric("basin", "Basin", "% of the slice"),
        Metric("minima", "Minima"),
        Metric("rank_share", "Effective rank", "% of the channels"),
        Metric("block", "Block taken out, from the input"),
        Metric("blocks_out", "Blocks taken out"),
        Metric("kendall_tau", "Kendall's tau with the trained order"),
        Metric("rise", "Rise of training error", "points"),
        Metric("eigenvalue", "Largest eigenvalue"),
        Metric("height", "Height", "pixels"),
        Metric("width", "Width", "pixels"),
        Metric("images", "Images"),
        Metric("images_per_class", "Images per class"),
        Metric("class", "Class"),
        Metric("classes", "Classes"),
        Metric("crossing", "Iterations to the error"),
        Metric("layer", "Layer, from the input"),
        Metric("layer_rank", "Layer, by size"),
        Metric("std", "Std of the response"),
        Metric("autocorrelation", "Autocorrelation"),
        Metric("distance", "Distance", "share of the line"),
        Metric("before_last", "Layers before the last"),
        Metric("gradient_ratio", "Gradient's norm, last layer = 1"),
        Metric("weight_norm", "Norm of the weights"),
        Metric("effective_lr", "Effective rate"),
        Metric("turn", "Turn", "rad"),
    )
}

FINAL_ERRORS = {"final_train_error": "training", "final_test_error": "test"}
"""What tables with a row an error call the two that a study compares."""
ERROR_WORDS = {key: f"{kind} error" for key, kind in FINAL_ERRORS.items()}
"""What sentences call them."""
PAPER_LABELS = {"step": "iter.", "error": "error", "train_error": "training error", "test_error": "test error"}
"""What the paper's Figures 1 and 6 call the quantities of their axes."""


def axis(key: str, scale: str = "", style: str = "house") -> str:
    """Return the axis label of a metric, with the unit or power of ten it is divided by: ``Iterations (1e4)``.

    In the style `paper` its own word is used, as far as it has one: ``iter. (1e4)``. A key that isn't in the table is
    shown as it is, so that a new objective is never unlabelled.
    """
    metric = METRICS.get(key, Metric(key, key.replace("_", " ")))
    if style == "paper" and key in PAPER_LABELS:
        metric = replace(metric, label=PAPER_LABELS[key])
    return f"{metric.label} ({scale})" if scale else metric.axis
