"""Deletes a run in MLflow, as somebody may in its pages, when only its end is still to be noted."""

from pathlib import Path

from study.track import tags as tag
from study.track.store import Store


def delete_first(kind: str) -> None:
    """Delete the first run of a kind that this process ends, before it notes that; leave a file `gone`."""
    close = Store.close

    def delete_and_close(store: Store, run_id: str, outcome: str) -> None:
        if not Path("gone").exists() and store.client.get_run(run_id).data.tags[tag.KIND] == kind:
            Path("gone").touch()
            store.client.delete_run(run_id)
        close(store, run_id, outcome)

    Store.close = delete_and_close  # type: ignore[method-assign]
