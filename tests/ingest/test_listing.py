"""What a folder or archive holds: nothing vanishes without a word, and the same rule for both."""

from __future__ import annotations

import os
import shlex
import zipfile
from pathlib import Path

import pytest

from transfer_learning.core.errors import UserError, printable
from transfer_learning.ingest import own_folder
from transfer_learning.ingest.archives import extract_photos
from transfer_learning.ingest.listing import Listing
from transfer_learning.photos import inventory, names

FOUR = ["a/1.jpg", "a/2.jfif", "b/1.JPE", "b/2.webp"]


def listed(kind: str, folder: Path, paths: list[str], leave_out: tuple[str, ...] = ()) -> Listing:
    """What is listed of files, and of folders where a path ends in `/`."""
    source = folder / "source"
    for path in paths:
        (source / path if path.endswith("/") else (source / path).parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            (source / path).write_bytes(b"")
    if kind == "folder":
        return own_folder.list_folder(source, max_files=1000, leave_out=leave_out)
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        for path in sorted(source.rglob("*")):
            file.write(path, path.relative_to(source))
    return extract_photos(folder / "a.zip", folder / "out", max_bytes=1000, leave_out=leave_out)


both = pytest.mark.parametrize("kind", ["folder", "zip"])


@both
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("c/", "c (empty)"),
        ("c/.DS_Store", "c (only 1 without an ending)"),
        ("c/._1.jpg", "c (only hidden photos)"),
        ("c/1.HEIC", "c (only 1 .heic: convert them to JPEG)"),
        ("c/deeper/1.heif", "c (only 1 .heif: convert them to JPEG)"),
        ("c/1.tiff", "c (only 1 .tiff: convert them to JPEG)"),
        ("c/1.avif", "c (only 1 .avif: convert them to JPEG)"),
        ("c/1.mp4", "c (only 1 .mp4)"),
        (".22lr/1.jpg", ".22lr (hidden by the dot at the beginning of its name: rename it)"),
    ],
)
def test_a_class_that_gives_no_photo_is_refused_unless_it_is_left_out(
    kind: str, more: str, said: str, tmp_path: Path
) -> None:
    name = more.split("/")[0]
    with pytest.raises(UserError) as refused:
        listed(kind, tmp_path, [*FOUR, more])
    assert f"{said}; or -S 'data.leave_out=[\"{name}\"]' leaves it out" in str(refused.value)
    assert listed(kind, tmp_path / "again", [*FOUR, more], (name,)).paths == FOUR


@both
@pytest.mark.parametrize("more", ["val/", "Test_Set/", "val/a/", "val/a/1.heic", "train/c/"])
def test_a_part_or_a_class_of_a_part_that_gives_no_photo_is_refused(kind: str, more: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no photo of these folders would be taken"):
        listed(kind, tmp_path, [f"up/train/{path}" for path in FOUR] + [f"up/{more}"])


@both
def test_what_is_left_out_is_said(kind: str, tmp_path: Path) -> None:
    more = [
        "a/3.heic",
        "a/.picasaoriginals/1.jpg",
        "b/Thumbs.db",
        "a/._1.jpg",
        "notes",
        ".ipynb_checkpoints/",
        "c/1.jpg",
    ]
    (note,) = listed(kind, tmp_path / "asked", [*FOUR, "c/1.jpg"], ("c",)).notes()
    assert note == "1 file(s) are left out (1 by data.leave_out)"
    listing = listed(kind, tmp_path / "all", [*FOUR, *more], ("c",))
    assert listing.paths == FOUR
    (note,) = listing.notes()
    assert note.startswith("6 file(s) are no photos by their names and are left out (2 hidden, ")
    assert all(text in note for text in ("1 .heic", "1 .db", "1 notes", "1 by data.leave_out", "convert"))


@both
def test_a_folder_to_leave_out_that_is_not_there_is_a_mistake(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.leave_out = 'other': .* has no such folder"):
        listed(kind, tmp_path, FOUR, ("other",))


@both
def test_folders_to_leave_out_are_named_by_the_end_of_their_path(kind: str, tmp_path: Path) -> None:
    paths = [f"x/{part}/{path}" for part in ("train", "test", "x/train") for path in FOUR]
    assert listed(kind, tmp_path, paths, ("x/x",)).paths == sorted(
        f"{part}/{p}" for part in ("train", "test") for p in FOUR
    )


def test_photos_to_convert_are_named_where_there_is_no_other(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no photos \(JPEG.*\); 2 file.*1 .heic, 1 .tif\); convert photos of"):
        listed("folder", tmp_path, ["a/1.HEIC", "b/2.tif"])


BAD = [
    "car\rriage",
    "new\nline",
    "a\x1b[31m",
    "\u2028",
    "a:b",
    "what?",
    "back\\slash",
    "dot.",
    "space ",
    "CON",
    "aux.b",
    "a|b",
]


@pytest.mark.parametrize("name", BAD)
def test_names_that_formats_or_other_systems_cannot_hold_are_refused_everywhere(name: str, tmp_path: Path) -> None:
    for kind in ("folder", "zip") if "\\" not in name else ("folder",):  # in an archive it parts folders
        with pytest.raises(UserError) as refused:
            listed(kind, tmp_path / kind, [*FOUR, f"{name}/1.jpg"])
        assert "rename it" in str(refused.value) or "leaves the folder" in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


def test_odd_names_of_what_is_no_photo_stay_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        listed("folder", tmp_path, [*FOUR, "it's\n1/", os.fsdecode(b"\xff/a.x\ry")])
    said = str(refused.value)
    assert len(said.splitlines()) == 1
    said.encode()
    assert "-S " + shlex.quote('data.leave_out=["it\'s\\n1","\\xff"]') in said


def test_what_is_no_photo_may_have_any_name(tmp_path: Path) -> None:
    assert listed("folder", tmp_path, [*FOUR, "a/12:30.txt"]).paths == FOUR


@pytest.mark.parametrize(
    "name", ["Kreuz groß", "バー", "tri, angle", "ring $5", "it's", "console", "a.b", "100 %", "[x]=#"]
)
def test_usual_names_are_allowed(name: str) -> None:
    assert names.problem(f"{name}/{name}.jpg") is None


def test_text_of_any_name_can_be_printed() -> None:
    assert printable(os.fsdecode(b"caf\xe9\r.jpg")) == "caf\\xe9\\r.jpg"
    assert printable("Blüte") == "Blüte"


def test_a_pipe_among_photos_is_named_and_nothing_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    found = inventory.broken(tmp_path, ["pipe.jpg", "device.jpg"], max_megapixels=1)
    assert set(found.values()) == {"is no file but a folder, pipe or device"}
    with pytest.raises(UserError, match="is a pipe or device"):
        own_folder.find(str(tmp_path / "pipe.jpg"))
