"""Words that a shell completes: grids, studies, settings."""

from pathlib import Path


def grids(begun: str) -> list[str]:
    """Return the grid files of the working folder, and the names of shipped grids, that begin so."""
    from study.config import shipped_grids

    files = [str(path) for path in sorted(Path().glob("*.y*ml"))]
    return [name for name in (*files, *shipped_grids()) if name.startswith(begun)]


def studies(begun: str) -> list[str]:
    """Return the names of the studies that begin so; none where MLflow can't be read."""
    from study.errors import StudyError
    from study.track.find import list_studies

    try:
        return [name for name in list_studies() if name.startswith(begun)]
    except StudyError:
        return []


def settings(begun: str) -> list[str]:
    """Return the keys of a grid, with an equals sign, that begin so."""
    from study.config.expand import POINT_KEYS
    from study.config.load import SECTIONS

    keys = [f"{section}.{field}" for section, model in SECTIONS.items() for field in model.model_fields]
    keys += [f"grid.{axis}" for axis in POINT_KEYS]
    return [f"{key}=" for key in keys if key.startswith(begun)]
