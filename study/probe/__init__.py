"""Measurements that say why depth hurts: functions of a net and of images that leave the net as it was."""

from study.probe.layers import Layer, find_layers
from study.probe.replica import recalibrated, replica
from study.probe.responses import Response, measure_responses

__all__ = ["Layer", "Response", "find_layers", "measure_responses", "recalibrated", "replica"]
