"""The fields of a grid file as a table, from their own docstrings: README holds it, and a test compares."""

from typing import Any, Literal, get_args, get_origin

from study.config.recipe import Strict


def reference(model: type[Strict]) -> str:
    """Return a Markdown table of a model's fields: name, default, what it means and which words it takes."""
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        words = _words(field.annotation)
        choices = f" One of {', '.join(f'`{word}`' for word in words)}." if len(words) > 1 else ""
        default = "" if field.is_required() or field.default is None else f"`{_shown(field.default)}`"
        rows.append(f"| `{name}` | {default} | {field.description}{choices} |")
    return "\n".join(rows)


def _words(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return []


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(f'{item:g}' for item in value)}]" if isinstance(value, tuple) else f"{value}"
