"""Where inputs come from: the mirror folder, else their URL, from which each is downloaded once."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from transfer_learning.core.errors import BrokenFile, UserError
from transfer_learning.core.files import DISK_FULL
from transfer_learning.core.waiting import locked
from transfer_learning.core.workspace import main_workspace

TIMEOUT_SECONDS = 30
ATTEMPTS = 4


def mirror_folder() -> Path:
    """The folder of inputs shared by clones side by side: DATA_MIRROR, else ../shared/data beside the workspace."""
    named = os.environ.get("DATA_MIRROR")
    return Path(named).expanduser() if named else main_workspace().parent / "shared" / "data"


def locate(name: str, url: str | None) -> Path:
    """Find an input by name, or download it.

    Raises:
        UserError: it is neither a path, nor in the mirror, nor to be had from the URL; names the ways out.
    """
    for path in (Path(name).expanduser(), mirror_folder() / name):
        if path.is_file():
            return path
    problem = "no url is set"
    if url:
        try:
            return downloaded(url, Path(name).name)
        except UserError as error:
            problem = str(error)
    raise UserError(
        f"{name} is not in the mirror folder {mirror_folder()} and could not be downloaded ({problem}). "
        "Ways out: put the file there, or in any folder that DATA_MIRROR names; or take photos of your own, "
        "-S data=folder -S data.path=...; or run `make demo`, which needs no download"
    )


@contextmanager
def kept_if_whole(path: Path) -> Iterator[None]:
    """Remove a file that was downloaded where reading it says BrokenFile, so that the next call asks the server again.

    A server may answer with a page to sign in, or that says that too many have asked.
    """
    try:
        yield
    except BrokenFile as error:
        if not path.is_relative_to(main_workspace() / "data" / "downloads"):
            raise
        with open(path, "rb") as file:
            page = file.read(1000).lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<", b"{"))
        path.unlink()
        what = "what was downloaded is a web page, perhaps to sign in" if page else "the download"
        raise UserError(f"{error}: {what}; it has been removed, so that the next call downloads anew") from None


def downloaded(url: str, name: str, *, plain_http: bool = False) -> Path:
    """What is at a URL, as a file in data/downloads of the main workspace: it has a folder there for each URL.

    Args:
        name: of the file, for people.
        plain_http: allow a URL without encryption.

    Raises:
        OSError: the disk is full.
        UserError: it cannot be had; names the URL and the reason.
    """
    key = hashlib.sha256(url.encode()).hexdigest()[:16]
    target = main_workspace() / "data" / "downloads" / key / name
    try:
        if not target.is_file():
            download(url, target, plain_http=plain_http)
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in DISK_FULL:  # no problem of the network
            raise
        raise UserError(f"{url}: {error}") from None
    return target


def download(url: str, target: Path, *, plain_http: bool = False) -> None:
    """Download with a progress bar; a broken download goes on where it stopped, or from the start if it must.

    Where another process downloads the same, wait for it and take its file.

    Raises:
        OSError: after several attempts; what came stays in `<target>.part` for the next call. At once if the disk is
            full or the server says that there is no such file.
        UserError: the URL is neither https nor file, nor http where that is allowed or on this machine itself.
    """
    parts = urlsplit(url)
    plain = parts.scheme == "http" and (plain_http or parts.hostname == "127.0.0.1")
    if parts.scheme not in ("https", "file") and not plain:
        raise UserError(f"{url}: only https and file URLs are allowed")
    lock = target.with_name(f".{target.name}.lock")
    with locked(lock, lambda: f"waiting for another process that downloads {target.name}"):
        if not target.is_file():
            _download(url, target)


def _download(url: str, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            permanent = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            if attempt == ATTEMPTS or permanent or getattr(error, "errno", None) in DISK_FULL:
                raise
            time.sleep(attempt)
    part.replace(target)
    _version_file(part).unlink(missing_ok=True)


def _fetch(url: str, part: Path) -> None:
    """Add to `part` what it lacks of the file at the URL; begin anew unless the server still has the version begun."""
    version = _version_file(part)
    begun = version.read_text() if version.exists() and part.exists() else ""
    have = part.stat().st_size if begun else 0
    headers = {"Range": f"bytes={have}-", "If-Range": begun} if have else {}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # range not satisfiable: what we have is not a beginning of this file
            raise
        part.unlink()
        return _fetch(url, part)
    with response:
        resumed = getattr(response, "status", None) == 206
        if resumed and _version(response.headers) not in (begun, ""):  # a server that takes no notice of If-Range
            part.unlink()
            return _fetch(url, part)
        if not resumed:
            have = 0
            part.unlink(missing_ok=True)  # first, or a kill here would leave it with the version of another file
            version.write_text(_version(response.headers))
        length = response.headers.get("Content-Length")
        total = int(length) + have if length else None
        bar = tqdm(desc=f"download {part.stem}", total=total, initial=have, unit="B", unit_scale=True)
        with open(part, "ab") as file, bar:
            while block := response.read(1 << 18):
                file.write(block)
                bar.update(len(block))
        if total is not None and part.stat().st_size != total:
            raise ConnectionError(f"broke off after {part.stat().st_size:,} of {total:,} bytes")


def _version_file(part: Path) -> Path:
    """Where it is kept which version of the server's file `part` is the beginning of."""
    return part.with_name(f"{part.name}.version")


def _version(headers: Message) -> str:
    """What tells one version of a file from another, in the form of If-Range; empty where the server does not say.

    A weak ETag says only that two versions mean the same: their bytes may differ.
    """
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")
