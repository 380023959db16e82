"""Archives that nobody vouches for: the photos come out, and nothing else happens."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from transfer_learning.core.errors import UserError
from transfer_learning.ingest.archives import extract_photos

PHOTOS = {"pets/train/cats/1.jpg": b"one", "pets/train/dogs/2.JPG": b"two", "pets/validation/cats/3.png": b"three"}


def pack(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def extract(archive: Path, limit: int = 1_000_000) -> dict[str, bytes]:
    folder = archive.parent / "inside" / "out"
    folder.mkdir(parents=True)
    return {path: (folder / path).read_bytes() for path in extract_photos(archive, folder, max_bytes=limit).paths}


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_photos_come_out_without_the_folder_they_share(name: str, tmp_path: Path) -> None:
    hidden = ("__MACOSX/pets/train/cats/1.jpg", "pets/train/.hidden.jpg", "pets/.git/1.jpg", "pets\\.svn\\1.jpg")
    others = {"pets/vectorize.py": b"import os"} | dict.fromkeys(hidden, b"x")
    archive = pack(tmp_path / name, PHOTOS | others)
    assert extract(archive) == {path.removeprefix("pets/"): content for path, content in PHOTOS.items()}
    assert len(everything(tmp_path)) == 4  # three photos and the archive


def test_class_folders_alone_keep_their_class(tmp_path: Path) -> None:
    assert set(extract(pack(tmp_path / "a.zip", {"x/y/cats/1.jpg": b"", "x/y/cats/2.jpg": b""}))) == {
        "cats/1.jpg",
        "cats/2.jpg",
    }


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.parametrize(
    "member", ["../out.jpg", "pets/../../out.jpg", "/tmp/out.jpg", "..\\out.jpg", "C:/out.jpg", "C:\\out.jpg"]
)
def test_members_that_leave_the_folder_are_refused(name: str, member: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, PHOTOS | {member: b"bad"})
    with pytest.raises(UserError, match="leaves the folder"):
        extract(archive)
    assert everything(tmp_path) == {name}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("pets/cats/1.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(UserError, match="link or device"):
        extract(tmp_path / "a.tar")


def test_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("cats/1.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="link or device"):
        extract(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_a_bomb_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, {"a/cats/1.jpg": bytes(5_000_000), "a/dogs/2.jpg": b""})
    assert archive.stat().st_size < 50_000
    with pytest.raises(UserError, match=r"more than 1 MB, the bound of data\.max_unpacked_mb"):
        extract(archive)
    assert everything(tmp_path) == {name}


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {"a/cats/1.jpg": bytes(3_000_000), "a/dogs/2.jpg": b"x"})
    content = archive.read_bytes().replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(content)
    with pytest.raises(UserError, match="truncated"):
        extract(archive)
    assert sum(path.stat().st_size for path in (tmp_path / "inside").rglob("*.jpg")) < 1_000_000


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_truncated_archives_are_refused(name: str, share: float, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, {f"a/cats/{i}.jpg": bytes(range(256)) * 40 for i in range(9)})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"truncated|not a zip or tar|no photos"):
        extract(archive)


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {"a/cats/1.jpg": bytes(range(256)) * 40, "a/dogs/1.jpg": b"x"})
    content = bytearray(archive.read_bytes())
    content[100] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(UserError, match="truncated or broken"):
        extract(archive)


def test_not_an_archive_no_photos_and_twice_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(UserError, match="not a zip or tar archive"):
        extract(tmp_path / "text.zip")
    with pytest.raises(UserError, match="no photos"):
        extract_photos(pack(tmp_path / "b.zip", {"a/readme.txt": b"x"}), tmp_path / "b", max_bytes=100)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as file:
        file.writestr("cats/1.jpg", b"x")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("cats/1.jpg", b"y")
    with pytest.raises(UserError, match="occurs twice"):
        extract_photos(tmp_path / "c.zip", tmp_path / "c", max_bytes=100)
