"""Names in archives as other programs write them: the right text, or a refusal that names data.encoding."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import pytest

from transfer_learning.core.errors import BrokenFile, UserError
from transfer_learning.ingest.archives import extract_photos
from transfer_learning.ingest.listing import Listing

GERMAN, CHINESE, JAPANESE = ("Blüte", "Gänseblümchen"), ("玫瑰", "雏菊"), ("表示", "ソ連")


class Raw(zipfile.ZipInfo):
    """A member whose name is these bytes, with bit 11 only if it is told so."""

    raw, flag = b"", False

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, self.flag_bits | 0x800 if self.flag else self.flag_bits & ~0x800


def zipped(path: Path, names: list[bytes], *, flag: bool = False, extra: list[bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for number, raw in enumerate(names):
            info = Raw(f"x{number}")
            info.raw, info.flag = raw, flag
            if extra:
                info.extra = extra[number]
            file.writestr(info, bytes([number]))
    return path


def tarred(path: Path, names: list[str], encoding: str, form: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form, encoding=encoding) as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1
            file.addfile(info, io.BytesIO(b"1"))
    return path


def paths(classes: tuple[str, ...]) -> list[str]:
    return [f"top/{name}/{number}.jpg" for name in classes for number in range(2)]


def taken(archive: Path, encoding: str | None = None) -> set[str]:
    target = archive.with_suffix(".out")
    listing: Listing = extract_photos(archive, target, max_bytes=1000, encoding=encoding)
    assert {found.relative_to(target).as_posix() for found in target.rglob("*.jpg")} == set(listing.paths)
    return {name for _, name, _ in listing.rows}


def test_utf8_is_known_with_and_without_the_flag(tmp_path: Path) -> None:
    assert taken(zipped(tmp_path / "a.zip", [name.encode() for name in paths(GERMAN)], flag=True)) == set(GERMAN)


def test_finder_writes_utf8_without_the_flag(tmp_path: Path) -> None:
    finder = [unicodedata.normalize("NFD", name).encode() for name in paths(GERMAN)]
    assert taken(zipped(tmp_path / "a.zip", finder)) == {unicodedata.normalize("NFD", name) for name in GERMAN}


@pytest.mark.parametrize(
    ("encoding", "classes"), [("gbk", CHINESE), ("cp932", JAPANESE), ("cp850", GERMAN), ("cp949", ("장미", "국화"))]
)
def test_windows_writes_its_own_encoding_which_the_setting_names(
    encoding: str, classes: tuple[str, ...], tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "a.zip", [name.encode(encoding) for name in paths(classes)])
    with pytest.raises(UserError) as refused:
        taken(archive)
    assert "is not UTF-8; data.encoding says in which encoding names are" in str(refused.value)
    assert f"{encoding}: 'top/{classes[0]}/0.jpg'" in str(refused.value)
    assert taken(archive, encoding) == set(classes)
    assert taken(zipped(tmp_path / "b.zip", [name.encode() for name in paths(GERMAN)], flag=True), encoding) == set(
        GERMAN
    )


def test_a_wrong_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not in ascii; data\.encoding"):
        taken(zipped(tmp_path / "a.zip", [name.encode("gbk") for name in paths(CHINESE)]), "ascii")


def test_the_extra_field_with_the_name_in_utf8_is_taken(tmp_path: Path) -> None:
    content = [b"\1" + bytes(4) + name.encode() for name in paths(CHINESE)]
    extra = [struct.pack("<HH", 0x7075, len(one)) + one for one in content]
    names = [f"top/\xfc{number}".encode("latin-1") for number in range(4)]
    assert taken(zipped(tmp_path / "a.zip", names, extra=extra)) == set(CHINESE)


def test_backslashes_are_folders_before_anything_is_asked(tmp_path: Path) -> None:
    names = [
        name.replace("/", "\\")
        for name in (*paths(("a", "b")), "top/a/.picasaoriginals/0.jpg", "__MACOSX/top/a/._0.jpg")
    ]
    assert taken(zipped(tmp_path / "a.zip", [name.encode() for name in names])) == {"a", "b"}
    with pytest.raises(UserError, match=r"c \(empty\)"):
        taken(zipped(tmp_path / "b.zip", [name.encode() for name in [*names, "top\\c\\"]]))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_in_latin_1_takes_the_setting(form: int, tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", paths(GERMAN), "latin-1", form)
    with pytest.raises(UserError, match=r"b'top/Bl\\xfcte/0.jpg' is not UTF-8; data\.encoding"):
        taken(archive)
    assert taken(archive, "latin-1") == set(GERMAN)


def test_a_tar_with_pax_headers_is_utf8_whatever_the_setting(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", paths(CHINESE), "utf-8", tarfile.PAX_FORMAT)
    assert taken(archive, "gbk") == set(CHINESE)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_headers_of_a_tar_cannot_fill_the_memory(kind: bytes, tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 100_000_000
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    if kind == tarfile.GNUTYPE_SPARSE:
        block[482] = 1  # more holes follow, in blocks that say the same of the next
        block[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(block))[0]
    hole = b"00000000001\0" * 42 + b"\1" + bytes(7)
    with gzip.open(tmp_path / "a.tgz", "wb", compresslevel=1) as file:
        file.write(block)
        for _ in range(100):
            file.write(hole * 2000 if kind == tarfile.GNUTYPE_SPARSE else bytes(1_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(BrokenFile, match=r"more than 1,000,000 bytes of names and attributes|not a zip or tar"):
            taken(tmp_path / "a.tgz")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_many_headers_are_not_kept(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as file:
        for number in range(60):
            info = tarfile.TarInfo(f"{'ab'[number % 2]}/{number}.jpg")
            info.pax_headers = {"comment": "x" * 900_000}
            file.addfile(info)
    tracemalloc.start()
    try:
        assert taken(tmp_path / "a.tgz") == {"a", "b"}
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
