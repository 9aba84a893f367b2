"""The training engine: `run` turns a specification into events; `lr_at` is the rate at a step."""

from study.train.checkpoint import CheckpointPlan, load_checkpoint
from study.train.run import run
from study.train.schedule import lr_at

__all__ = ["CheckpointPlan", "load_checkpoint", "lr_at", "run"]
