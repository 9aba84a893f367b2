"""The training engine: `run` turns a specification into events; `predict_probabilities` evaluates a net."""

from study.train.arithmetic import arithmetic, autocast, resolve_precision, settle_cublas
from study.train.checkpoint import CheckpointPlan, DamagedCheckpoint, load_checkpoint, previous
from study.train.evaluate import Score, predict_probabilities, raise_if_stopped
from study.train.memory import free_unused, out_of_memory
from study.train.parallel import Group, joined
from study.train.run import Prober, no_probes, run, run_steps
from study.train.score import Scorer
from study.train.speed import Speed, measure_speed
from study.train.state import build_first_net, build_optimizer, build_spec_net, design_of, train_batches
from study.train.step import Step
from study.train.stepper import Stepper

__all__ = [
    "CheckpointPlan",
    "DamagedCheckpoint",
    "Group",
    "Prober",
    "Score",
    "Scorer",
    "Speed",
    "Step",
    "Stepper",
    "arithmetic",
    "autocast",
    "build_first_net",
    "build_optimizer",
    "build_spec_net",
    "design_of",
    "free_unused",
    "joined",
    "load_checkpoint",
    "measure_speed",
    "no_probes",
    "out_of_memory",
    "predict_probabilities",
    "previous",
    "raise_if_stopped",
    "resolve_precision",
    "run",
    "run_steps",
    "settle_cublas",
    "train_batches",
]
