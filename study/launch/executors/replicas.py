"""How many runs a worker trains at once."""

import torch

from study.config import RunSpec
from study.launch.executors.devices import Workforce
from study.launch.plan.cells import DataFacts
from study.launch.worker.rank_group import each_device
from study.train import Speed, resolve_precision

SMALL_SIDE = 16
"""On a CPU, joined nets are faster on images up to this side in pixels, and no faster on 32 (bench/README.md)."""
GPU_SIDE = 64
"""On a GPU, nets on images up to this side in pixels leave most of it idle; measured on 32 (bench/README.md)."""
ON_GPU = 4
"""Runs at once on a GPU: 1.8 times the images a second of one on an H100; eight bring 2 to 10 % more."""


def replicas_of(spec: RunSpec, force: Workforce, facts: DataFacts, speed: Speed | None = None) -> int:
    """Return how many runs of a net a worker trains at once: what was asked for, or what is faster.

    On a GPU runs go side by side, as many as there is memory for by their measured `speed`, and each keeps the bits it
    has alone. On a CPU those of one net are joined where that
    is faster: on small images, in bfloat16. Joined runs take sums in another order than one alone, so those that must
    end the same to the last bit whether they were interrupted or not, in 32-bit floats or `deterministic`, are not
    joined, the latter whatever was asked for. Runs over several GPUs are always alone.
    """
    device = torch.device(each_device(force.devices[0])[0])
    on_gpu = device.type == "cuda"
    if spec.recipe.gpus_per_run > 1 or (spec.recipe.deterministic and not on_gpu):
        return 1
    if force.replicas is not None:
        return force.replicas
    if spec.architecture == "vgg":  # its dropout is drawn by the host
        return 1
    if on_gpu:
        wanted = ON_GPU if facts.image_shape[-1] <= GPU_SIDE else 1
        return min(wanted, speed.fits) if speed is not None else wanted
    bf16 = resolve_precision(spec.recipe.precision, device) == "bf16"
    return 2 if device.type == "cpu" and bf16 and facts.image_shape[-1] <= SMALL_SIDE else 1
