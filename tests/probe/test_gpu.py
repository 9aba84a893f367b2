"""What a GPU changes: where tensors lie. All probes give there what they give on the processor, to rounding."""

import copy
from dataclasses import astuple

import pytest
import torch

from study.probe.construction import add_noise, build_by_construction
from study.probe.curvature import measure_effective_ranks, measure_sharpness
from study.probe.layers import measure_gradients, measure_responses, measure_turns
from study.probe.lesion import Lesions
from study.probe.shattering import measure_shattering
from study.probe.subject import recalibrated
from study.probe.surface import filter_directions, measure_surface
from study.train import arithmetic


def rows_of(net, batches, device):
    """Return the numbers of every probe of nets and images, as one list."""
    net = copy.deepcopy(net).to(device)
    batches = [(images.to(device), labels.to(device)) for images, labels in batches]
    images, labels = batches[0]
    seeded = [torch.Generator().manual_seed(seed) for seed in range(5)]
    deep = build_by_construction(net, 14, batches)
    noisy = add_noise(deep.net, 0.01, seeded[0], blocks=deep.inserted)
    lesions = Lesions(noisy, batches)
    rows = [
        *measure_responses(noisy, batches),
        *measure_gradients(net, images, labels, lr=0.1),
        *measure_shattering(recalibrated(net, batches), images[:2], images[2:4], points=16).correlations,
        *lesions.delete_each(),
        *lesions.delete_random([2], draws=2, generator=seeded[1]),
        *lesions.swap_random([2], draws=2, generator=seeded[2]),
        *measure_surface(net, batches, filter_directions(net, seeded[3]), points=5, span=0.1, at_once=4),
        *measure_effective_ranks(net, batches),
        measure_sharpness(net, batches, seeded[4], tolerance=0.1),
    ]
    numbers = [value for row in rows for value in astuple(row) if isinstance(value, float)]
    return numbers + measure_turns(deep.net, noisy)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_probes_on_a_gpu(trained, batches):
    net = trained("plain-8")
    there = torch.device("cuda")
    with arithmetic(there, deterministic=False):  # no TF32
        on_gpu = rows_of(net, batches, there)
    assert on_gpu == pytest.approx(rows_of(net, batches, torch.device("cpu")), rel=0.05, abs=0.6)  # an image is 0.3%


def test_every_probe_takes_part(trained, batches):
    assert len(rows_of(trained("plain-8"), batches[:1], torch.device("cpu"))) > 200
