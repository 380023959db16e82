"""Photos out of an archive that nobody vouches for: every member is checked before anything is written."""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from transfer_learning.core.errors import BrokenFile, UserError
from transfer_learning.ingest.listing import Contents, Listing
from transfer_learning.ingest.member_names import MOST_ABOUT_A_MEMBER, Decoder, open_tar

# what zipfile, tarfile and the decompressors raise for files that are not in order, seen with mutated archives
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, IndexError, KeyError, OverflowError, MemoryError),
)

MOST_MEMBERS = 10_000_000


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive: its name there with `/`, its declared size in bytes, and how to open it."""

    name: str
    size: int
    is_folder: bool
    open: Callable[[], IO[bytes]]


def extract_photos(
    archive: Path,
    folder: Path,
    *,
    max_bytes: int,
    max_files: int = MOST_MEMBERS,
    encoding: str | None = None,
    leave_out: Sequence[str] = (),
) -> Listing:
    """Unpack the photos of a zip or tar archive into `folder`, without the folders that all of them share.

    Args:
        archive: any zip, tar, tar.gz, tar.bz2 or tar.xz file.
        folder: is created; left half-filled on error, so give a temporary one.
        max_bytes: bound on the sum of the declared sizes of all members; a member that lies about its size is refused.
        max_files: bound on the number of members.
        encoding: of names that do not say that they are UTF-8; None takes UTF-8 only.
        leave_out: folders that are left out, by name or by the end of their path.

    Returns:
        The photos in `folder`, with paths such as `train/cats/cat.0.jpg`.

    Raises:
        BrokenFile: no archive, or truncated.
        UserError: it has a password or is packed in a way that is not known, a member that leaves the folder, a link,
            members too large in sum or too many, a path that occurs twice or is not allowed, or what
            `Contents.listing` refuses.
    """
    try:
        with _members(archive, encoding) as members:
            contents = Contents(archive, leave_out)
            photos = _choose(contents, members, max_bytes, max_files)
            listing = contents.listing()
            prefix = f"{listing.shared}/" if listing.shared else ""
            for path in tqdm(listing.paths, desc=f"unpack {archive.name}", unit="photo", delay=1):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(photos[PurePosixPath(prefix + path)], target, archive)
    except RuntimeError as error:  # a password, or a way of packing that Python lacks: no other download would help
        raise UserError(f"{archive} cannot be unpacked ({_said(error)}): pack it anew, without a password") from None
    except BROKEN as error:
        raise BrokenFile(f"{archive} is truncated or broken ({_said(error)})") from None
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # these two come from bad data, others from the disk
            raise
        raise BrokenFile(f"{archive} is truncated or broken ({_said(error)})") from None
    return replace(listing, folder=folder)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class _members:
    """Open an archive as a list of members, whatever its kind."""

    def __init__(self, archive: Path, encoding: str | None) -> None:
        self.archive = archive
        self.names = Decoder(archive, encoding)

    def __enter__(self) -> Iterator[Member]:
        if zipfile.is_zipfile(self.archive):
            self.file: zipfile.ZipFile | tarfile.TarFile = zipfile.ZipFile(self.archive)
            return self._zip(self.file)
        try:
            self.file, self.bounded = open_tar(self.archive)
        except (*BROKEN, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise BrokenFile(f"{self.archive} is not a zip or tar archive, or is truncated") from None
        return self._tar(self.file)

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if isinstance(self.file, tarfile.TarFile):
            self.bounded.close()

    def _zip(self, file: zipfile.ZipFile) -> Iterator[Member]:
        for info in file.infolist():
            name = self.names.of_zip(info).replace("\\", "/")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"{self.archive}: member {name!r} is a link or device; only files are allowed")
            folder = name.endswith("/") or (kind == stat.S_IFDIR and not info.file_size)
            yield Member(name, info.file_size, folder, lambda info=info: file.open(info))  # type: ignore[misc]

    def _tar(self, file: tarfile.TarFile) -> Iterator[Member]:
        for info in file:
            name = self.names.of_tar(info).replace("\\", "/")
            if not (info.isfile() or info.isdir()):
                raise UserError(f"{self.archive}: member {name!r} is a link or device; only files are allowed")
            info.pax_headers, file.pax_headers = {}, {}  # else kept for each member
            self.bounded.left = MOST_ABOUT_A_MEMBER
            yield Member(name, info.size, info.isdir(), lambda info=info: file.extractfile(info))  # type: ignore
        self.bounded.left = float("inf")  # from here on it is photos that are read


def _choose(
    contents: Contents, members: Iterator[Member], max_bytes: int, max_files: int
) -> dict[PurePosixPath, Member]:
    archive = contents.where
    photos: dict[PurePosixPath, Member] = {}
    folders: set[PurePosixPath] = set()
    total = 0
    for number, member in enumerate(members, 1):
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or ":" in (*path.parts, "")[0] or "\0" in member.name:
            raise UserError(f"{archive}: member {member.name!r} leaves the folder; only paths inside are allowed")
        total += member.size
        if total > max_bytes:
            raise UserError(
                f"{archive} unpacks to more than {max_bytes / 1e6:.0f} MB, the bound of data.max_unpacked_mb"
            )
        if number > max_files:
            raise UserError(f"{archive} holds more than {max_files:,} files, the bound of data.max_files")
        if not path.parts:
            continue
        if member.is_folder:
            contents.add_folder(path.as_posix())
        elif contents.add(path.as_posix()):
            if path in photos:
                raise UserError(f"{archive}: member {member.name!r} occurs twice")
            if path in folders or any(parent in photos for parent in path.parents):
                raise UserError(f"{archive}: member {member.name!r} is a file and a folder at once")
            photos[path] = member
            folders.update(path.parents)
    return photos


def _copy(member: Member, target: Path, archive: Path) -> None:
    # zipfile and tarfile never give more than the declared size, which _choose has bounded
    with member.open() as source, open(target, "xb") as file:
        shutil.copyfileobj(source, file)
    if target.stat().st_size != member.size:
        raise UserError(f"{archive}: member {member.name!r} is truncated")
