"""A study's runs by their keys: of a database that is read directly, only what has come since is asked."""

from collections import defaultdict

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
        self._keys: dict[str, str] = {}
        self._runs: dict[str, list[str]] = {}

    def add(self, run_id: str, key: str) -> None:
        """Take in a run that was just made here."""
        if run_id not in self._keys:
            self._keys[run_id] = key
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
        keys = database.run_keys(self._uri, self._experiment_id, self._keys)
        if keys is not self._keys:
            self._keys = keys
            runs: dict[str, list[str]] = defaultdict(list)
            for run, its_key in keys.items():
                runs[its_key].append(run)
            self._runs = dict(runs)
        ids = self._runs.get(key, [])
        return database.runs(self._uri, self._experiment_id, kind, ids=ids, tags_alone=True) if ids else []
