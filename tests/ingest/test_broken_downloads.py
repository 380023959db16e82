"""A share link that answers with a page, or with half of the file: what is no archive is not kept as one for ever."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import own_folder, published_weights
from transfer_learning.settings.backbones import BACKBONES

WEIGHTS = BACKBONES["mobilenet_v2"].published_file(1.0, 224)


def archive() -> bytes:
    """A zip of one photo in each of two classes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a/1.jpg", bytes(100))
        packed.writestr("b/1.jpg", bytes(100))
    return file.getvalue()


ARCHIVE = archive()
OPTIONS: Any = SimpleNamespace(kind="folder", max_unpacked_mb=1, max_files=9, encoding=None, leave_out=[])


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder that it serves."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "remote"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


PAGES = {
    "page": (b"\xef\xbb\xbf\n<!doctype html><title>Sign in</title>", "is a web page, perhaps to sign in"),
    "json": (b'{"error": "too many requests"}', "is a web page"),
    "packed page": (gzip.compress(b"<html>quota</html>"), "the download; it has been removed"),
    "nothing": (b"", "the download; it has been removed"),
    "half": (ARCHIVE[:150], "the download; it has been removed"),
}


@pytest.mark.parametrize("kind", PAGES)
def test_what_is_no_archive_is_asked_for_again(kind: str, remote: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = remote
    url = f"{address}/photos?download=1"
    answer, said = PAGES[kind]
    (folder / "photos").write_bytes(answer)
    with pytest.raises(UserError, match=said):
        own_folder.listed(own_folder.find(url), tmp_path / "out", OPTIONS)
    (folder / "photos").write_bytes(ARCHIVE)
    assert own_folder.listed(own_folder.find(url), tmp_path / "out", OPTIONS).paths == ["a/1.jpg", "b/1.jpg"]


def test_an_archive_that_is_refused_for_other_reasons_is_kept(remote: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = remote
    (folder / "a.zip").write_bytes(ARCHIVE)
    one: Any = SimpleNamespace(**vars(OPTIONS) | {"max_files": 1})
    with pytest.raises(UserError, match=r"more than 1 files, the bound of data\.max_files"):
        own_folder.listed(own_folder.find(f"{address}/a.zip"), tmp_path / "out", one)
    locked = bytearray(ARCHIVE)
    for start in (locked.index(b"PK\1\2") + 8, 6):  # in its entry and at the member itself: it has a password
        locked[start] |= 1
    (folder / "locked.zip").write_bytes(locked)
    for _ in range(2):
        with pytest.raises(UserError, match=r"password required for extraction\): pack it anew, without a password"):
            own_folder.listed(own_folder.find(f"{address}/locked.zip"), tmp_path / "locked", OPTIONS)
        (folder / "locked.zip").unlink(missing_ok=True)
    (folder / "a.zip").unlink()
    assert own_folder.listed(own_folder.find(f"{address}/a.zip"), tmp_path / "out", OPTIONS).paths


def test_a_page_in_place_of_weights_is_not_kept_and_a_file_of_ones_own_is(
    remote: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = remote
    (folder / WEIGHTS).write_bytes(b"<html>")
    facts = {"name": "mobilenet_v2", "alpha": 1.0, "weights": "imagenet", "pretrained_resolution": 224}
    settings: Any = SimpleNamespace(model=SimpleNamespace(**facts, url=f"{address}/"))
    with pytest.raises(UserError, match="is a web page, perhaps to sign in"):
        published_weights.fetch_backbone(settings)
    assert not list((tmp_path / "project").rglob(WEIGHTS))
    with h5py.File(folder / WEIGHTS, "w") as file:
        file.attrs["layer_names"] = []
    with pytest.raises(UserError, match=r"holds weights of another network: 0 numbers.*; it has been removed"):
        published_weights.fetch_backbone(settings)
    assert not list((tmp_path / "project").rglob(WEIGHTS))
    (folder / WEIGHTS).write_bytes(b"<html>")
    monkeypatch.setenv("DATA_MIRROR", str(folder))
    with pytest.raises(UserError, match="is not a Keras weights file"):
        published_weights.fetch_backbone(settings)
    assert (folder / WEIGHTS).exists()
