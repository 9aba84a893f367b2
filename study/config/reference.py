"""The fields of a grid file, from their own docstrings: `python -m study.config.reference > docs/reference.md`."""

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from study.config.grid import Grid
from study.config.load import SECTIONS
from study.config.recipe import Strict

TOP_LEVEL = ("name", "smallest_effect", "rare_failure", "budgets")
INTRODUCTION = """\
# Reference: the fields of a grid file

Every field of `recipe:` may be an axis under `grid:`, and an entry of `include:` may set it. Section numbers without a
paper are those of He et al. 2015 (arXiv 1512.03385).
"""


def document() -> str:
    """Return the reference of all sections of a grid file in Markdown."""
    parts = [f"## Top level\n{reference(Grid, TOP_LEVEL)}"]
    parts += [f"## `{name}:`\n{reference(model)}" for name, model in SECTIONS.items()]
    return "\n".join([INTRODUCTION, "\n\n".join(parts), ""])


def reference(model: type[Strict], fields: Sequence[str] = ()) -> str:
    """Return a Markdown table of a model's fields, or some of them: name, default, meaning, words."""
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name in fields or model.model_fields:
        field = model.model_fields[name]
        words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        choices = f" One of {', '.join(f'`{word}`' for word in words)}." if len(words) > 1 else ""
        value = field.get_default(call_default_factory=True)
        default = "" if field.is_required() or value is None else f"`{_shown(value)}`"
        rows.append(f"| `{name}` | {default} | {field.description}{choices} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(item if isinstance(item, str) else f'{item:g}' for item in value)}]"
    return f"{value}"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
