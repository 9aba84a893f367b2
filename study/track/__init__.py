"""MLflow, and nothing else imports it: write a study's events, read them back as frames."""

from study.track import words
from study.track.connect import study_folder, tracking_uri
from study.track.provenance import Provenance, describe, load_provenance
from study.track.read import list_studies, load_curves, load_runs, load_trials
from study.track.store import Record, Store

__all__ = [
    "Provenance",
    "Record",
    "Store",
    "describe",
    "list_studies",
    "load_curves",
    "load_provenance",
    "load_runs",
    "load_trials",
    "study_folder",
    "tracking_uri",
    "words",
]
