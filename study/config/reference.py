"""The fields of a grid file as a table, from their own docstrings: README holds it, and a test compares."""

from typing import Any, Literal, get_args, get_origin

from study.config.recipe import Strict


def reference(model: type[Strict]) -> str:
    """Return a Markdown table of a model's fields: name, default, what it means and which words it takes."""
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name, field in model.model_fields.items():
        words = _words(field.annotation)
        choices = f" One of {', '.join(f'`{word}`' for word in words)}." if len(words) > 1 else ""
        value = field.get_default(call_default_factory=True)
        default = "" if field.is_required() or value is None else f"`{_shown(value)}`"
        rows.append(f"| `{name}` | {default} | {field.description}{choices} |")
    return "\n".join(rows)


def _words(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return []


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(item if isinstance(item, str) else f'{item:g}' for item in value)}]"
    return f"{value}"
