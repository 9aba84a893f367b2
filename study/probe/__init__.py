"""Measurements that say why depth hurts: functions of a net and of images that leave the net as it was."""

from study.probe.prober import Prober

__all__ = ["Prober"]
