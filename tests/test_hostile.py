"""Photos and archives that nobody vouches for: thousands of broken ones, each refused in a line or taken.

The corpus is made here, the same one each time: small valid files of every kind, then cut, spliced and overwritten. A
process of its own with bounded memory goes through it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import resource
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from transfer_learning import photos
from transfer_learning.archives import extract_photos
from transfer_learning.errors import UserError

MEMORY = 3 << 30  # bytes of address space, two of which Python, NumPy and Pillow take before the first photo
SECONDS = 5.0  # for one file
NUMBERS = [struct.pack(f"{order}{kind}", value) for order in "<>" for kind, value in (
    ("I", 0xFFFFFFFF), ("I", 0x7FFFFFFF), ("H", 0xFFFF), ("I", 0), ("H", 0), ("Q", 2**64 - 1), ("Q", 2**63),
)]  # fmt: skip


def mutate(valid: list[bytes], generator: np.random.Generator) -> bytes:
    """A broken copy of one of the files: cut, bytes overwritten, a length made absurd, spliced, a part repeated."""
    content = bytearray(valid[generator.integers(len(valid))])
    for _ in range(generator.integers(1, 4)):
        place = int(generator.integers(len(content))) if content else 0
        # headers decide most, so half of all changes are made there
        place = place if generator.random() < 0.5 else min(place, int(generator.integers(1, 200)))
        kind = generator.integers(6)
        if kind == 0:
            del content[place:]
        elif kind == 1:
            content[place : place + 1] = generator.bytes(1)
        elif kind == 2:
            content[place : place + 16] = generator.bytes(int(generator.integers(1, 16)))
        elif kind == 3:
            number = NUMBERS[generator.integers(len(NUMBERS))]
            content[place : place + len(number)] = number
        elif kind == 4:
            other = valid[generator.integers(len(valid))]
            content[place:] = other[int(generator.integers(len(other))) :]
        else:
            content[place:place] = content[place : place + int(generator.integers(1, 400))]
    return bytes(content)


def valid_photos() -> list[bytes]:
    """Small photos of every format and of the modes in which cameras and programs write them."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8).repeat(2, 0))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photo"
    # an orientation, and a resolution as text, which it must not be
    tags = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHI4s", 0x011A, 2, 3, b"72\0")
    odd = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 3) + tags + struct.pack("<HHI4sI", 0x0128, 2, 3, b"in\0", 0)
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgb, "JPEG", {"exif": odd}), (rgb, "PNG", {"exif": odd}), (rgb, "PNG", {"exif": b"II*\0"}),
        (rgb, "JPEG", {"exif": exif}), (rgb, "JPEG", {"progressive": True}), (rgb.convert("CMYK"), "JPEG", {}),
        (rgb.convert("L"), "JPEG", {"optimize": True}), (rgb, "PNG", {}),
        (rgb.convert("P"), "PNG", {"transparency": 3}),
        (rgb.convert("RGBA"), "PNG", {"exif": exif}), (rgb.convert("I;16"), "PNG", {}), (rgb.convert("1"), "PNG", {}),
        (rgb.convert("P"), "GIF", {}),
        (rgb.convert("P"), "GIF", {"save_all": True, "append_images": [rgb.convert("P")]}),
        (rgb, "WEBP", {}), (rgb, "WEBP", {"lossless": True}), (rgb.convert("RGBA"), "WEBP", {"exif": exif}),
        (rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        (rgb, "BMP", {}), (rgb.convert("P"), "BMP", {}), (rgb.convert("1"), "BMP", {}),
        (rgb.convert("RGBA"), "BMP", {}),
    ]  # fmt: skip
    found = []
    for image, kind, options in kinds:
        file = io.BytesIO()
        image.save(file, kind, **options)
        found.append(file.getvalue())
    return found


def valid_archives() -> list[bytes]:
    """Small archives of every kind, with photos in class folders."""
    members = {f"pets/{part}/{label}/{number}.jpg": bytes([number]) * (300 * number + 1)
               for part in ("train", "validation") for label in ("cats", "dogs é") for number in range(3)}  # fmt: skip
    found = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as target:
            for name, content in members.items():
                target.writestr(name, content)
        found.append(file.getvalue())
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name + "x" * (120 if form != tarfile.USTAR_FORMAT else 0) + ".jpg")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        found.append(file.getvalue())
    return [*found, *(pack(found[-1]) for pack in (gzip.compress, bz2.compress, lzma.compress))]


def evil_archives() -> Iterator[bytes]:
    """Archives that are in order as files, and whose members are not."""
    names = ["../out.jpg", "a/../../out.jpg", "/tmp/out.jpg", "C:/out.jpg", "..\\out.jpg", "a\0b.jpg",
             "a/" * 2000 + "b.jpg",
             "x" * 300 + ".jpg", "", "/", ".", "a//b.jpg", "a/./b.jpg", "\ud800.jpg", "a/b.jpg/c.jpg"]  # fmt: skip
    for name in names:
        for packed in ("zip", "tar"):
            file = io.BytesIO()
            try:
                if packed == "zip":
                    with zipfile.ZipFile(file, "w") as target:
                        target.writestr("a/b.jpg", b"1")
                        target.writestr(zipfile.ZipInfo(name), b"2")
                else:
                    with tarfile.open(fileobj=file, mode="w") as tar:
                        for one in ("a/b.jpg", name):
                            info = tarfile.TarInfo(one)
                            info.size = 1
                            tar.addfile(info, io.BytesIO(b"1"))
            except (UnicodeEncodeError, IndexError):  # no archive can hold this name
                continue
            yield file.getvalue()
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name in ("a/link.jpg", "a/link.jpg/out.jpg"):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, "../../.."
                tar.addfile(info)
        yield file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:  # 300 MB in 300 kB
        target.writestr("a/b.jpg", bytes(300_000_000))
    yield file.getvalue()
    lies = bytearray(file.getvalue())
    for place in (lies.find(b"PK\x01\x02") + 24, 22):
        lies[place : place + 4] = struct.pack("<I", 1000)  # and says it were 1,000 bytes
    yield bytes(lies)


def go_through(corpus: Iterator[bytes], take: Callable[[Path], object], folder: Path) -> dict[str, object]:
    """Take every file of a corpus.

    Returns:
        How many were taken and refused, the longest time, and what went wrong with any.
    """
    count, slowest, wrong = {"taken": 0, "refused": 0}, 0.0, []
    path = folder / "file"
    for number, content in enumerate(corpus):
        path.write_bytes(content)
        started = time.monotonic()
        try:
            take(path)
            count["taken"] += 1
        except UserError as error:
            count["refused"] += 1
            if "\n" in str(error):
                wrong.append(f"{number}: {error!r} has several lines")
        except Exception as error:
            wrong.append(f"{number}: {type(error).__name__}: {error}"[:300])
        slowest = max(slowest, time.monotonic() - started)
    return count | {"slowest": round(slowest, 2), "peak_mb": peak_megabytes(), "wrong": wrong}


def peak_megabytes() -> int:
    """Peak memory of this program alone: ru_maxrss keeps what the process that started it held at that moment."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def take_photo(path: Path) -> None:
    pixels = photos.load(path, size=64)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8


def take_archive(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as aside:
        inside = Path(aside) / "deep" / "down"
        inside.mkdir(parents=True)
        try:
            extract_photos(path, inside / "out", max_bytes=10_000_000)
        finally:
            others = {found for found in Path(aside).rglob("*") if inside / "out" not in (found, *found.parents)}
            assert others == {inside.parent, inside}
            assert {found.name for found in path.parent.iterdir()} == {path.name, Path(aside).name}


def main() -> None:
    kind, number = sys.argv[1], int(sys.argv[2])
    generator = np.random.default_rng(42)
    valid, take = (valid_photos(), take_photo) if kind == "photos" else (valid_archives(), take_archive)

    def corpus() -> Iterator[bytes]:
        yield from valid
        yield from evil_archives() if kind == "archives" else ()
        yield from (mutate(valid, generator) for _ in range(number))

    with tempfile.TemporaryDirectory() as aside:
        print(json.dumps(go_through(corpus(), take, Path(aside))))


@pytest.mark.parametrize(("kind", "number"), [("photos", 3000), ("archives", 600)])
def test_every_file_of_the_corpus_is_taken_or_refused_in_a_line(kind: str, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, kind, str(number)], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["taken"] + found["refused"] >= number
    assert found["taken"] > 10
    assert found["refused"] > number / 4
    assert found["slowest"] < SECONDS
    assert found["peak_mb"] < 500


def test_a_photo_of_a_hundred_megapixels_in_a_few_kilobytes_is_refused(tmp_path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png", optimize=True)
    assert (tmp_path / "bomb.png").stat().st_size < 50_000
    found = photos.broken(tmp_path, ["bomb.png"], max_megapixels=80)
    said = "has 100,000,000 pixels, more than the 80 megapixels that images.max_megapixels allows"
    assert found == {"bomb.png": said}
    assert photos.broken(tmp_path, ["bomb.png"], max_megapixels=100) == {}


if __name__ == "__main__":
    main()
