"""Bring together the photos that `data` names, checked, in data/raw: themselves, or the list of where they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transfer_learning.core import surroundings
from transfer_learning.core.errors import UserError
from transfer_learning.ingest import own_folder
from transfer_learning.ingest.archives import extract_photos
from transfer_learning.ingest.downloads import locate
from transfer_learning.ingest.drawn import draw_dataset
from transfer_learning.photos import inventory
from transfer_learning.settings.schema import Settings


def fetch_photos(settings: Settings, folder: Path) -> int:
    """Fill `folder` with the photos that `data` names, or with the list of them; returns their number."""
    data = settings.data
    where, paths, source = _gather(data, folder)
    broken = inventory.broken(where, paths, max_megapixels=settings.images.max_megapixels)
    if broken:
        said = f"{len(broken)} of {len(paths)} photos are unreadable: {inventory.name_some(broken)}"
        if data.kind != "folder" or not data.skip_broken or len(broken) == len(paths):
            raise UserError(said + ("; data.skip_broken=true leaves them out" if data.kind == "folder" else ""))
        print(f"left out: {said}")
    hashes = inventory.hashes(where, [path for path in paths if path not in broken])
    if misread := surroundings.dvc_misreads(hashes):
        raise UserError(f"DVC would record {misread!r} under another name in this locale: export PYTHONUTF8=1 first")
    if data.kind != "drawn":
        _check_digest(hashes, data.digest, source)
    if where == folder:
        for path in broken:
            (folder / path).unlink()
    elif data.kind == "folder" and data.copy_photos:
        own_folder.copy(where, hashes, folder)
    else:
        own_folder.write_list(folder, where, hashes)
    return len(hashes)


def _gather(data: Any, folder: Path) -> tuple[Path, list[str], str]:
    """Where the photos are, their paths in there, and where they come from; all but those of a folder of one's own are
    drawn or unpacked into `folder`."""
    if data.kind == "drawn":
        options = {"classes": data.classes, "photos_per_class": data.photos_per_class}
        return folder, draw_dataset(folder, size=data.side, seed=data.seed, **options), data.name
    if data.kind == "folder":  # `watch` is the path, absolute: DVC may run this in a temporary directory
        source = own_folder.find(data.path if own_folder.is_url(data.path) else data.watch)
    else:
        source = locate(data.archive, data.url)
    if source.is_dir():
        listing = own_folder.list_folder(source, max_files=data.max_files)
        if listing.others:
            print(own_folder.describe(listing.others))
        return listing.folder, listing.paths, str(source)
    return folder, extract_photos(source, folder, max_bytes=data.max_unpacked_mb * 1_000_000), str(source)


def _check_digest(hashes: dict[str, str], wanted: str | None, source: str) -> None:
    found = inventory.digest(hashes)
    if wanted is None:
        print(f"digest of the photos: {found}")
    elif found != wanted:
        raise UserError(f"{source} holds other photos: their digest is {found}, data.digest is {wanted}")
