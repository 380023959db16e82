"""Bring together the photos that `data` names, checked, in data/raw: themselves, or the list of where they are read."""

from __future__ import annotations

from pathlib import Path

from transfer_learning.core import surroundings
from transfer_learning.core.errors import UserError
from transfer_learning.ingest import layout, own_folder
from transfer_learning.ingest.downloads import locate
from transfer_learning.ingest.drawn import draw_dataset
from transfer_learning.ingest.listing import Listing
from transfer_learning.photos import inventory
from transfer_learning.settings.data import ArchiveData, DrawnData, FolderData
from transfer_learning.settings.schema import Settings


def fetch_photos(settings: Settings, folder: Path) -> int:
    """Fill `folder` with the photos that `data` names, or with the list of them; returns their number."""
    data = settings.data
    listing, source = _gather(data, folder)
    for note in listing.notes():
        print(note)
    where, paths = listing.folder, listing.paths
    broken = inventory.broken(where, paths, max_megapixels=settings.images.max_megapixels)
    if broken:
        said = f"{len(broken)} of {len(paths)} photos are unreadable: {inventory.name_some(broken)}"
        if data.kind != "folder" or not data.skip_broken or len(broken) == len(paths):
            raise UserError(said + ("; data.skip_broken=true leaves them out" if data.kind == "folder" else ""))
        layout.refuse_lost_classes(listing.rows, broken, source)
        print(f"left out: {said}")
    good = [path for path in paths if path not in broken]
    if data.kind == "folder" and data.copy_photos and where != folder:
        own_folder.copy(where, good, folder)
        where = folder  # before they are digested: a photo may change while it is copied
    hashes = inventory.hashes(where, good)
    if misread := surroundings.dvc_misreads(hashes):
        raise UserError(f"DVC would record {misread!r} under another name in this locale: export PYTHONUTF8=1 first")
    if data.kind != "drawn":
        _check_digest(hashes, data.digest, source)
    if where != folder:
        own_folder.write_list(folder, where, hashes)
    for path in broken:
        (folder / path).unlink(missing_ok=True)
    return len(hashes)


def _gather(data: ArchiveData | FolderData | DrawnData, folder: Path) -> tuple[Listing, Path]:
    """The photos and where they come from; all but those of one's own folder are drawn or unpacked into `folder`."""
    if data.kind == "drawn":
        options = {"classes": data.classes, "photos_per_class": data.photos_per_class}
        paths = draw_dataset(folder, size=data.side, seed=data.seed, **options)
        return Listing(folder, "", layout.read(paths, folder).rows), folder
    if data.kind == "archive":
        source = locate(data.archive, data.url)
        return own_folder.unpacked(source, folder, data), source
    # `watch` is the path, absolute: DVC may run this in a temporary directory
    source = own_folder.find(data.path if own_folder.is_url(data.path) else data.watch)
    return own_folder.listed(source, folder, data), source


def _check_digest(hashes: dict[str, str], wanted: str | None, source: Path) -> None:
    found = inventory.digest(hashes)
    if wanted is None:
        print(f"digest of the photos: {found}")
    elif found != wanted:
        raise UserError(f"{source} holds other photos: their digest is {found}, data.digest is {wanted}")
