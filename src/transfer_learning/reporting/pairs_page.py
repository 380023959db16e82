"""Photos that may look the same, side by side, as one HTML file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from transfer_learning.core.errors import printable
from transfer_learning.photos import decode
from transfer_learning.reporting import pages
from transfer_learning.reporting.new_photos import Findings

MOST = 200  # pairs on the page, about 40 kB each
LONGEST = 360  # pixels of the longer side of a picture
QUALITY = 80  # of its JPEG


def render(found: Findings, folder: Path, source: str) -> str:
    """Render the page.

    Args:
        folder: that the photos of `found` are in.
        source: what the user has named, a folder, archive or URL.

    Returns:
        HTML5: pictures are inside, and names of files are escaped.
    """
    rows = {} if found.split is None else found.split.set_index("path")[["label", "part"]].to_dict("index")
    pairs = [
        {
            "photos": [_photo(folder, path, rows[path]) for path in (pair.one, pair.other)],
            "similarity": pair.similarity,
            "mirrored": pair.mirrored,
            "classes": len({rows[path]["label"] for path in (pair.one, pair.other)}),
        }
        for pair in found.similar[:MOST]
    ]
    return pages.template("pairs.html.j2").render(
        source=printable(source), pairs=pairs, number=len(found.similar), refused=found.refused
    )


def _photo(folder: Path, path: str, row: dict[str, str]) -> dict[str, Any]:
    pixels = decode.load_whole(folder / path, longest=LONGEST, bound=decode.ANY)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=QUALITY, optimize=True)
    return {
        "path": printable(path),
        "label": printable(row["label"]),
        "part": row["part"],
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "src": pages.data_uri(packed.getvalue(), "jpeg"),
    }
