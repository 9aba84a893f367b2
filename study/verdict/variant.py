"""What a variant of a grid sets otherwise than the others: fields and their values, ``shortcut=A, width=2`` as text."""

import re
from collections.abc import Iterator, Mapping

SEPARATOR = re.compile(r", (?=[A-Za-z_]\w*=)")
"""A comma inside a value, as in ``milestones=[0.5, 0.75]``, has no name of a field behind it."""


class Variant(Mapping[str, str]):
    """The fields of a variant in their order, with their values as text; empty for a grid without further axes."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    @classmethod
    def parse(cls, text: str) -> "Variant":
        """Return the variant that a frame has as ``shortcut=A, width=2``."""
        parts = (part.partition("=") for part in SEPARATOR.split(text) if text)
        return cls({field: value for field, _, value in parts})

    def without(self, *fields: str) -> "Variant":
        """Return the variant without some of its fields."""
        return Variant({field: value for field, value in self.items() if field not in fields})

    def __getitem__(self, field: str) -> str:
        return self._fields[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __str__(self) -> str:
        return ", ".join(f"{field}={value}" for field, value in self.items())


def labelled(study: str, variant: str = "") -> str:
    """Return the variant that tells a study's nets from others': ``study=digits, width=2``."""
    return f"study={study}, {variant}" if variant else f"study={study}"


def is_of_study(variant: str, study: str) -> bool:
    """Tell whether a variant is that of a study, or one of them; where no study is named, every one is."""
    return not study or variant == labelled(study) or variant.startswith(f"{labelled(study)}, ")
