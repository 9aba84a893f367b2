"""Measurements that say why depth hurts: functions of a net and of images that don't change the net."""

from study.probe.prober import Prober

__all__ = ["Prober"]
