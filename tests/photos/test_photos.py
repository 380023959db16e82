"""Photos are read as Pillow shows them; what is no photo is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from transfer_learning.core.errors import UserError
from transfer_learning.ingest import own_folder
from transfer_learning.ingest.drawn import draw
from transfer_learning.photos import decode, inventory, names

PICTURE = draw("ring", size=64, generator=np.random.default_rng(3))


def read(path: Path) -> np.ndarray:
    return decode.load(path, size=64)  # the pictures' own size: no resizing


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "L"), ("a.png", "1"), ("a.png", "P"), ("a.jpg", "CMYK"), ("a.jpeg", "L"), ("a.jpg", "RGB"),
     ("a.gif", "P"), ("a.webp", "RGB"), ("a.bmp", "RGB"), ("A.PNG", "RGB"), ("a.png", "LA")],
)  # fmt: skip
def test_modes_and_formats_equal_pillow(name: str, mode: str, tmp_path: Path) -> None:
    PICTURE.convert(mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        reference = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read(tmp_path / name), reference)
    assert names.is_photo(name)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1)))
    picture = PICTURE.copy()
    picture.putalpha(alpha)
    picture.save(tmp_path / "a.png")
    share = np.asarray(alpha)[..., None] / 255
    expected = np.asarray(PICTURE) * share + 255 * (1 - share)
    np.testing.assert_allclose(read(tmp_path / "a.png"), expected, atol=1)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    grey = np.asarray(PICTURE.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png")[..., 0], grey)


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read(tmp_path / "a.gif")[0, 0], [255, 0, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    PICTURE.save(tmp_path / "a.png", exif=exif)
    pixels = np.asarray(PICTURE)
    turned = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90(pixels),
    }  # fmt: skip
    np.testing.assert_array_equal(read(tmp_path / "a.png"), turned[orientation])


def test_large_jpeg_is_shrunk_as_pillow_does_within_a_few_levels(tmp_path: Path) -> None:
    large = PICTURE.resize((1024, 768), Image.Resampling.BICUBIC)
    large.save(tmp_path / "a.jpg", quality=95)
    reference = Image.open(tmp_path / "a.jpg").resize((64, 64), Image.Resampling.BILINEAR)
    difference = np.abs(read(tmp_path / "a.jpg").astype(int) - np.asarray(reference))
    assert difference.mean() < 2


def broken(folder: Path) -> dict[str, str]:
    """Files that are no photos, and what is said of each."""
    PICTURE.save(folder / "good.jpg")
    PICTURE.save(folder / "good.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a photo")
    (folder / "cut.jpg").write_bytes((folder / "good.jpg").read_bytes()[:-400])
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:-400])
    PICTURE.save(folder / "other.png", format="TIFF")
    PICTURE.save(folder / "new.jpg", format="AVIF")
    PICTURE.save(folder / "j2k.jpg", format="JPEG2000")
    (folder / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    (folder / "film.jpg").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(50))
    return {
        "empty.jpg": "is empty",
        "text.jpg": "is not a JPEG",
        "cut.jpg": "cannot be decoded",
        "cut.png": "cannot be decoded",
        "other.png": "is TIFF: convert it to JPEG",
        "new.jpg": "is AVIF: convert it to JPEG",
        "j2k.jpg": "is JPEG 2000: convert it to JPEG",
        "phone.jpg": "is HEIC: convert it to JPEG",
        "film.jpg": "is not a JPEG",
    }


def test_each_broken_file_is_refused_for_its_reason(tmp_path: Path) -> None:
    for name, said in broken(tmp_path).items():
        with pytest.raises(UserError, match=said):
            read(tmp_path / name)


def test_all_broken_files_are_named_at_once(tmp_path: Path) -> None:
    wrong = broken(tmp_path)
    found = inventory.broken(tmp_path, [*inventory.list_photos(tmp_path), "gone.jpg"], max_megapixels=80)
    assert found.keys() == wrong.keys() | {"gone.jpg"}
    assert inventory.name_some(found).endswith("; and 5 more")
    assert inventory.name_some({"a.jpg": "is empty"}) == "a.jpg is empty"


def test_digest_is_that_of_sha256sum_over_sorted_lines(tmp_path: Path) -> None:
    for index, name in enumerate(("b/2.jpg", "a/10.jpg", "a/1.jpg", "a/é ö.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes([index]))
    shell = "find a b -name '*.jpg' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=True)
    paths = inventory.list_photos(tmp_path)
    assert inventory.digest(inventory.hashes(tmp_path, paths[::-1])) == done.stdout.split()[0]


HIDDEN = ("a/.b.jpg", ".thumbnails/a/b.jpg", "a/.git/b.jpg", "__MACOSX/a/b.jpg", "a/__MACOSX/b.jpg")


def test_hidden_files_and_folders_and_other_files_are_no_photos() -> None:
    assert not any(map(names.is_photo, (*HIDDEN, "a/b.txt", "a/jpg", "vectorize.py")))


def test_one_rule_says_what_a_folder_holds_wherever_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / ".hidden" / "__MACOSX"
    for name in (*HIDDEN, "a/b.jpg", "a/c/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "a/.git/link").symlink_to("/etc/hostname")  # nobody asked for what lies there
    assert inventory.list_photos(folder) == ["a/b.jpg", "a/c/d.png"]
    listing = own_folder.list_folder(folder, max_files=30)
    assert (listing.folder, listing.paths) == (folder, ["a/b.jpg", "a/c/d.png"])
    assert listing.left_out == {"hidden": len(HIDDEN) + 1}


LIMIT = """
import io, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
before = Image.MAX_IMAGE_PIXELS
from transfer_learning.photos import decode
assert before == Image.MAX_IMAGE_PIXELS
assert not Image.OPEN
content = open(sys.argv[1], "rb").read()
def size(_):
    with decode.opened(io.BytesIO(content)) as image:
        return image.size
with ThreadPoolExecutor(16) as pool:
    assert set(pool.map(size, range(2000))) == {(14_000, 14_000)}
assert before == Image.MAX_IMAGE_PIXELS
try:
    Image.open(sys.argv[1])
except Image.DecompressionBombError:
    print("the limit holds for others")
"""


def test_pillow_keeps_its_limit_though_threads_of_ours_open_larger_photos(tmp_path: Path) -> None:
    Image.new("1", (14_000, 14_000)).save(tmp_path / "large.png")
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", LIMIT, str(tmp_path / "large.png")],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("the limit holds for others\n", "")
