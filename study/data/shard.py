"""Which part of each batch is read and computed by which of the processes that do a run together."""

from typing import NamedTuple


class Shard(NamedTuple):
    """One process's part of every batch: all of it where there is one process, as by default."""

    rank: int = 0
    """Number of the process, from 0."""
    size: int = 1
    """How many processes there are."""

    def of(self, batch: slice) -> slice:
        """Return the part of a batch, given where it stands, that is this process's.

        The parts lie one after another in the order of the ranks, overlap nowhere and leave nothing out; their lengths
        differ by one at most, so that some are empty where there are fewer images than processes.
        """
        count = batch.stop - batch.start
        first, last = (batch.start + count * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, last)


WHOLE = Shard()
