"""Decoding: what a photo is once it is read, upright, in RGB, at the size asked for."""

from __future__ import annotations

import hashlib
import io
import stat
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from transfer_learning.core.errors import UserError
from transfer_learning.photos import memory

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
TO_CONVERT = {  # photos of other formats, whatever their suffix: how the file begins, or names its brand
    "HEIC": (b"hei", b"hev", b"mif1", b"msf1"),
    "AVIF": (b"avi",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG XL": (b"\xff\n", b"\0\0\0\x0cJXL "),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "Photoshop": (b"8BPS",),
}
LONGEST_SIDE = 65_535  # pixels; no JPEG, GIF or WebP can have more, and resizing a row keeps all the others
STRIP = 1 << 18  # pixels that are converted at a time
ORIENTATION = 0x0112  # the EXIF tag, and what each value asks for
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
OPENING = threading.Lock()
AS_IT_IS_NOW = "put it back, or `dvc repro --force fetch` takes the folder as it is now"


@dataclass(frozen=True)
class Bound:
    """How many megapixels a photo may have, and whose bound that is, as a refusal says it."""

    megapixels: int
    said: str = "images.max_megapixels allows"

    def __str__(self) -> str:
        return f"the {self.megapixels} megapixels that {self.said}"


class Photo(NamedTuple):
    """A photo to read. `sha256`: that its file must have, where nobody but its owner keeps it; None where DVC does."""

    path: Path
    sha256: str | None = None


USUAL = Bound(80)  # as in conf/config.yaml
ANY = Bound(sys.maxsize)  # of photos that have been checked before


def load(path: Path | BinaryIO, *, size: int, bound: Bound = USUAL) -> np.ndarray:
    """Decode one photo as a viewer shows it and resize it to a square, ignoring its aspect ratio.

    EXIF rotation is applied, transparency is laid on white, 16-bit values are scaled down, an animation gives its
    first frame.

    Args:
        path: a file, or an open one that can seek.
        bound: larger photos are refused by what their header says, before they are decoded.

    Returns:
        (size, size, 3) uint8 in [0, 255].

    Raises:
        UserError: the file is no photo or broken; the message does not name the file.
    """
    return _decoded(path, size, bound)


def load_whole(path: Path, *, longest: int, bound: Bound = USUAL) -> np.ndarray:
    """Decode one photo as `load` does and keep its aspect ratio: (h, w, 3) uint8, the longer side at most `longest`."""
    return _decoded(path, longest, bound, square=False)


def opened(photo: Path | BinaryIO) -> Image.Image:
    """Open a photo of whatever size, without decoding it: the caller looks at the size.

    Pillow's own limit is the process's: it is lifted by one thread at a time, as long as a header is read. The list of
    formats, which is made on first use, is not safe between threads either.
    """
    with OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(photo, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decoded(path: Path | BinaryIO, size: int, bound: Bound, *, square: bool = True) -> np.ndarray:
    """Pixels of a photo, upright and in RGB, at most `size` a side, for which no more than needed is decoded."""
    try:
        # from memory: a decoder that is told an absurd length by a broken file asks for a buffer of that size
        image = opened(_whole(path, bound))
        full = image.size
        if (pixels := image.width * image.height) > bound.megapixels * 1_000_000:
            raise UserError(f"has {pixels:,} pixels, more than {bound}")
        if max(full) > LONGEST_SIDE:
            raise UserError(
                f"is {image.width:,} x {image.height:,} pixels: no side may have more than {LONGEST_SIDE:,}"
            )
        if image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * size, 2 * size))  # libjpeg decodes at 1/2, 1/4 or 1/8 where that is enough
        with memory.DECODING.taken(memory.needed(image, full, size=size)):
            image.load()
            turn = TURNS.get(_orientation(image))
            # each step takes the name of the one before, which is free for others then
            image = image.transpose(turn) if turn is not None else image
            image = _in_eight_bits(image)
            if square:
                return np.asarray(_square(image, size).convert("RGB"))
            image = image.convert("RGB") if image.mode != "RGB" else image
            image.thumbnail((size, size))
            return np.asarray(image)
    except Image.UnidentifiedImageError:
        raise UserError(_what(path)) from None
    except MemoryError:
        raise UserError("takes more memory to decode than there is") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's decoders raise all of these
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"cannot be decoded ({error})") from None


def _whole(photo: Path | BinaryIO, bound: Bound) -> BinaryIO:
    """The file's bytes in memory; no photo within the bound takes more than 8 a pixel."""
    return io.BytesIO(_content(photo, bound)) if isinstance(photo, Path) else photo


def _content(photo: Path, bound: Bound) -> bytes:
    status = photo.stat()
    if not stat.S_ISREG(status.st_mode):  # reading it might never end
        raise UserError("is no file but a folder, pipe or device")
    size = status.st_size
    if size > 8_000_000 * bound.megapixels:
        raise UserError(f"has {size / 1e6:,.0f} MB, more than any photo within {bound}")
    return photo.read_bytes()


def _what(photo: Path | BinaryIO) -> str:
    """What is wrong with a file that is no photo of ours, by its first bytes."""
    if isinstance(photo, Path):
        with open(photo, "rb") as file:
            start = file.read(16)
    else:
        photo.seek(0)
        start = photo.read(16)
    if not start:
        return "is empty"
    for kind, signs in TO_CONVERT.items():
        if start.startswith(signs) or (start[4:8] == b"ftyp" and start[8:].startswith(signs)):
            return f"is {kind}: convert it to JPEG"
    return "is not a JPEG, PNG, GIF, BMP or WebP file"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where the camera or a broken file says nothing usable."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow's EXIF parser raises whatever its parts do, and the pixels are good all the same
        return 1


def resize(pixels: np.ndarray, *, size: int) -> np.ndarray:
    """Resize (h, w, 3) uint8 to (size, size, 3) uint8, as `load` does."""
    return np.asarray(_square(Image.fromarray(pixels), size))


def _square(image: Image.Image, size: int) -> Image.Image:
    # Pillow's bilinear filter averages when it shrinks, where the tutorial's does not
    return image.resize((size, size), Image.Resampling.BILINEAR)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Lay a photo on white, in RGB, or in L where all of it is grey, by strips: no second copy of all of it is made."""
    wide = image.mode.startswith("I")  # 16 bits a pixel
    grey = wide or (image.mode in ("1", "L") and not image.has_transparency_data)
    mode = "L" if grey else "RGB"
    if image.mode == mode and not image.has_transparency_data:
        return image
    whole = Image.new(mode, image.size)
    rows = max(STRIP // image.width, 1)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if wide:  # Pillow's own conversion clips instead of scaling
            strip = Image.fromarray((np.asarray(strip, np.int64) >> 8).clip(0, 255).astype(np.uint8))
        elif image.has_transparency_data:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip.convert("RGBA"))
        whole.paste(strip.convert(mode), (0, top))
    return whole


def load_batch(photos: Iterable[Photo], *, size: int, pool: ThreadPoolExecutor) -> np.ndarray:
    """Decode photos that `broken` has passed, side by side.

    Returns:
        (n, size, size, 3) uint8 in [0, 255], in the order of `photos`.

    Raises:
        UserError: a photo is gone, broken, or another than the one that fetch has read.
    """

    def load_named(photo: Photo) -> np.ndarray:
        path, sha256 = photo
        try:
            content = _content(path, ANY)
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise UserError(f"has changed since fetch read it: {AS_IT_IS_NOW}")
            return load(io.BytesIO(content), size=size, bound=ANY)
        except UserError as error:
            raise UserError(f"photo {path} {error}") from None
        except OSError as error:
            raise UserError(f"photo {path} cannot be opened ({error.strerror}); has it been moved?") from None

    return np.stack(list(pool.map(load_named, photos)))
