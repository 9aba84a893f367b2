"""How a grid ended."""

from dataclasses import dataclass, field


@dataclass
class Summary:
    """How a grid ended."""

    finished: int = 0
    diverged: int = 0
    earlier: int = 0
    """Runs that were results before it began."""
    trials: int = 0
    left: int = 0
    """Runs that are still to do."""
    interrupted: bool = False
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Name and cause of what broke."""
