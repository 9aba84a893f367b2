"""The events of a run while it trains: errors in percent, steps in iterations, losses as mean cross-entropy in nats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """A point of the curves, at iteration `step`."""

    step: int
    epoch: float
    """Passes over the training images so far."""
    lr: float
    """Rate of the last step."""
    train_error: float
    """Running: of the images since the last point, augmented, in training mode, as trained."""
    train_loss: float
    test_error: float
    test_loss: float
    validation_error: float | None
    """None where no images are held out."""
    validation_loss: float | None
    images_per_second: float
    """Training alone, without evaluation."""
    seconds: float
    """Time of the run so far, evaluation and earlier attempts included."""
    memory_mib: float
    """Peak memory of the process so far."""
    time: float
    """When it was measured, in seconds since 1970."""


Column = Sequence[float] | Sequence[int] | Sequence[str] | Sequence[bool]


@dataclass(frozen=True)
class Probed:
    """Results of a probe after iteration `step`: tables by name, each as columns of equal length."""

    probe: str
    step: int
    tables: Mapping[str, Mapping[str, Column]]


@dataclass(frozen=True)
class Started:
    """The run is set up and begins, or goes on, after iteration `step`; `history` holds the points before it."""

    step: int
    total: int
    device: str
    precision: str
    history: tuple[Epoch, ...]
    probed: tuple[Probed, ...] = ()
    """Results of probes before it."""
    damaged: tuple[str, ...] = ()
    """What was wrong with newer checkpoints than the one that it goes on from."""


@dataclass(frozen=True)
class Checkpointed:
    """All that is needed to go on from iteration `step` is safe on disk."""

    step: int


@dataclass(frozen=True)
class Unsaved:
    """The checkpoint of iteration `step` can't be written, for this reason; the run goes on, earlier ones are kept."""

    step: int
    reason: str


@dataclass(frozen=True)
class Finished:
    """The last iteration is done. All figures are of the last step, never of the best."""

    step: int
    final_train_error: float
    """Whole training split, clean images, evaluation mode: the one a verdict uses."""
    final_train_loss: float
    final_train_error_augmented: float
    """Whole training split, augmented as trained, evaluation mode."""
    final_test_error: float
    """Of one view of each image, the centre: that of the curves."""
    final_test_loss: float
    final_test_error_views: float | None
    """Of the recipe's `test_views`, probabilities averaged; None where that is the centre alone."""
    final_validation_error: float | None
    final_validation_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Diverged:
    """The loss stopped being finite before iteration `step`: a result. `error` is that of guessing, 100 - 100/K."""

    step: int
    error: float
    seconds: float


@dataclass(frozen=True)
class Interrupted:
    """The run was asked to stop; it goes on from its checkpoint at iteration `step`."""

    step: int


Event = Started | Epoch | Probed | Checkpointed | Unsaved | Finished | Diverged | Interrupted
