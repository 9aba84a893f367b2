"""MLflow, and nothing else imports it: write a study's events, read them back as frames."""

from study.track import words
from study.track.connect import Unreachable, study_folder, tracking_uri
from study.track.data import DatasetRecord, load_datasets, save_dataset, write_files
from study.track.owner import is_gone, owner
from study.track.provenance import Provenance, describe, load_provenance
from study.track.read import list_studies, load_curves, load_runs, load_trials
from study.track.searches import Found, load_found
from study.track.store import Record, Store
from study.track.study import Look, Study, load_study, look
from study.track.trained import Trained, trained

__all__ = [
    "DatasetRecord",
    "Found",
    "Look",
    "Provenance",
    "Record",
    "Store",
    "Study",
    "Trained",
    "Unreachable",
    "describe",
    "is_gone",
    "list_studies",
    "load_curves",
    "load_datasets",
    "load_found",
    "load_provenance",
    "load_runs",
    "load_study",
    "load_trials",
    "look",
    "owner",
    "save_dataset",
    "study_folder",
    "tracking_uri",
    "trained",
    "words",
    "write_files",
]
