"""MLflow, and nothing else imports it: write a study's events, read them back as frames.

What finds and reads the runs of a local database is loaded at once; the rest when it is first asked for, since MLflow
alone takes two seconds, and pandas half a one.
"""

from typing import TYPE_CHECKING

from study.later import later
from study.track import words
from study.track.artifacts import ArtifactPlace
from study.track.find import list_studies, lost_files
from study.track.look import Look, look
from study.track.owner import is_gone, owner, scratch_folder
from study.track.place import Unreachable, pages, sqlite_address, study_folder, tracking_uri
from study.track.stored import StoredRun

if TYPE_CHECKING:
    from study.track.data import DatasetRecord, load_datasets, save_dataset, write_files
    from study.track.probes import load_probes
    from study.track.provenance import Made, Provenance, describe, load_provenance
    from study.track.read import load_curves, load_runs, load_trials
    from study.track.searches import Found, load_found
    from study.track.store import Record, RunDeletedError, Store, StudyDeletedError
    from study.track.study import Study, load_study, study_of
    from study.track.weights import Trained, trained

__all__ = [
    "ArtifactPlace",
    "DatasetRecord",
    "Found",
    "Look",
    "Made",
    "Provenance",
    "Record",
    "RunDeletedError",
    "Store",
    "StoredRun",
    "Study",
    "StudyDeletedError",
    "Trained",
    "Unreachable",
    "describe",
    "is_gone",
    "list_studies",
    "load_curves",
    "load_datasets",
    "load_found",
    "load_probes",
    "load_provenance",
    "load_runs",
    "load_study",
    "load_trials",
    "look",
    "lost_files",
    "owner",
    "pages",
    "save_dataset",
    "scratch_folder",
    "sqlite_address",
    "study_folder",
    "study_of",
    "tracking_uri",
    "trained",
    "words",
    "write_files",
]

__getattr__ = later(
    __name__,
    {
        "data": ("DatasetRecord", "load_datasets", "save_dataset", "write_files"),
        "probes": ("load_probes",),
        "provenance": ("Made", "Provenance", "describe", "load_provenance"),
        "read": ("load_curves", "load_runs", "load_trials"),
        "searches": ("Found", "load_found"),
        "store": ("Record", "RunDeletedError", "Store", "StudyDeletedError"),
        "study": ("Study", "load_study", "study_of"),
        "weights": ("Trained", "trained"),
    },
)
