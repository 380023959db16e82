"""Photos out of an archive that nobody vouches for: every member is checked before anything is written."""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from tqdm import tqdm

from transfer_learning.errors import UserError
from transfer_learning.parts import part_of
from transfer_learning.photos import is_photo

# what zipfile, tarfile and the decompressors raise for files that are not in order, seen with mutated archives
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(RuntimeError, ValueError, IndexError, KeyError, OverflowError, MemoryError),
)
LONGEST_NAME, LONGEST_PATH = 255, 2000  # bytes of a part and of all, less than what Linux and macOS allow


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name there, its declared size in bytes, and how to open it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def extract_photos(archive: Path, folder: Path, *, max_bytes: int) -> list[str]:
    """Unpack the photos of a zip or tar archive into `folder`, without the folders that all of them share.

    Args:
        archive: any zip, tar, tar.gz, tar.bz2 or tar.xz file.
        folder: is created; left half-filled on error, so give a temporary one.
        max_bytes: bound on the sum of the declared sizes of all members; a member that lies about its size is refused.

    Returns:
        The photos' paths in `folder`, such as `train/cats/cat.0.jpg`.

    Raises:
        UserError: no archive, truncated, a member that leaves the folder, a link, a member too large in sum, a
            path that occurs twice, or no photo at all.
    """
    try:
        with _members(archive) as members:
            chosen = _choose(archive, members, max_bytes)
            for path, member in tqdm(chosen.items(), desc=f"unpack {archive.name}", unit="photo", delay=1):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(member, target, archive)
    except BROKEN as error:
        raise UserError(f"{archive} is truncated or broken ({_said(error)})") from None
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # these two come from bad data, others from the disk
            raise
        raise UserError(f"{archive} is truncated or broken ({_said(error)})") from None
    return list(chosen)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class _members:
    """Open an archive as a list of members, whatever its kind."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    def __enter__(self) -> Iterator[Member]:
        if zipfile.is_zipfile(self.archive):
            self.file: zipfile.ZipFile | tarfile.TarFile = zipfile.ZipFile(self.archive)
            return self._zip(self.file)
        try:
            self.file = tarfile.open(self.archive)
        except BROKEN:
            raise UserError(f"{self.archive} is not a zip or tar archive, or is truncated") from None
        return self._tar(self.file)

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _zip(self, file: zipfile.ZipFile) -> Iterator[Member]:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"{self.archive}: member {info.filename!r} is a link or device; only files are allowed")
            if not info.is_dir():
                yield Member(info.filename, info.file_size, lambda info=info: file.open(info))  # type: ignore[misc]

    def _tar(self, file: tarfile.TarFile) -> Iterator[Member]:
        for info in file:
            if not (info.isfile() or info.isdir()):
                raise UserError(f"{self.archive}: member {info.name!r} is a link or device; only files are allowed")
            if info.isfile():
                yield Member(info.name, info.size, lambda info=info: file.extractfile(info))  # type: ignore


def _choose(archive: Path, members: Iterator[Member], max_bytes: int) -> dict[str, Member]:
    photos: dict[PurePosixPath, Member] = {}
    folders: set[PurePosixPath] = set()
    total = 0
    for member in members:
        path = PurePosixPath(member.name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in (*path.parts, "")[0] or "\0" in member.name:
            raise UserError(f"{archive}: member {member.name!r} leaves the folder; only paths inside are allowed")
        total += member.size
        if total > max_bytes:
            raise UserError(
                f"{archive} unpacks to more than {max_bytes / 1e6:.0f} MB, the bound of data.max_unpacked_mb"
            )
        if is_photo(path.as_posix()):
            if path in photos:
                raise UserError(f"{archive}: member {member.name!r} occurs twice")
            if path in folders or any(parent in photos for parent in path.parents):
                raise UserError(f"{archive}: member {member.name!r} is a file and a folder at once")
            longest = max(len(os.fsencode(part)) for part in path.parts)
            if longest > LONGEST_NAME or len(os.fsencode(path)) > LONGEST_PATH:
                raise UserError(
                    f"{archive}: member {member.name[:40]!r}... has too long a name, allowed are "
                    f"{LONGEST_NAME} bytes a part and {LONGEST_PATH} in all"
                )
            photos[path] = member
            folders.update(path.parents)
    if not photos:
        raise UserError(f"{archive} holds no photos (JPEG, PNG, GIF, BMP or WebP)")
    shared = shared_folders(list(photos))
    return {PurePosixPath(*path.parts[shared:]).as_posix(): member for path, member in photos.items()}


def shared_folders(paths: Sequence[PurePath]) -> int:
    """How many leading folders all photos share, leaving each at least its class folder."""
    shared = 0
    most = min(len(path.parts) for path in paths) - 2
    while shared < most and len({path.parts[shared] for path in paths}) == 1 and not part_of(paths[0].parts[shared]):
        shared += 1
    return shared


def _copy(member: Member, target: Path, archive: Path) -> None:
    # zipfile and tarfile never give more than the declared size, which _choose has bounded
    with member.open() as source, open(target, "xb") as file:
        shutil.copyfileobj(source, file)
    if target.stat().st_size != member.size:
        raise UserError(f"{archive}: member {member.name!r} is truncated")
