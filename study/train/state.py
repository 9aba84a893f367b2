"""The state of a run while it trains: how it is built, saved and restored."""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from study.config import Recipe, RunSpec
from study.data import WHOLE, Dataset, Normalizer, Shard, TrainBatches, derived_seed
from study.events import Epoch, Probed
from study.nets import PAPER, Design, build_net, build_own, can_join
from study.train.arithmetic import Precision, resolve_precision
from study.train.parallel import ALONE, Group
from study.train.shared_norm import share_statistics
from study.train.stream import held_stream

PLAIN_FIELDS = ("precision", "step", "steps_since_point", "training_seconds", "seconds")
"""Fields of a state that a checkpoint holds as they are."""


@dataclass(eq=False)
class RunState:
    """The changing state of a run, and the objects that compute it."""

    spec: RunSpec
    net: nn.Module
    model: nn.Module
    """The module called in training: the net, or a wrapper that averages its gradients over the ranks."""
    group: Group
    """The processes of the run."""
    optimizer: torch.optim.Optimizer
    rate: Tensor
    """Learning rate of the next iteration: a scalar on the device, where the optimiser reads it."""
    batches: TrainBatches
    normalizer: Normalizer
    precision: Precision
    dropout: bool
    """Whether the net may draw random numbers while it trains (VGG's does, and the user's own may)."""
    can_join: bool
    """Whether the net can be trained in one forward pass with others of its architecture."""
    stream: torch.cuda.Stream | None
    """The stream on which a GPU does the run's work; None on a CPU."""
    replays: bool
    """Whether an iteration is only GPU work, which a CUDA graph can record."""
    total: int
    loss_sum: Tensor
    """Sum of the batch losses since the last point of the curves, on the device."""
    error_sum: Tensor
    """Wrongly classified training images since the last point, on the device."""
    step: int = 0
    steps_since_point: int = 0
    training_seconds: float = 0.0
    """Seconds of training since the last point, without evaluation."""
    seconds: float = 0.0
    """Seconds of the run so far, earlier attempts included."""
    history: list[Epoch] = field(default_factory=list)
    probed: list[Probed] = field(default_factory=list)
    """Results of probes so far."""
    classes: tuple[str, ...] = ()
    """Names of the classes; stored with the weights, like the images' shape (C, H, W), so that the net can predict."""
    image_shape: tuple[int, int, int] = (0, 0, 0)

    def values(self) -> dict[str, Any]:
        """Return the content of a checkpoint: tensors and plain values.

        Data order, augmentation and dropout are functions of (seed, step), so no generator has a state to keep. Each
        rank's running sums are stored, so that they are added up in the same order whether a run stopped or not.
        """
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = self.rate.item()
        return {
            "net": {name: _own(value) for name, value in self.net.state_dict().items()},
            "optimizer": optimizer,
            "loss_sum": self.group.each(self.loss_sum),
            "error_sum": self.group.each(self.error_sum),
            **{name: getattr(self, name) for name in PLAIN_FIELDS},
            "history": [asdict(point) for point in self.history],
            "probed": [asdict(probed) for probed in self.probed],
            "mean": self.normalizer.mean,
            "std": self.normalizer.std,
            "classes": list(self.classes),
            "image_shape": list(self.image_shape),
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Restore a checkpoint's values; on any machine, the run keeps the number format in which it began."""
        self.net.load_state_dict(values["net"])
        self.optimizer.load_state_dict(values["optimizer"])
        self._bind_rate()
        self.loss_sum = self.group.own(values["loss_sum"])
        self.error_sum = self.group.own(values["error_sum"])
        for name in PLAIN_FIELDS:
            setattr(self, name, values[name])
        self.history = [Epoch(**point) for point in values["history"]]
        self.probed = [Probed(**probed) for probed in values["probed"]]

    @cached_property
    def architecture(self) -> tuple[object, ...]:
        """Key that is equal for nets that differ only in their numbers."""
        spec = self.spec
        return str(spec.net), spec.net.family, spec.shortcut, spec.recipe.width, design_of(spec), len(self.classes)

    def __post_init__(self) -> None:
        self._bind_rate()

    def _bind_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate

    def finite(self) -> bool:
        """Whether every parameter is finite. A sync point."""
        sums = torch.stack([parameter.detach().float().sum() for parameter in self.net.parameters()])
        return bool(torch.isfinite(sums).all())


def design_of(spec: RunSpec) -> Design:
    """Return the modifications of the paper's architecture that a run's recipe asks for."""
    if spec.architecture == "vgg" or spec.own:
        return PAPER
    recipe = spec.identity()["recipe"]  # fields without effect on the net are set to the paper's
    return Design(
        shortcut_scale=recipe["shortcut_scale"],
        preactivation=recipe["preactivation"],
        scaling=recipe["scaling"],
        normalised=recipe["batch_norm"] != "none",
        activation=recipe["activation"],
        initialisation=recipe["initialisation"],
    )


def build_spec_net(
    spec: RunSpec, classes: int, in_channels: int, generator: torch.Generator | None = None
) -> nn.Module:
    """Build the net of a run for images of `in_channels` channels in `classes` classes."""
    if spec.own:
        return build_own(
            spec.own,
            spec.depth,
            residual=spec.architecture == "residual",
            num_classes=classes,
            in_channels=in_channels,
            generator=generator,
        )
    return build_net(
        str(spec.net),
        classes,
        in_channels=in_channels,
        shortcut=spec.shortcut if spec.shortcut in ("A", "B", "C") else None,
        width=spec.recipe.width,
        family="cifar" if spec.net.family == "cifar" else "auto",
        design=design_of(spec),
        generator=generator,
    )


def build_first_net(spec: RunSpec, dataset: Dataset) -> nn.Module:
    """Build a run's net with its first weights, drawn on the CPU, so that they don't depend on the device."""
    generator = torch.Generator().manual_seed(derived_seed(spec.seed, "weights"))
    return build_spec_net(spec, dataset.num_classes, dataset.image_shape[0], generator)


def train_batches(
    spec: RunSpec, dataset: Dataset, normalizer: Normalizer, device: torch.device, shard: Shard = WHOLE
) -> TrainBatches:
    """Return the training batches of a run, or a shard of each."""
    recipe = spec.recipe
    size, augment = recipe.batch_size, recipe.augment
    return TrainBatches(
        dataset.train, normalizer, batch_size=size, augment=augment, seed=spec.seed, device=device, shard=shard
    )


def build_optimizer(net: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """Return a net's optimiser with the recipe's rate, which must be a number, not `tune`."""
    assert not isinstance(recipe.lr, str)  # noqa: S101 (the launcher tunes first)
    return torch.optim.SGD(
        net.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )


def build_state(spec: RunSpec, dataset: Dataset, device: torch.device, group: Group = ALONE) -> RunState:
    """Set a run up at iteration 0."""
    recipe = spec.recipe
    net = build_first_net(spec, dataset)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not group.alone and recipe.batch_norm == "shared":
        share_statistics(net, group.size)
    normalizer = Normalizer.fit(dataset.train, recipe.normalize, augment=recipe.augment).to(device)
    batches = train_batches(spec, dataset, normalizer, device, group.shard)
    dropout = spec.own is not None or any(isinstance(module, nn.Dropout) for module in net.modules())
    on_gpu = device.type == "cuda"
    rate_dtype = torch.float32 if on_gpu else torch.float64  # the type that SGD's kernels need
    return RunState(
        spec=spec,
        net=net,
        model=group.wrap(net),
        group=group,
        optimizer=build_optimizer(net, recipe, device),
        rate=torch.zeros((), dtype=rate_dtype, device=device),
        batches=batches,
        normalizer=normalizer,
        precision=resolve_precision(recipe.precision, device),
        # Beside others, sums have another order; on a GPU, replays side by side are faster.
        can_join=can_join(net) and group.alone and not recipe.deterministic and not on_gpu,
        stream=held_stream(device),
        replays=on_gpu and group.alone and batches.resident and not dropout,
        dropout=dropout,
        total=recipe.total_iterations(len(dataset.train)),
        loss_sum=torch.zeros((), device=device),
        error_sum=torch.zeros((), dtype=torch.int64, device=device),
        classes=dataset.classes,
        image_shape=dataset.image_shape,
    )


def _own(value: Tensor) -> Tensor:
    """Return a copy of a value that shares its storage with others: a file would hold all of that storage."""
    return value.clone() if value.untyped_storage().nbytes() > value.nbytes else value
