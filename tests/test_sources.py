"""Inputs: from the mirror, else from their URL, whole or not at all; a real server breaks off in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from transfer_learning import sources
from transfer_learning.errors import UserError

CONTENT = bytes(range(256)) * 4000


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT; the first `breaks` answers stop half way; with or without ranges."""

    ranges: ClassVar[bool] = True
    breaks: ClassVar[int] = 0
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        Server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and Server.ranges else 0
        if self.path == "/none" or start > len(CONTENT):
            self.send_error(404 if self.path == "/none" else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT)
        if Server.breaks > 0:
            Server.breaks -= 1
            end = start + (end - start) // 2
        self.wfile.write(CONTENT[start:end])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Server.ranges, Server.breaks, Server.asked = True, 0, []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    return tmp_path / "project"


def test_mirror_comes_first_by_default_beside_the_workspace_or_as_named(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("shared/data", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.zip").write_text(folder)
    assert sources.locate("a.zip", None).read_text() == "shared/data"
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "elsewhere"))
    assert sources.locate("a.zip", "https://127.0.0.1:9/a.zip").read_text() == "elsewhere"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("x")
    assert sources.locate(str(tmp_path / "mine.zip"), None) == tmp_path / "mine.zip"


def test_download_is_kept_for_the_next_time(server: str, workspace: Path) -> None:
    for _ in range(2):
        found = sources.locate("a.zip", f"{server}/a.zip")
        assert found == workspace / "data" / "downloads" / "a.zip"
        assert found.read_bytes() == CONTENT
    assert len(Server.asked) == 1
    assert [path.name for path in found.parent.iterdir()] == ["a.zip"]


def test_a_broken_download_goes_on_where_it_stopped(server: str, tmp_path: Path) -> None:
    Server.breaks = 2
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert Server.asked == ["", f"bytes={len(CONTENT) // 2}-", f"bytes={len(CONTENT) * 3 // 4}-"]


def test_without_ranges_a_broken_download_starts_again(server: str, tmp_path: Path) -> None:
    Server.ranges, Server.breaks = False, 1
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_leftovers_of_another_file_are_thrown_away(server: str, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(bytes(len(CONTENT) + 5))
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_file_urls_work(tmp_path: Path) -> None:
    (tmp_path / "a b.zip").write_bytes(CONTENT)
    sources.download((tmp_path / "a b.zip").as_uri(), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://example.com/a", "ftp://example.com/a", "a.zip"])
def test_other_than_https_and_file_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only https and file"):
        sources.download(url, tmp_path / "a")


def test_nothing_anywhere_names_the_three_ways_out(server: str) -> None:
    with pytest.raises(UserError) as error:
        sources.locate("a.zip", f"{server}/none")
    assert all(way in str(error.value) for way in ("404", "DATA_MIRROR", "data.path", "make demo"))
    assert "\n" not in str(error.value)


def test_no_network_ends_in_the_same_line() -> None:
    with pytest.raises(UserError, match=r"could not be downloaded \(https://127\.0\.0\.1:9/a\.zip: .*make demo"):
        sources.locate("a.zip", "https://127.0.0.1:9/a.zip")
