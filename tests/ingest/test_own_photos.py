"""Photos of one's own: found as folder, archive or URL, and refused in one line where they cannot be used."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.clone import ROOT, Clone
from support.own_folder import CLASSES, draw_folder

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import own_folder
from transfer_learning.photos import inventory, names


@pytest.mark.parametrize(
    "kind", ["tar", "url", "copied", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("zip", "tar.gz"))]
)
def test_archives_urls_and_copies_give_the_same_photos(kind: str, composed: Clone, tmp_path: Path) -> None:
    clone, source = composed, draw_folder(tmp_path / "photos", 6, CLASSES[:3])
    shutil.rmtree(clone.folder / "data", ignore_errors=True)
    path = source if kind == "copied" else tmp_path / f"packed.{kind.replace('url', 'zip')}"
    if kind in ("zip", "url"):
        with zipfile.ZipFile(path, "w") as packed:
            for file in sorted(source.rglob("*.*")):
                packed.write(file, file.relative_to(tmp_path))
    elif kind != "copied":
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as packed_tar:
            packed_tar.add(source, "photos")
    with served(tmp_path) as address:
        named = f"{address}/{path.name}?version=1" if kind == "url" else str(path)
        compose(clone, named, *(["data.copy_photos=true"] if kind == "copied" else []))
        said = clone.run("python", "src/fetch.py")
    assert "18 photos in data/raw" in said
    wanted = inventory.hashes(source, inventory.list_photos(source))
    assert inventory.inventory(clone.folder / "data/raw") == wanted
    assert inventory.digest(wanted) in said
    assert "train: 4 Disc, 4 Kreuz groß, 4 バー" in clone.run("python", "src/split.py")


def compose(clone: Clone, path: str, *more: str, code: int = 0) -> str:
    options = ["+experiment=demo", "data=folder", f"data.path='{path}'", *more]
    return clone.call("params", *options, code=code)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a web server on this machine for a folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose settings name the folder PHOTOS."""
    clone = Clone(tmp_path_factory.mktemp("composed"))
    (clone.folder / "PHOTOS").mkdir()
    compose(clone, str(clone.folder / "PHOTOS"))
    clone.settings = (clone.folder / "params.yaml").read_text()  # type: ignore[attr-defined]
    return clone


def name_folder(clone: Clone, folder: Path) -> None:
    """Let the settings name this folder, which is as if they had been composed for it."""
    text = clone.settings.replace(str(clone.folder / "PHOTOS"), str(folder))  # type: ignore[attr-defined]
    (clone.folder / "params.yaml").write_text(text)


def refused(clone: Clone, said: str, stage: str = "fetch") -> None:
    """The stage must exit with 2 and one line, and leave what was there before."""
    before = {path: path.read_bytes() for path in (clone.folder / "data").rglob("*") if path.is_file()}
    line = clone.call(stage, code=2).strip().splitlines()[-1]
    assert line.startswith(f"error: {stage}: ")
    assert said in line
    assert {path: path.read_bytes() for path in (clone.folder / "data").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("wrong", "stage", "said"),
    [
        ("no photos", "fetch", "holds no photos (JPEG, PNG, GIF, BMP or WebP)"),
        ("no classes", "fetch", "has no class: allowed are class folders"),
        ("one class", "split", "found 1 class folder(s) with photos (Disc); allowed are 2 to 1000 classes"),
        (
            "three photos",
            "split",
            "class Kreuz groß has 1 photo(s), none of them for validation: at least three are needed",
        ),
        ("same name", "fetch", "the classes 'DISC' and 'Disc' differ only in case"),
        ("all broken", "fetch", "12 of 12 photos are unreadable: Disc/Foto 0.JPeG is empty"),
        ("one broken", "fetch", "1 of 12 photos are unreadable: Disc/Foto 0.JPeG is empty; data.skip_broken=true"),
        ("link out", "fetch", "is a link that leaves the folder"),
        ("link to a folder", "fetch", "is a link to a folder"),
        ("bytes", "fetch", "has a name that is not UTF-8; rename it"),
        ("line break", "fetch", "has a control character or line break (U+000D) in its name; rename it"),
        ("empty class", "fetch", "no photo of these folders would be taken: third (empty)"),
        ("pipe", "fetch", "1 of 13 photos are unreadable: Disc/b.jpg is no file but a folder, pipe or device"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(
    wrong: str, stage: str, said: str, composed: Clone, tmp_path: Path
) -> None:
    clone, folder = composed, draw_folder(tmp_path / "photos", 6, CLASSES[:2])
    first, second = folder / CLASSES[0], folder / CLASSES[1]
    everything = [path for path in folder.rglob("*.*") if names.is_photo(path.name)]
    if wrong == "no photos":
        shutil.rmtree(first)
        shutil.rmtree(second)
    elif wrong == "no classes":
        shutil.copyfile(first / "Foto 0.JPeG", folder / "a.jpg")
    elif wrong == "one class":
        shutil.rmtree(second)
    elif wrong == "three photos":
        for path in everything:
            if path.name not in ("Foto 0.JPeG", "Foto 2.JPeG") or path == second / "Foto 2.JPeG":
                path.unlink()
    elif wrong == "same name":
        shutil.copytree(second, folder / "DISC")
        shutil.rmtree(second)
    elif wrong in ("all broken", "one broken"):
        for path in everything if wrong == "all broken" else [first / "Foto 0.JPeG"]:
            path.write_bytes(b"")
    elif wrong == "link out":
        (first / "b.jpg").symlink_to("/etc/hostname")
    elif wrong == "link to a folder":
        (folder / "again").symlink_to(second)
    elif wrong == "line break":
        second.rename(folder / "car\rriage")
    elif wrong == "empty class":
        (folder / "third").mkdir()
    elif wrong == "pipe":
        os.mkfifo(first / "b.jpg")
    else:
        os.rename(first / "Foto 0.JPeG", os.fsencode(first) + b"/\xff.jpg")
    name_folder(clone, folder)
    if stage == "split":
        clone.call("fetch")
    refused(clone, said, stage)


def test_what_is_committed_composes_where_the_photos_are_not(tmp_path: Path) -> None:
    clone, folder = Clone(tmp_path / "clone"), draw_folder(tmp_path / "photos", 3, CLASSES[:2])
    compose(clone, str(folder))
    committed = (clone.folder / "params.yaml").read_text()
    folder.rename(tmp_path / "elsewhere")
    compose(clone, str(folder))
    assert (clone.folder / "params.yaml").read_text() == committed
    assert "there is no such folder or file" in compose(clone, str(tmp_path / "other"), code=2)


def test_a_pipe_ends_the_command_before_dvc_reads_it(composed: Clone, tmp_path: Path) -> None:
    os.mkfifo(draw_folder(tmp_path / "photos", 3, CLASSES[:2]) / CLASSES[0] / "b.jpg")
    for path in (tmp_path / "photos", tmp_path / "photos" / CLASSES[0] / "b.jpg"):
        said = compose(composed, str(path), code=2)
        assert "b.jpg" in said
        assert "pipe" in said


def test_a_class_leaves_only_when_it_is_named(tmp_path: Path) -> None:
    clone, folder = Clone(tmp_path / "clone"), draw_folder(tmp_path / "photos", 6, CLASSES[:3])
    for path in (folder / CLASSES[2]).rglob("*.*"):
        path.write_bytes(b"")
    compose(clone, str(folder), "data.skip_broken=true")
    refused(clone, f"all photos of {CLASSES[2]} are unreadable, and no class goes without being named")
    compose(clone, str(folder), f'data.leave_out=["{CLASSES[2]}"]')
    assert "(6 by data.leave_out, 1 .txt)" in clone.run("python", "src/fetch.py")
    assert "train: 4 Disc, 4 Kreuz groß; " in clone.run("python", "src/split.py")


def test_an_encoding_that_is_none_is_refused(composed: Clone, tmp_path: Path) -> None:
    path = draw_folder(tmp_path / "photos", 3, CLASSES[:2])
    overrides = ("+experiment=demo", "data=folder", f"data.path='{path}'", "data.encoding=gbk2")
    said = composed.call("params", *overrides, code=2)
    assert "data.encoding is no encoding that Python knows, such as utf-8, gbk, cp932 or cp850" in said


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/Bob's photos/", "Bob s photos"), ("x/flowers.tar.gz", "flowers"), ("https://h/d/pets.zip?x=1", "pets")],
)
def test_photos_are_named_after_where_they_are(path: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "src"))
    from hydra_plugins import data_path

    assert data_path.name(path) == name


def test_broken_photos_are_left_out_on_request(tmp_path: Path) -> None:
    clone, folder = Clone(tmp_path / "clone"), draw_folder(tmp_path / "photos", 6, CLASSES[:2])
    (folder / CLASSES[0] / "Foto 0.JPeG").write_bytes(b"")
    compose(clone, str(folder), "data.skip_broken=true")
    said = clone.run("python", "src/fetch.py")
    assert "left out: 1 of 12 photos are unreadable: Disc/Foto 0.JPeG is empty" in said
    assert "11 photos in" in said
    assert len(inventory.inventory(clone.folder / "data/raw")) == 11


def test_a_folder_is_listed_without_what_is_no_photo(tmp_path: Path) -> None:
    for name in (
        "outer/a/1.JPG",
        "outer/a/x/2.webp",
        "outer/b/3.bmp",
        "outer/b/.hidden.png",
        "outer/b/4.heic",
        "n.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "outer/b/link.png").symlink_to(tmp_path / "outer/a/1.JPG")
    listing = own_folder.list_folder(tmp_path, max_files=100)
    (note,) = listing.notes()
    assert listing.folder == tmp_path / "outer"
    assert listing.paths == ["a/1.JPG", "a/x/2.webp", "b/3.bmp", "b/link.png"]
    assert note.startswith("3 file(s) are no photos by their names")
    with pytest.raises(UserError, match="more than 5 files"):
        own_folder.list_folder(tmp_path, max_files=5)
