"""A figure as a data: address: what a page can hold without a file beside it."""

import base64
import re
from pathlib import Path

LARGEST = 256 * 1024
"""Bytes of an SVG from which on a figure is embedded as PNG, where that is smaller: thousands of marks are."""

_NOTHING_SHOWN = re.compile(rb"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>\s*", re.DOTALL)
_INDENTATION = re.compile(rb">\s*\n\s*<")
_PATH_BREAKS = re.compile(rb' d="[^"]*"')


def data_uri(folder: Path, name: str, largest: int = LARGEST) -> str:
    """Return the figure that was saved in `folder` as `name` (SVG and PNG) as the `src` of an image."""
    drawing = slim((folder / f"{name}.svg").read_bytes())
    if len(drawing) > largest:
        pixels = (folder / f"{name}.png").read_bytes()
        if len(pixels) < len(drawing):
            return f"data:image/png;base64,{base64.b64encode(pixels).decode()}"
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}"


def slim(svg: bytes) -> bytes:
    """Return an SVG as it was, without what nobody sees: comments, metadata, indentation, breaks within paths."""
    shown = _INDENTATION.sub(b"><", _NOTHING_SHOWN.sub(b"", svg))
    return _PATH_BREAKS.sub(lambda path: re.sub(rb"\s*\n", b" ", path[0]).replace(b' "', b'"'), shown).strip()
