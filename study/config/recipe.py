"""How a net is trained: the recipe, with the unit and the paper's value of every field."""

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MODIFICATIONS = ("batch_norm", "shortcut_scale", "preactivation", "scaling", "initialisation", "activation")
"""Fields of a recipe that change a net as later work proposed; at their defaults it's the paper's."""
UNNORMALISED = ("skipinit", "fixup")
"""Ways of scaling branches that stand in the place of batch norm."""
PLACE = re.compile(r"(?:.*\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*")
"""Of a function: `nets.py:build`, with or without folders, or `package.module:build`."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Iteration = Annotated[int, Field(ge=1)]


def _place(value: str) -> str:
    if not PLACE.fullmatch(value):
        raise ValueError("should be a function that builds nets of your own, such as 'nets.py:build'")
    return value


class Strict(BaseModel):
    """A frozen model that takes no unknown key and converts no type."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Recipe(Strict):
    """How a net is trained. Section numbers are He et al. 2015, arXiv 1512.03385."""

    epochs: Positive | None = None
    """Length of training in passes over the training images; give this or `iterations`."""
    iterations: Iteration | None = None
    """Length of training in steps of the optimiser (64,000 in section 4.2)."""
    budget: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """Multiplies the length of training, its schedule scaled; a tuned rate is that of the training once as long."""
    batch_size: Annotated[int, Field(ge=2, le=65536)] = 128
    """Images a step (128 in section 4.2, 256 in 3.4)."""
    gpus_per_run: Annotated[int, Field(ge=1, le=1024)] = 1
    """GPUs that share each batch of a run evenly (two in section 4.2); on a CPU, as many processes."""
    batch_norm: Literal["per_gpu", "shared", "none"] = "per_gpu"
    """Statistics of batch normalisation: of each GPU's images, as in the paper, of the whole batch; or none of it."""
    optimizer: Literal["sgd"] = "sgd"
    """Stochastic gradient descent with momentum."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of the optimiser (section 3.4)."""
    nesterov: bool = False
    """Nesterov's momentum in place of the classical one."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """L2 penalty on all parameters (section 3.4)."""
    lr: Positive | Literal["tune"] = 0.1
    """Learning rate before any drop, or `tune`: found for each cell by the search under `tune:` (0.1 in 3.4)."""
    schedule: Literal["step", "cosine", "constant"] = "step"
    """How the rate falls: by `gamma` at `milestones`, along a half cosine to 0, or not at all."""
    milestones: Annotated[tuple[Fraction | Iteration, ...], Field(strict=False)] = (0.5, 0.75)
    """When a step schedule drops: fractions of the training (below 1) or iterations (32,000 and 48,000 in 4.2)."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor of each drop of a step schedule."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Iterations at the start with a smaller rate (about 400 for 110 layers in section 4.2)."""
    warmup_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The rate during warm-up as a part of `lr` (0.01 of 0.1 in section 4.2)."""
    warmup_shape: Literal["constant", "linear"] = "constant"
    """Warm-up at one rate (section 4.2) or rising to `lr`."""
    augment: Literal["none", "crop-flip", "imagenet"] = "none"
    """Random changes to training images: 4-pixel pad, crop and flip (4.2), or scale, crop, flip and colour (3.4)."""
    normalize: Literal["pixel-mean", "channel", "none"] = "channel"
    """Subtract each pixel's mean (the paper), or each channel's and divide by its deviation; of training images."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of products; auto is bfloat16 where a GPU or processor has instructions for it, else fp32."""
    deterministic: bool = False
    """Equal bits for equal seeds on a GPU too, and in bfloat16; slower there, and runs are never trained as one."""
    shortcut: Literal["auto", "A", "B", "C"] = "auto"
    """Shortcut option of residual nets (section 3.3); auto is A for CIFAR nets and B for ImageNet nets."""
    shortcut_scale: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Factor of what a shortcut carries; 0 is the plain net (He et al. 2016, arXiv 1603.05027, section 3.1)."""
    preactivation: bool = False
    """Residual blocks with batch norm and ReLU before each convolution, none after (arXiv 1603.05027, Figure 4e)."""
    scaling: Literal["none", "rezero", "skipinit", "fixup"] = "none"
    """How residual branches are scaled (arXiv 2003.04887, 2002.10444, 1901.09321); the last two without batch norm."""
    initialisation: Literal["he", "xavier", "orthogonal", "delta-orthogonal", "dirac"] = "he"
    """First weights (He's: arXiv 1502.01852; delta-orthogonal: 1806.05393; dirac, identity and noise: 1706.00388)."""
    activation: Literal["relu", "tanh", "tat", "dks"] = "relu"
    """Of plain nets also leaky ReLU by TAT (arXiv 2203.08120) or softplus by DKS (2110.01765), shaped for the depth."""
    width: Annotated[float, Field(gt=0, le=64)] = 1.0
    """Multiplies the channels of every layer."""
    family: Literal["auto", "cifar", "imagenet"] | Annotated[str, AfterValidator(_place)] = "auto"
    """`cifar` or `imagenet`, where both have a depth (50, 152; auto: ImageNet's), or nets of your own: `nets.py:build`
    (beside the grid, else in the working folder) or `package.module:build` ([own-nets.md](own-nets.md))."""
    evaluate_every: Iteration | None = None
    """Iterations between two points of the test curve; by default an epoch."""
    test_views: Literal["center", "ten-crop", "multi-scale"] = "center"
    """Views averaged for one more test error at the end (3.4): ten crops or five scales, with `augment: imagenet`."""

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("give one of 'epochs' and 'iterations'")
        if self.batch_size % self.gpus_per_run:
            shared = f"'batch_size: {self.batch_size}' can't be shared evenly"
            raise ValueError(f"{shared} by 'gpus_per_run: {self.gpus_per_run}'")
        if self.batch_size < 2 * self.gpus_per_run:
            raise ValueError(f"'gpus_per_run: {self.gpus_per_run}' needs a 'batch_size' of 2 images for each at least")
        if self.scaling == "fixup" and self.preactivation:
            raise ValueError("'scaling: fixup' has an order of layers of its own: leave 'preactivation' out")
        if self.nesterov and self.momentum == 0:
            raise ValueError("'nesterov' needs 'momentum' above 0")
        if self.test_views != "center" and self.augment != "imagenet":
            shown = f"with '{self.augment}', nets are only shown whole images"
            raise ValueError(f"'test_views: {self.test_views}' needs 'augment: imagenet': {shown}")
        return self

    def iterations_per_epoch(self, train_images: int) -> int:
        """Return full batches in a pass over `train_images` images; the rest of a pass is dropped."""
        return max(1, train_images // self.batch_size)

    def total_iterations(self, train_images: int) -> int:
        """Return the length of training in iterations."""
        length: float = self.iterations or 0
        if self.epochs is not None:
            length = self.epochs * self.iterations_per_epoch(train_images)
        return max(1, round(self.budget * length))

    def lr_at(self, step: int, total: int) -> float:
        """Return the rate used by iteration `step` (0 is the first) of a training of `total` iterations.

        The paper's CIFAR recipe (section 4.2): 0.1, a tenth of it from iteration 32,000 and a hundredth from 48,000;
        for 110 layers 0.01 during the first 400. Warm-up and drops are independent factors.

        Raises:
            ValueError: the rate is still to be tuned.
        """
        if isinstance(self.lr, str):
            raise ValueError("the rate is still to be tuned")
        factor = 1.0
        warmup = round(self.warmup * self.budget)
        if step < warmup:
            factor = self.warmup_factor
            if self.warmup_shape == "linear":
                factor += (1 - self.warmup_factor) * step / warmup
        if self.schedule == "step":
            drops = [round(m * (total if isinstance(m, float) else self.budget)) for m in self.milestones]
            factor *= self.gamma ** sum(step >= drop for drop in drops)
        elif self.schedule == "cosine":
            factor *= 0.5 * (1 + math.cos(math.pi * step / total))
        return self.lr * factor
