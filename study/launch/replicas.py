"""How many runs of one net a worker trains as one."""

import torch

from study.config import RunSpec
from study.launch.devices import Workforce
from study.launch.plan import DataFacts
from study.launch.ranks import each_device
from study.train import resolve_precision

SMALL_SIDE = 16
"""On a CPU, joined nets are faster on images up to this side in pixels, and no faster on 32 (bench/README.md)."""


def replicas_of(spec: RunSpec, force: Workforce, facts: DataFacts) -> int:
    """Return what was asked for, or else 2 where that is faster: on small images, in bfloat16, on a CPU.

    In 32-bit floats a run that was interrupted must end as it would have without, to the last bit; beside others it
    doesn't, since sums are then taken in another order; nor does one that is to be `deterministic`, whatever was asked
    for. Runs over several GPUs are never joined. GPUs were not measured.
    """
    if spec.recipe.deterministic or spec.recipe.gpus_per_run > 1:
        return 1
    if force.replicas is not None:
        return force.replicas
    device = torch.device(each_device(force.devices[0])[0])
    bf16 = resolve_precision(spec.recipe.precision, device) == "bf16"
    small = facts.image_shape[-1] <= SMALL_SIDE
    return 2 if device.type == "cpu" and bf16 and small and spec.architecture != "vgg" else 1
