"""Names in archives as the programs that wrote them meant them, and tar files whose names cannot fill the memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from transfer_learning.core.errors import UserError

UTF8_FLAG = 0x800  # bit 11 of a zip member: its name is in UTF-8
# what common systems write into zip files, tried only to show what the names would be
GUESSES = ("gbk", "cp932", "cp949", "big5", "cp437", "cp850", "cp866", "cp1252")
MOST_ABOUT_A_MEMBER = 1_000_000  # bytes that a tar file may say about one member: its name, attributes, holes
PACKERS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"]\0\0": lzma.open,
}


class Decoder:
    """Turns the bytes of names into text.

    Args:
        archive: for messages.
        encoding: of names that do not say that they are UTF-8, by Python's name of it; None takes UTF-8 only.
    """

    def __init__(self, archive: Path, encoding: str | None) -> None:
        self.archive, self.encoding = archive, encoding

    def of_zip(self, info: zipfile.ZipInfo) -> str:
        """The name of a zip member.

        Raises:
            UserError: it is not in the encoding.
        """
        # an extra field with the name in UTF-8 has gone into filename alone; its bytes as text are in orig_filename
        if info.flag_bits & UTF8_FLAG or info.orig_filename.isascii():
            return info.orig_filename
        if (extra := _unicode_path(info.extra)) is not None:
            return extra
        return self._decoded(info.orig_filename.encode("cp437"))  # as zipfile has read it: a letter for each byte

    def of_tar(self, info: tarfile.TarInfo) -> str:
        """The name of a tar member that was read as UTF-8 with surrogates for other bytes."""
        if info.name.isascii() or "path" in info.pax_headers:  # which are UTF-8
            return info.name if info.name.isascii() else self._decoded(_bytes(info.name), encoding=None)
        return self._decoded(_bytes(info.name))

    def _decoded(self, raw: bytes, encoding: str | None = "") -> str:
        chosen = self.encoding if encoding == "" else encoding
        try:
            return raw.decode(chosen or "utf-8")
        except UnicodeError:
            said = f"not in {chosen}" if chosen else "not UTF-8"
        guesses = ((guess, _guess(raw, guess)) for guess in GUESSES)
        would = ", ".join(f"{guess}: {text!r}" for guess, text in guesses if text is not None)
        raise UserError(
            f"{self.archive}: the name of member {raw[-80:]!r} is {said}; data.encoding says in which encoding "
            f"names are, in which this one would be {would}"
        )


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _guess(raw: bytes, encoding: str) -> str | None:
    try:
        text = raw.decode(encoding)
    except UnicodeError:
        return None
    return text[-40:] if text.isprintable() else None


def _unicode_path(extra: bytes) -> str | None:
    """The name in Info-ZIP's extra field for it, 0x7075: version, checksum, UTF-8."""
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == 0x7075 and len(content) > 5:
            return content[5:].decode(errors="replace")
    return None


class Bounded(io.RawIOBase):
    """A file to read that gives at most so many bytes until `left` is set anew.

    tarfile reads what a header announces in one piece, and follows lists of holes without an end.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.left: float = MOST_ABOUT_A_MEMBER

    def read(self, size: int = -1, /) -> bytes:
        """As of any file.

        Raises:
            tarfile.ReadError: it would be too much.
        """
        self.left -= size if size >= 0 else MOST_ABOUT_A_MEMBER + 1
        if self.left < 0:
            raise tarfile.ReadError(f"a member has more than {MOST_ABOUT_A_MEMBER:,} bytes of names and attributes")
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As of any file."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """As of any file."""
        return self.file.tell()

    def seekable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """As of any file."""
        self.file.close()
        super().close()


def open_tar(archive: Path) -> tuple[tarfile.TarFile, Bounded]:
    """Open a tar file, packed or not, names as UTF-8 with surrogates for other bytes.

    Raises:
        tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError: it is none.
    """
    with open(archive, "rb") as file:
        start = file.read(6)
    unpacked = next((unpack(archive) for magic, unpack in PACKERS.items() if start.startswith(magic)), None)
    bounded = Bounded(cast(IO[bytes], unpacked or io.BufferedReader(io.FileIO(archive))))
    try:
        return tarfile.TarFile(fileobj=bounded, encoding="utf-8", errors="surrogateescape"), bounded
    except BaseException:
        bounded.close()
        raise
