"""HTML pages that need no other file, no network and no script: their templates, and pictures inside them."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from transfer_learning.core import files
from transfer_learning.core.errors import UserError

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> Template:
    """A template that escapes what it is given, and refuses what it is not given."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def data_uri(content: bytes, kind: str) -> str:
    """The src of a picture; `kind` is png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def write(html: str, out: Path, option: str) -> None:
    """Write a page.

    Raises:
        UserError: it cannot be written where the option says.
    """
    refuse(out, option)
    try:
        with files.written_aside(out) as aside:
            aside.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{option} {out} cannot be written: {error.strerror}") from None


def refuse(out: Path, option: str) -> None:
    """Refuse a place where no page can be written, before any work; folders are made on the way.

    Raises:
        UserError: it is a folder, or would be in a file.
    """
    if out.is_dir():
        raise UserError(f"{option} {out} is a folder: name a file")
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not there.is_dir():
        raise UserError(f"{option} {out} cannot be written: {there} is no folder")
