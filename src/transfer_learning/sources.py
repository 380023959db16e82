"""Where inputs come from: the mirror folder, else their URL."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from transfer_learning.errors import UserError
from transfer_learning.workspace import main_workspace

TIMEOUT_SECONDS = 30
ATTEMPTS = 4


def mirror_folder() -> Path:
    """The folder of inputs shared by clones side by side: DATA_MIRROR, else ../shared/data beside the workspace."""
    named = os.environ.get("DATA_MIRROR")
    return Path(named).expanduser() if named else main_workspace().parent / "shared" / "data"


def locate(name: str, url: str | None, *, plain_http: bool = False) -> Path:
    """Find an input by name, or download it into data/downloads of the main workspace.

    Args:
        plain_http: allow a URL without encryption.

    Raises:
        UserError: it is neither a path, nor in the mirror, nor to be had from the URL; names the ways out.
    """
    for path in (Path(name).expanduser(), mirror_folder() / name):
        if path.is_file():
            return path
    target = main_workspace() / "data" / "downloads" / Path(name).name
    if target.is_file():
        return target
    problem = "no url is set"
    if url:
        try:
            download(url, target, plain_http=plain_http)
            return target
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) == 28:  # disk full is not a network problem
                raise
            problem = f"{url}: {error}"
    raise UserError(
        f"{name} is not in the mirror folder {mirror_folder()} and could not be downloaded ({problem}). "
        "Ways out: put the file there, or in any folder that DATA_MIRROR names; or take photos of your own, "
        "-S data=folder -S data.path=...; or run `make demo`, which needs no download"
    )


def download(url: str, target: Path, *, plain_http: bool = False) -> None:
    """Download with a progress bar; a broken download goes on where it stopped, or from the start if it must.

    Raises:
        OSError: after several attempts; what came stays in `<target>.part` for the next call.
        UserError: the URL is neither https nor file, nor http where that is allowed or on this machine itself.
    """
    parts = urlsplit(url)
    plain = parts.scheme == "http" and (plain_http or parts.hostname == "127.0.0.1")
    if parts.scheme not in ("https", "file") and not plain:
        raise UserError(f"{url}: only https and file URLs are allowed")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            permanent = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            if attempt == ATTEMPTS or permanent or getattr(error, "errno", None) == 28:
                raise
            time.sleep(attempt)
    part.replace(target)


def _fetch(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # range not satisfiable: what we have is not a beginning of this file
            raise
        part.unlink()
        return _fetch(url, part)
    with response:
        resumed = have and getattr(response, "status", None) == 206
        length = response.headers.get("Content-Length")
        total = int(length) + (have if resumed else 0) if length else None
        bar = tqdm(desc=f"download {part.stem}", total=total, initial=have if resumed else 0, unit="B", unit_scale=True)
        with open(part, "ab" if resumed else "wb") as file, bar:
            while block := response.read(1 << 18):
                file.write(block)
                bar.update(len(block))
        if total is not None and part.stat().st_size != total:
            raise ConnectionError(f"broke off after {part.stat().st_size:,} of {total:,} bytes")
