"""Measurements that say why depth hurts: functions of a net and of images that leave the net as it was."""

from study.probe.construction import Construction, add_noise, build_by_construction
from study.probe.curvature import EffectiveRank, Sharpness, measure_effective_ranks, measure_sharpness
from study.probe.gradients import (
    LayerGradient,
    Turn,
    measure_gradients,
    measure_turns,
)
from study.probe.lesion import Lesion, Reordering, delete_each, delete_random, kendall_tau, swap_random
from study.probe.prober import Prober
from study.probe.responses import Response, measure_responses
from study.probe.shattering import Correlation, Shattering, measure_shattering
from study.probe.subject import Layer, copy_net, find_layers, recalibrated
from study.probe.surface import SurfacePoint, SurfaceSummary, filter_directions, measure_surface, summarise_surface

__all__ = [
    "Construction",
    "Correlation",
    "EffectiveRank",
    "Layer",
    "LayerGradient",
    "Lesion",
    "Prober",
    "Reordering",
    "Response",
    "Sharpness",
    "Shattering",
    "SurfacePoint",
    "SurfaceSummary",
    "Turn",
    "add_noise",
    "build_by_construction",
    "copy_net",
    "delete_each",
    "delete_random",
    "filter_directions",
    "find_layers",
    "kendall_tau",
    "measure_effective_ranks",
    "measure_gradients",
    "measure_responses",
    "measure_sharpness",
    "measure_shattering",
    "measure_surface",
    "measure_turns",
    "recalibrated",
    "summarise_surface",
    "swap_random",
]
