"""A study's runs by their keys: of a database that is read directly, only what has come since is asked."""

from study.track import database, words
from study.track.find import read_or_ask, stored
from study.track.stored import StoredRun


class RunKeys:
    """Finds the runs of an experiment that have a key, those that another launcher has begun meanwhile too.

    MLflow's tables have no index by a tag's value, so that a look for one key goes through the keys of all runs. A run
    has its key from the moment it is made: which runs have come is known by counting them, and what has become of those
    of one key is then read by their ids.
    """

    def __init__(self, experiment_id: str, uri: str) -> None:
        """Find runs of an experiment at `uri`."""
        self._experiment_id = experiment_id
        self._uri = uri
        self._known: set[str] = set()
        self._runs: dict[str, list[str]] = {}

    def add(self, run_id: str, key: str) -> None:
        """Take in a run that was just made here."""
        if run_id not in self._known:
            self._known.add(run_id)
            self._runs.setdefault(key, []).append(run_id)

    def find(self, key: str, kind: str) -> list[StoredRun]:
        """Return the runs of a kind with this key as they are now, the newest first; tags are all that is read.

        Raises:
            Unreachable: MLflow doesn't answer.
        """

        def ask() -> list[StoredRun]:
            from study.track.connect import all_runs, connect

            wanted = f"tags.`{words.KIND}` = '{kind}' and tags.`{words.KEY}` = '{key}'"
            return [stored(run) for run in all_runs(connect(self._uri), self._experiment_id, wanted)]

        return read_or_ask(self._uri, lambda: self._directly(key, kind), ask, [])

    def _directly(self, key: str, kind: str) -> list[StoredRun]:
        for run_id, its_key in database.new_keys(self._uri, self._experiment_id, self._known).items():
            self.add(run_id, its_key)
        ids = self._runs.get(key, [])
        if not ids:
            return []
        found = database.runs(self._uri, self._experiment_id, ids=ids, tags_alone=True)
        return [run for run in found if run.tags.get(words.KIND) == kind]  # by SQL, the kinds of all runs would be read
