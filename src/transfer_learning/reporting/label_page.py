"""The page on which a person looks at photos whose label looks wrong, and ticks those that are."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.ingest.corrections import COLUMNS, Correction
from transfer_learning.photos import decode
from transfer_learning.photos.inventory import Photos
from transfer_learning.reporting import pages
from transfer_learning.reporting.label_issues import Found, Issue

MOST = 300  # photos on the page: a person looks at as many in ten minutes
LONGEST = 240  # pixels of a thumbnail's longer side
QUALITY = 80  # of its JPEG, 1 to 95: 10 kB or so


@dataclass(frozen=True)
class Card:
    """A photo on the page: the issue, its row in the file of corrections but for the label, and a thumbnail.

    Attributes:
        path, sha256, given: as in the file.
        src: thumbnail as a data URL.
        width, height: of it, in pixels.
    """

    issue: Issue
    path: str
    sha256: str
    given: str
    src: str
    width: int
    height: int


def render(found: Found, photos: Photos, earlier: Sequence[Correction], *, data: str) -> str:
    """Render the page.

    Args:
        found: of its issues the first MOST are shown.
        earlier: corrections that the split has been made with. The file that the page saves has these too.
        data: what the photos are called.

    Returns:
        HTML5 that needs no other file and no network; what people have named is escaped.

    Raises:
        UserError: a photo is gone or has changed since fetch.
    """
    script = (pages.TEMPLATES / "labels.js").read_text(encoding="utf-8")  # names are in attributes
    before = {one.sha256: one for one in earlier}

    def card(issue: Issue) -> Card:
        sha256, thumbnail = _seen(photos, issue.path)
        one = before.get(sha256)
        path, given = (one.path, one.given) if one else (issue.path.as_posix(), issue.label)
        return Card(issue, path, sha256, given, *thumbnail)

    with ThreadPoolExecutor() as pool:
        cards = list(pool.map(card, found.issues[:MOST]))
    return pages.template("labels.html.j2").render(
        data=data,
        cards=cards,
        found=found,
        earlier=earlier,
        columns=",".join(COLUMNS),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _seen(photos: Photos, path: Path) -> tuple[str, tuple[str, int, int]]:
    """sha256 of a photo; its thumbnail as a data URL, with width and height."""
    photo = photos.chosen([path])[0]
    try:
        sha256 = files.digest(photo.path, "sha256")
        if photo.sha256 not in (None, sha256):
            raise UserError(f"has changed since fetch read it: {decode.AS_IT_IS_NOW}")
        pixels = decode.load_whole(photo.path, longest=LONGEST, bound=decode.ANY)
    except UserError as error:
        raise UserError(f"photo {photo.path} {error}") from None
    except OSError as error:
        raise UserError(f"photo {photo.path} cannot be opened ({error.strerror}); has it been moved?") from None
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=QUALITY, optimize=True)
    height, width, _ = pixels.shape
    return sha256, (pages.data_uri(packed.getvalue(), "jpeg"), width, height)
