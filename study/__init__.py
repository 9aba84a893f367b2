"""Study of depth degradation: whether deeper plain nets train worse, and whether shortcuts fix it."""

__version__ = "0.1.0"
