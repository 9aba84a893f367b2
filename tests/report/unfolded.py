"""What a reader sees of a page before anything is unfolded."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "source", "br", "hr", "input"}
UNSEEN = {"title", "style", "script"}


class Unfolded(HTMLParser):
    """The words and tables of a page outside closed details; a summary is seen, where what is around it is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tables: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    @property
    def _seen(self) -> bool:
        closed = [i for i, tag in enumerate(self._open) if tag == "closed"]
        return all(self._open[i + 1 : i + 2] == ["summary"] for i in closed) and not UNSEEN & {*self._open}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "table" and self._seen:
            self.tables.append(known["id"] or "")
        if tag not in VOID:
            self._open.append("closed" if tag == "details" and "open" not in known else tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._seen:
            self.words += data.split()
