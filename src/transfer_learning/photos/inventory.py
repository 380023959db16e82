"""Which files of a folder are photos, whether they can be trusted, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.photos import names
from transfer_learning.photos.decode import Bound, Photo, load

IN_PLACE = "in_place.json"  # in data/raw, when the photos are read in a folder elsewhere: that folder, and their sha256


def list_photos(folder: Path) -> list[str]:
    """Paths of all photos below `folder`, relative, with `/`, sorted by their UTF-8 bytes."""
    return sorted(filter(names.is_photo, _files(folder)), key=os.fsencode)


def left_out(folder: Path) -> Counter[str]:
    """Number of the other files below `folder`, by what they are."""
    return Counter(names.reason(path) for path in _files(folder) if not names.is_photo(path))


def _files(folder: Path) -> Iterator[str]:
    for root, _, files_there in os.walk(folder):
        inside = Path(root).relative_to(folder)
        yield from ((inside / name).as_posix() for name in files_there)


def broken(folder: Path, paths: list[str], *, max_megapixels: int) -> dict[str, str]:
    """Decode every photo once, so that a broken one is found before any training.

    Returns:
        What is wrong, by path, for the photos that cannot be read.
    """

    def problem(path: str) -> str | None:
        try:
            load(folder / path, size=32, bound=Bound(max_megapixels))
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"cannot be opened ({error.strerror})"
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = zip(paths, pool.map(problem, paths), strict=True)
        return {path: text for path, text in found if text}


def name_some(problems: dict[str, str]) -> str:
    """The first five broken photos and the number of the others, on one line."""
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    return "; ".join(f"{path} {text}" for path, text in list(problems.items())[:5]) + more


def hashes(folder: Path, paths: list[str]) -> dict[str, str]:
    """sha256 of each photo by path, sorted by the paths' UTF-8 bytes."""
    ordered = sorted(paths, key=os.fsencode)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(ordered, pool.map(lambda path: files.digest(folder / path, "sha256"), ordered), strict=True))


def digest(hashes: dict[str, str]) -> str:
    """sha256 over the `sha256sum` lines of photos as `hashes` gives them; the same however they were packed."""
    lines = hashlib.sha256()
    for path, sha in hashes.items():
        lines.update(f"{sha}  {path}\n".encode())
    return lines.hexdigest()


@dataclass(frozen=True)
class Photos:
    """The photos of data/raw, as the stages read them.

    Attributes:
        folder: that they lie in: data/raw itself, or the one elsewhere in which they are read.
        listed: sha256 of each by path, as fetch found it, where they lie elsewhere; None where DVC keeps them.
    """

    folder: Path
    listed: Mapping[str, str] | None = None

    def chosen(self, paths: Iterable[Path]) -> list[Photo]:
        """Photos to read; of one that is not in the list no content is right."""
        if self.listed is None:
            return [Photo(self.folder / path) for path in paths]
        return [Photo(self.folder / path, self.listed.get(path.as_posix(), "")) for path in paths]

    def sha256(self, path: Path) -> str:
        """sha256 of a photo that has been read."""
        if self.listed is None:
            return files.digest(self.folder / path, "sha256")
        return self.listed[path.as_posix()]


def read(raw: Path) -> Photos:
    """What data/raw holds: the photos, or the list of them."""
    if not (raw / IN_PLACE).exists():
        return Photos(raw)
    listed = json.loads((raw / IN_PLACE).read_text(encoding="utf-8"))
    return Photos(Path(listed["folder"]), listed["photos"])


def inventory(raw: Path) -> dict[str, str]:
    """sha256 of each photo of data/raw by its path in the folder; of photos elsewhere as they were when fetch ran."""
    listed = read(raw).listed
    return hashes(raw, list_photos(raw)) if listed is None else dict(listed)
