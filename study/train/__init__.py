"""The training engine: `run` turns a specification into events; `predict_probabilities` asks a net."""

from study.train.checkpoint import CheckpointPlan, load_checkpoint
from study.train.predict import predict_probabilities
from study.train.run import run
from study.train.schedule import lr_at
from study.train.speed import Speed, measure_speed
from study.train.state import build_spec_net

__all__ = [
    "CheckpointPlan",
    "Speed",
    "build_spec_net",
    "load_checkpoint",
    "lr_at",
    "measure_speed",
    "predict_probabilities",
    "run",
]
