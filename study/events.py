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
    """Running error over the augmented images since the last point, in training mode."""
    train_loss: float
    test_error: float
    test_loss: float
    validation_error: float | None
    """None where no images are held out."""
    validation_loss: float | None
    images_per_second: float
    """Speed of training, without evaluation."""
    seconds: float
    """Time of the run so far, evaluation and earlier attempts included; on a CPU without that of runs beside it."""
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
    """Results of probes before `step`."""
    damaged: tuple[str, ...] = ()
    """The faults of checkpoints newer than the one it resumes from."""


@dataclass(frozen=True)
class Checkpointed:
    """The checkpoint of iteration `step` is safe on disk."""

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
    """Error over the whole training split, clean images, evaluation mode: the verdict uses it."""
    final_train_loss: float
    final_train_error_augmented: float
    """Error over the whole training split, augmented as in training, evaluation mode."""
    final_test_error: float
    """Error over one view of each image, the centre, as in the curves."""
    final_test_loss: float
    final_test_error_views: float | None
    """Error over the recipe's `test_views`, probabilities averaged; None if that is only the centre."""
    final_validation_error: float | None
    final_validation_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Diverged:
    """The loss stopped being finite before iteration `step`: a result. `error` is 100 - 100/K, as of guessing."""

    step: int
    error: float
    seconds: float


@dataclass(frozen=True)
class Interrupted:
    """The run was asked to stop; it goes on from its checkpoint at iteration `step`."""

    step: int


Event = Started | Epoch | Probed | Checkpointed | Unsaved | Finished | Diverged | Interrupted
