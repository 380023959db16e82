"""Bring together the photos that `data` names, checked, in data/raw: themselves, or the list of where they are read."""

from __future__ import annotations

from pathlib import Path

from transfer_learning import layout, own_photos, photos
from transfer_learning.archives import extract_photos
from transfer_learning.drawn import draw_dataset
from transfer_learning.errors import UserError
from transfer_learning.listing import Listing
from transfer_learning.schema import ArchiveData, FolderData, Settings
from transfer_learning.sources import kept_if_whole, locate


def fetch_photos(settings: Settings, folder: Path) -> int:
    """Fill `folder` with the photos that `data` names, or with the list of them; returns their number."""
    data = settings.data
    if data.kind == "drawn":
        options = {"classes": data.classes, "photos_per_class": data.photos_per_class}
        return len(draw_dataset(folder, size=data.side, seed=data.seed, **options))
    listing, source = _gather(data, folder)
    for note in listing.notes():
        print(note)
    where, paths = listing.folder, listing.paths
    broken = photos.broken(where, paths, max_megapixels=settings.images.max_megapixels)
    if broken:
        said = f"{len(broken)} of {len(paths)} photos are unreadable: {photos.name_some(broken)}"
        if data.kind != "folder" or not data.skip_broken or len(broken) == len(paths):
            raise UserError(said + ("; data.skip_broken=true leaves them out" if data.kind == "folder" else ""))
        layout.refuse_lost_classes(listing.rows, broken, source)
        print(f"left out: {said}")
    hashes = photos.hashes(where, [path for path in paths if path not in broken])
    _check_digest(hashes, data.digest, source)
    if where == folder:
        for path in broken:
            (folder / path).unlink()
    elif data.kind == "folder" and data.copy_photos:
        own_photos.copy(where, hashes, folder)
    else:
        own_photos.write_list(folder, where, hashes)
    return len(hashes)


def _gather(data: ArchiveData | FolderData, folder: Path) -> tuple[Listing, Path]:
    """The photos and where they come from; those of an archive are unpacked into `folder`."""
    if data.kind == "archive":
        source = locate(data.archive, data.url)
        with kept_if_whole(source):
            return extract_photos(source, folder, max_bytes=data.max_unpacked_mb * 1_000_000), source
    # `watch` is the path, absolute: DVC may run this in a temporary directory
    source = own_photos.find(data.path if own_photos.is_url(data.path) else data.watch)
    return own_photos.listed(source, folder, data), source


def _check_digest(hashes: dict[str, str], wanted: str | None, source: Path) -> None:
    found = photos.digest(hashes)
    if wanted is None:
        print(f"digest of the photos: {found}")
    elif found != wanted:
        raise UserError(f"{source} holds other photos: their digest is {found}, data.digest is {wanted}")
