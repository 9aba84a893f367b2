"""A command that began a run of a study, as it is stored with the study, and the one that goes deeper from there."""

import hashlib
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from study.config.load import parse_grid
from study.errors import StudyError, without_passwords
from study.names import NetName


class Command(BaseModel):
    """A command that began a run of a study."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    command: str
    """The command line."""
    grid: str
    """The text of the grid file, with the changes made on the command line."""
    study: str = ""
    """Whose it is, on a page of several studies."""

    @classmethod
    def now(cls, command: str, grid: str) -> "Command":
        """Return the running command, without the passwords of addresses."""
        command, grid = (
            without_passwords(text.encode("utf-8", "backslashreplace").decode()) for text in (command, grid)
        )
        return cls(at=datetime.now(UTC), command=command, grid=grid)

    @property
    def id(self) -> str:
        """Identifier, equal for equal commands on equal grids."""
        return hashlib.sha256(f"{self.command}\0{self.grid}".encode()).hexdigest()[:12]

    @property
    def rates_from(self) -> str:
        """The study whose tuned rates it took, by `--lr-from`; empty where it took none."""
        return next((value for name, value in _options(self.command) if name == "--lr-from"), "")

    def deeper(self, nets: Collection[NetName]) -> str:
        """Return the command that trains these deeper nets of the same study; empty where this one can't be changed so.

        It can't be where its rates are those of another study, which has none for these nets, and where a net would get
        one seed, of which nothing can be said.
        """
        options = _options(self.command)
        grids, changes = ([value for name, value in options if name == wanted] for wanted in ("--grid", "--set"))
        if not nets or not grids or self.rates_from:
            return ""
        depth = f"grid.depth={_listed(sorted({net.depth for net in nets}))}"
        architecture = f"grid.architecture={_listed(dict.fromkeys(net.architecture for net in nets))}"
        for axes in ([depth], [architecture, depth], [f"grid.net={_listed(nets)}"]):
            changed = {_key(axis) for axis in axes}
            settings = [*(change for change in changes if _key(change) not in changed), *axes]
            if self._trains(nets, settings):
                return shlex.join(["study", "run", "--grid", grids[-1], *(w for s in settings for w in ("--set", s))])
        return ""

    def _trains(self, nets: Collection[NetName], settings: Sequence[str]) -> bool:
        """Tell whether the grid has these nets with such settings, two seeds each or more, and no others as deep."""
        depths = {net.depth for net in nets}
        seeds = Counter(net for net, _ in _repeats(self.grid, tuple(settings)) if net.depth in depths)
        return set(seeds) == set(nets) and min(seeds.values()) > 1


@lru_cache(maxsize=32)
def _repeats(grid: str, settings: tuple[str, ...]) -> frozenset[tuple[NetName, int]]:
    """Return each net and seed of a grid; none if it can't be read. Variants of a study ask the same of large grids."""
    try:
        return frozenset((point.net, point.seed) for point in parse_grid(grid, "grid", settings).points)
    except StudyError:
        return frozenset()


def _options(command: str) -> list[tuple[str, str]]:
    """Return the options of ``study run --grid digits --set ...``, each with its value."""
    try:
        words = shlex.split(command)
    except ValueError:  # edited by hand
        return []
    return list(zip(words[2::2], words[3::2], strict=False))


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _listed(values: Iterable[object]) -> str:
    return ",".join(map(str, values))
