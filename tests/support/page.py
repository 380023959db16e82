"""An HTML page of ours, parsed, for the tests."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"br", "col", "hr", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """A parsed report: elements as (tag, attributes), text, values of <data>; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def needs_nothing_else(self, *, scripts: int = 0) -> None:
        """Check that nothing comes from elsewhere, that every link leads into the page, and its number of scripts."""
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert len(self.all("script")) == scripts
        for tag, attributes in self.elements:
            assert tag not in ("iframe", "object", "embed")
            assert not any(name.startswith("on") for name in attributes)
            for name in {"src", "href", "srcset", "data", "action"} & attributes.keys():
                value = str(attributes[name])
                assert value[1:] in ids if tag == "a" else value.startswith("data:")
        assert "@import" not in self.text
        assert "url(" not in self.text
        assert all(picture["alt"] and picture["width"] and picture["height"] for picture in self.all("img"))
