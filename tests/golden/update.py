"""What the golden files hold of a report and of a training, and the command that writes them anew.

`python -m tests.golden.update` remakes all of `tests/golden/files`.
"""

import hashlib
import json
import re
import shutil
import tempfile
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from unittest import mock

import torch
from matplotlib import ft2font

from study.report.figures.style import families
from tests.golden.studies import REPORTS, train

FILES = Path(__file__).parent / "files"
TRAINING = "training.json"
VERSIONS = "drawn-with.txt"
DRAWINGS = "drawings.txt"
COMMAND = "python -m tests.golden.update"
BLOCKS = {
    "article",
    "body",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "header",
    "li",
    "main",
    "nav",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "title",
    "tr",
    "ul",
}
UNSEEN = {"style", "script", "svg"}


class _Text(HTMLParser):
    """The text of a page, a block a line: links and images as in Markdown, cells of a row between bars."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._line = ""
        self._unseen = 0
        self._verbatim = False
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self._unseen += tag in UNSEEN
        if tag in BLOCKS:
            self._end()
        if tag == "pre":
            self._verbatim = True
        elif tag == "a":
            self._link = known.get("href") or ""
            self._line += "["
        elif tag == "img":
            self._line += f"![{known.get('alt')}]"
        elif tag in ("td", "th"):
            self._line += " | "
        elif tag == "li":
            self._line = "- "
        elif re.fullmatch("h[1-6]", tag):
            self._line = "#" * int(tag[1]) + " "

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._line += f"]({self._link})"
        if tag in BLOCKS:
            self._end()
        self._unseen -= tag in UNSEEN
        self._verbatim = self._verbatim and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        first, *more = data.splitlines() if self._verbatim else [data]
        self._line += first
        for line in more:
            self._end()
            self._line = line

    def _end(self) -> None:
        line = self._line.rstrip() if self._verbatim else " ".join(self._line.split())
        if line not in ("", "-"):
            self.lines.append(line)
        self._line = ""


def page_text(html: str) -> str:
    """Return what a reader sees of a page, without the look, and with the targets of links."""
    text = _Text()
    text.feed(html)
    return "\n".join(text.lines) + "\n"


def without_versions(text: str) -> str:
    """Replace the versions of this program and its libraries: all of a report that isn't from the study's frames."""
    return re.sub(r"^study \d\S*, Python .*$", "(versions)", text, flags=re.MULTILINE)


def report_texts(folder: Path) -> dict[str, str]:
    """Return what the golden files hold of a report, by file: the page, verdict and numbers, and a digest of the rest.

    The same tables in Markdown and LaTeX, and drawings, are one digest a line.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items() if path.suffix in (".csv", ".json")}
    page = page_text(files["index.html"].read_text(encoding="utf-8"))
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return texts | {
        "page.txt": without_versions(page),
        "markup.txt": "".join(f"{digests[name]}  {name}\n" for name in files if name.endswith((".md", ".tex"))),
        DRAWINGS: "".join(f"{digests[name]}  {name}\n" for name in files if name.endswith(".svg")),
    }


def drawn_with() -> str:
    """Return what the bytes of an SVG depend on beside the numbers: libraries that draw, and installed fonts."""
    versions = {name: metadata.version(name) for name in ("matplotlib", "seaborn", "contourpy")}
    versions |= {"freetype": ft2font.__freetype_version__, "fonts": ", ".join(families())}
    return "".join(f"{name} {version}\n" for name, version in versions.items())


def build(name: str, out: Path) -> None:
    """Build a study's report with figures as SVG alone: PNG and PDF, which take as long again, aren't compared."""
    with mock.patch("study.report.figures.style.FORMATS", ("svg",)):
        REPORTS[name](out)


def training_text(folder: Path) -> str:
    """Return what is held of the trainings, computed on one thread: sums are then taken in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return json.dumps(train(folder), indent=1) + "\n"
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    """Build everything, then replace the golden files: a failure leaves them as they were."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts = {TRAINING: training_text(folder), VERSIONS: drawn_with()}
        for name in REPORTS:
            build(name, folder / name)
            texts |= {f"{name}/{file}": text for file, text in report_texts(folder / name).items()}
    shutil.rmtree(FILES, ignore_errors=True)
    for file, text in texts.items():
        path = FILES / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
