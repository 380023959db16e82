"""Photos of one's own, as `data.path` names them: a folder that is read in place, an archive, or the URL of one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from transfer_learning.core.errors import UserError
from transfer_learning.ingest.archives import MOST_MEMBERS, extract_photos
from transfer_learning.ingest.downloads import downloaded, kept_if_whole
from transfer_learning.ingest.listing import Contents, Listing
from transfer_learning.photos import names
from transfer_learning.photos.inventory import IN_PLACE
from transfer_learning.settings.data import ArchiveData, FolderData


def is_url(path: str) -> bool:
    """Whether it is an address and no path on this machine."""
    return path.lower().startswith(("http://", "https://"))


def find(path: str) -> Path:
    """A folder or an archive on this machine; a URL is downloaded once.

    Raises:
        UserError: it is neither, or cannot be had.
    """
    if is_url(path):
        if path.lower().startswith("http:"):
            print(f"{path} comes without encryption: what arrives is checked only against data.digest, if that is set")
        name = Path(urlsplit(path).path).name or "photos"
        return downloaded(path, name, plain_http=True)
    found = Path(path).expanduser()
    if not found.exists():
        raise UserError(f"data.path = {path!r}: there is no such folder or file")
    if not (found.is_dir() or found.is_file()):
        raise UserError(f"data.path = {path!r} is a pipe or device; allowed are a folder, an archive or a URL")
    return found.resolve()


def listed(source: Path, aside: Path, data: FolderData) -> Listing:
    """The photos of a folder or archive as `find` gives it; those of an archive are unpacked into `aside`."""
    if source.is_dir():
        return list_folder(source, max_files=data.max_files, leave_out=data.leave_out)
    return unpacked(source, aside, data)


def unpacked(archive: Path, folder: Path, data: ArchiveData | FolderData) -> Listing:
    """The photos of an archive, which are unpacked into `folder`."""
    with kept_if_whole(archive):
        return extract_photos(
            archive,
            folder,
            max_bytes=data.max_unpacked_mb * 1_000_000,
            max_files=data.max_files if data.kind == "folder" else MOST_MEMBERS,
            encoding=data.encoding,
            leave_out=data.leave_out,
        )


def list_folder(folder: Path, *, max_files: int, leave_out: Sequence[str] = ()) -> Listing:
    """List a folder of photos without following links.

    Raises:
        UserError: too many files, a link that leaves the folder or leads to another folder, a name that is not allowed,
            a folder that cannot be read, or what `Contents.listing` refuses.
    """
    folder = folder.resolve()
    contents = Contents(folder, leave_out)
    number = 0
    for root, folders, files in os.walk(folder, onerror=_cannot_read):
        inside = Path(root).relative_to(folder)
        for name in folders:
            contents.add_folder((inside / name).as_posix())
            if not names.is_hidden((inside / name).as_posix()):
                _refuse_link(Path(root) / name, folder)
        for name in files:
            if contents.add((inside / name).as_posix()):
                _refuse_link(Path(root) / name, folder)
        number += len(files)
        if number > max_files:
            raise UserError(f"{folder} holds more than {max_files:,} files, the bound of data.max_files")
    return contents.listing()


def _cannot_read(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror})")


def _refuse_link(path: Path, folder: Path) -> None:
    if path.is_symlink():
        target = path.resolve()
        if not target.is_relative_to(folder):
            raise UserError(f"{path} is a link that leaves the folder, to {target}; put the photos themselves there")
        if target.is_dir():
            raise UserError(f"{path} is a link to a folder; put the photos themselves there")


def copy(folder: Path, paths: Iterable[str], target: Path) -> None:
    """Copy photos of a folder into `target`, which may be there already."""
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target / path)


def write_list(target: Path, folder: Path, hashes: dict[str, str]) -> None:
    """Write the list of photos that stay in their own folder: `target` is what data/raw will be.

    Args:
        hashes: sha256 of each photo by path.
    """
    target.mkdir(exist_ok=True)
    content = json.dumps({"folder": str(folder), "photos": hashes}, indent=0, ensure_ascii=False)
    (target / IN_PLACE).write_text(content + "\n", encoding="utf-8")
