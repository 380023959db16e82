"""Inputs by a path or a URL that needs no server, and URLs that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import downloads

CONTENT = bytes(range(256))


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("x")
    assert downloads.locate(str(tmp_path / "mine.zip"), None) == tmp_path / "mine.zip"


def test_file_urls_work(tmp_path: Path) -> None:
    (tmp_path / "a b.zip").write_bytes(CONTENT)
    downloads.download((tmp_path / "a b.zip").as_uri(), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://example.com/a", "ftp://example.com/a", "a.zip"])
def test_other_than_https_and_file_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only https and file"):
        downloads.download(url, tmp_path / "a")
