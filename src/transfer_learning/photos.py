"""Photos: which files are photos, what a decoded photo is, and whether a folder of them can be trusted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from transfer_learning.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}
Image.init()  # registers all formats now: done on first use, it is not safe between threads
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


def is_photo(name: str) -> bool:
    """Whether a file name says photo; hidden files and the __MACOSX folder of archives do not count."""
    parts = Path(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return Path(name).suffix.lower() in SUFFIXES and not hidden


def list_photos(folder: Path) -> list[str]:
    """Paths of all photos below `folder`, relative, with `/`, sorted by their UTF-8 bytes."""
    paths = [
        (Path(root) / name).relative_to(folder).as_posix()
        for root, _, names in os.walk(folder)
        for name in names
        if is_photo(name)
    ]
    return sorted(paths, key=os.fsencode)


def load(path: Path | BinaryIO, *, size: int) -> np.ndarray:
    """Decode one photo as a viewer shows it and resize it to a square, ignoring its aspect ratio.

    EXIF rotation is applied, transparency is laid on white, 16-bit values are scaled down, an animation gives its
    first frame.

    Args:
        path: a file, or an open one that can seek.

    Returns:
        (size, size, 3) uint8 in [0, 255].

    Raises:
        UserError: the file is no photo or broken; the message does not name the file.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.format in ("JPEG", "MPO"):
                image.draft(None, (2 * size, 2 * size))  # libjpeg decodes at 1/2, 1/4 or 1/8 where that is enough
            image.load()
            upright = ImageOps.exif_transpose(image)
            return np.asarray(_square(_as_rgb(upright), size))
    except Image.DecompressionBombError:
        raise UserError(f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from None
    except Image.UnidentifiedImageError:
        empty = path.stat().st_size == 0 if isinstance(path, Path) else not path.seek(0, os.SEEK_END)
        raise UserError("is empty" if empty else "is not a JPEG, PNG, GIF, BMP or WebP file") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's decoders raise all of these
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"cannot be decoded ({error})") from None


def resize(pixels: np.ndarray, *, size: int) -> np.ndarray:
    """Resize (h, w, 3) uint8 to (size, size, 3) uint8, as `load` does."""
    return np.asarray(_square(Image.fromarray(pixels), size))


def _square(image: Image.Image, size: int) -> Image.Image:
    # Pillow's bilinear filter averages when it shrinks, where the tutorial's does not
    return image.resize((size, size), Image.Resampling.BILINEAR)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion clips instead of scaling
        return Image.fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return image.convert("RGB")


def load_batch(paths: Iterable[Path], *, size: int, pool: ThreadPoolExecutor) -> np.ndarray:
    """Decode photos side by side.

    Returns:
        (n, size, size, 3) uint8 in [0, 255], in the order of `paths`.
    """

    def load_named(path: Path) -> np.ndarray:
        try:
            return load(path, size=size)
        except UserError as error:
            raise UserError(f"photo {path} {error}") from None

    return np.stack(list(pool.map(load_named, paths)))


def check_all(folder: Path, paths: list[str]) -> None:
    """Decode every photo once, so that a broken one is found before any training.

    Raises:
        UserError: some photos cannot be read; names the first five and the number of all.
    """

    def problem(path: str) -> str | None:
        try:
            load(folder / path, size=32)
        except UserError as error:
            return f"{path} {error}"
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [text for text in pool.map(problem, paths) if text]
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise UserError(f"{len(problems)} of {len(paths)} photos are unreadable: {'; '.join(problems[:5])}{more}")


def sha256(path: Path) -> str:
    """sha256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(folder: Path, paths: list[str]) -> str:
    """sha256 over the `sha256sum` lines of the photos; the same however they were packed."""
    lines = hashlib.sha256()
    for path in sorted(paths, key=os.fsencode):
        lines.update(f"{sha256(folder / path)}  {path}\n".encode())
    return lines.hexdigest()
