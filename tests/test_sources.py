"""Inputs: from the mirror, else from their URL, whole or not at all; a real server breaks off in the middle."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import ROOT

from transfer_learning import files, own_photos, sources
from transfer_learning.errors import UserError

CONTENT = bytes(range(256)) * 4000
OTHER = CONTENT[::-1]
HALF = len(CONTENT) // 2


class Server(BaseHTTPRequestHandler):
    """Serves one file after another, each with its validators, the last one for ever.

    The first `breaks` answers stop half way; where `gate` is given, an answer stops half way until it is opened.
    """

    ranges: ClassVar[bool] = True
    heeds: ClassVar[bool] = True  # If-Range
    breaks: ClassVar[int] = 0
    gate: ClassVar[threading.Event | None] = None
    files: ClassVar[list[tuple[bytes, dict[str, str]]]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        asked, condition = self.headers.get("Range", ""), self.headers.get("If-Range")
        Server.asked.append(asked)
        content, validators = Server.files[0] if len(Server.files) == 1 else Server.files.pop(0)
        same = condition in validators.values() or not Server.heeds
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and Server.ranges and same else 0
        if self.path == "/none" or start > len(content):
            self.send_error(404 if self.path == "/none" else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        for name, value in validators.items():
            self.send_header(name, value)
        self.end_headers()
        middle = start + (len(content) - start) // 2
        self.wfile.write(content[start:middle])
        if Server.gate:
            self.wfile.flush()
            Server.gate.wait(60)
        if Server.breaks > 0:
            Server.breaks -= 1
        else:
            self.wfile.write(content[middle:])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Server.ranges, Server.heeds, Server.breaks, Server.asked = True, True, 0, []
    Server.gate, Server.files = None, [(CONTENT, {"ETag": '"1"'})]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    if Server.gate:
        Server.gate.set()
    running.shutdown()
    running.server_close()


def until(ready: Callable[[], bool]) -> None:
    """Wait for other processes, for a minute at most."""
    started = time.monotonic()
    while not ready():
        assert time.monotonic() < started + 60
        time.sleep(0.05)


def locating(url: str, said: Path) -> subprocess.Popen[bytes]:
    """A process of its own that locates a.zip; what it says goes to a file."""
    script = f"from transfer_learning import sources; print(sources.locate('a.zip', {url!r}))"
    with open(said, "w") as output:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=output, stderr=output)


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
        assert found.relative_to(workspace / "data" / "downloads").name == "a.zip"
        assert found.read_bytes() == CONTENT
    assert len(Server.asked) == 1
    assert {path.name for path in found.parent.iterdir()} - {".a.zip.lock"} == {"a.zip"}


def test_another_url_with_the_same_name_is_another_file(server: str) -> None:
    Server.files = [(CONTENT, {}), (OTHER, {})]
    one, other = (sources.locate("a.zip", f"{server}/{folder}/a.zip") for folder in ("one", "other"))
    assert (one.read_bytes(), other.read_bytes()) == (CONTENT, OTHER)
    assert sources.locate("a.zip", f"{server}/one/a.zip") == one


def test_photos_of_a_url_are_never_those_of_a_file_with_its_name(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path))
    (tmp_path / "a.zip").write_text("another one")
    assert own_photos.find(f"{server}/a.zip?version=1").read_bytes() == CONTENT
    with pytest.raises(UserError, match=rf"^{server}/none: HTTP Error 404"):
        own_photos.find(f"{server}/none")


def test_first_downloads_at_once_share_one(server: str, workspace: Path, tmp_path: Path) -> None:
    Server.gate = threading.Event()
    said = [tmp_path / name for name in ("one", "two", "three")]
    processes = [locating(f"{server}/a.zip", file) for file in said]
    try:
        until(lambda: sum("waiting" in file.read_text() for file in said) == 2)
        Server.gate.set()
        assert [process.wait(60) for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
    (found,) = {file.read_text().splitlines()[-1] for file in said}
    assert Path(found).read_bytes() == CONTENT
    assert Server.asked == [""]
    lines = [line for file in said for line in file.read_text().splitlines() if "waiting" in line]
    assert lines == ["waiting for another process that downloads a.zip"] * 2


def test_a_killed_download_goes_on_in_the_next_process(server: str, workspace: Path, tmp_path: Path) -> None:
    Server.gate = threading.Event()
    first = locating(f"{server}/a.zip", tmp_path / "first")
    try:
        until(lambda: sum(part.stat().st_size for part in workspace.rglob("a.zip.part")) > 0)
        second = locating(f"{server}/a.zip", tmp_path / "second")
        until(lambda: "waiting" in (tmp_path / "second").read_text())
    finally:
        first.kill()
    first.wait()
    Server.gate.set()
    assert second.wait(60) == 0
    assert Path((tmp_path / "second").read_text().splitlines()[-1]).read_bytes() == CONTENT
    assert Server.asked[0] == ""
    assert Server.asked[1].startswith("bytes=")


def test_a_broken_download_goes_on_where_it_stopped(server: str, tmp_path: Path) -> None:
    Server.breaks = 2
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert Server.asked == ["", f"bytes={HALF}-", f"bytes={len(CONTENT) * 3 // 4}-"]


def test_without_ranges_a_broken_download_starts_again(server: str, tmp_path: Path) -> None:
    Server.ranges, Server.breaks = False, 1
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False])
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified", "weak", "none"])
def test_a_file_that_changes_while_it_is_downloaded_is_never_mixed(
    validator: str, heeds: bool, server: str, tmp_path: Path
) -> None:
    versions = {
        "ETag": [{"ETag": '"1"'}, {"ETag": '"2"'}],
        "Last-Modified": [{"Last-Modified": f"Mon, 0{day} Jan 2024 00:00:00 GMT"} for day in (1, 8)],
        "weak": [{"ETag": 'W/"1"'}] * 2,
        "none": [{}, {}],
    }[validator]
    Server.heeds, Server.breaks = heeds, 1
    Server.files = list(zip((CONTENT, OTHER), versions, strict=True))
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == OTHER
    assert {path.name for path in tmp_path.iterdir()} - {".a.lock"} == {"a"}


@pytest.mark.parametrize("version", ["", '"1"'])
def test_leftovers_of_another_file_are_thrown_away(version: str, server: str, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(bytes(len(CONTENT) + 5))
    (tmp_path / "a.part.version").write_text(version)
    sources.download(f"{server}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("number", files.DISK_FULL)
def test_a_full_disk_or_quota_is_no_problem_of_the_network(
    number: int, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, _: Any) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sources, "open", Full, raising=False)
    with pytest.raises(OSError, match=os.strerror(number)) as error:
        sources.locate("a.zip", f"{server}/a.zip")
    assert error.value.errno == number
    assert len(Server.asked) == 1  # not tried again


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
