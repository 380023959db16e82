"""Photos of one's own, as `data.path` names them: a folder that is read in place, an archive, or the URL of one."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from transfer_learning.archives import shared_folders
from transfer_learning.errors import UserError
from transfer_learning.photos import IN_PLACE, is_hidden, is_photo
from transfer_learning.sources import downloaded


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        folder: absolute, without the folders that all photos share.
        paths: of the photos in it, relative, with `/`, sorted by their UTF-8 bytes.
        others: number of the other files by suffix, without those in hidden folders; they are left out.
    """

    folder: Path
    paths: list[str]
    others: Counter[str]


def is_url(path: str) -> bool:
    """Whether it is an address and no path on this machine."""
    return path.lower().startswith(("http://", "https://"))


def find(path: str) -> Path:
    """A folder or an archive on this machine; a URL is downloaded once.

    Raises:
        UserError: it is neither, or cannot be had.
    """
    if is_url(path):
        if path.lower().startswith("http:"):
            print(f"{path} comes without encryption: what arrives is checked only against data.digest, if that is set")
        name = Path(urlsplit(path).path).name or "photos"
        return downloaded(path, name, plain_http=True)
    found = Path(path).expanduser()
    if not found.exists():
        raise UserError(f"data.path = {path!r}: there is no such folder or file")
    return found.resolve()


def list_folder(folder: Path, *, max_files: int) -> Listing:
    """List a folder of photos without following links.

    Raises:
        UserError: too many files, a link that leaves the folder or leads to another folder, a name that is no text, a
            folder that cannot be read, or no photo.
    """
    folder = folder.resolve()
    paths: list[str] = []
    others: Counter[str] = Counter()
    for root, folders, names in os.walk(folder, onerror=_cannot_read):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in [*folders, *names]:
            _check(Path(root) / name, folder)
        for name in names:
            path = (Path(root) / name).relative_to(folder).as_posix()
            if is_photo(path):
                paths.append(path)
            else:
                others[Path(name).suffix.lower() or name] += 1
        if len(paths) + others.total() > max_files:
            raise UserError(f"{folder} holds more than {max_files:,} files, the bound of data.max_files")
    if not paths:
        raise UserError(f"{folder} holds no photos (JPEG, PNG, GIF, BMP or WebP)")
    shared = shared_folders([Path(path) for path in paths])
    folder = folder.joinpath(*Path(paths[0]).parts[:shared])
    inner = ("/".join(Path(path).parts[shared:]) for path in paths)
    return Listing(folder, sorted(inner, key=os.fsencode), others)


def _cannot_read(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror})")


def _check(path: Path, folder: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{os.fsencode(path)!r} has a name that is not UTF-8; rename it") from None
    if path.is_symlink():
        target = path.resolve()
        if not target.is_relative_to(folder):
            raise UserError(f"{path} is a link that leaves the folder, to {target}; put the photos themselves there")
        if target.is_dir():
            raise UserError(f"{path} is a link to a folder; put the photos themselves there")


def describe(others: Counter[str]) -> str:
    """What was left out, on one line."""
    kinds = ", ".join(f"{number} {suffix}" for suffix, number in others.most_common(6))
    return f"{others.total():,} file(s) are no photos by their names and are left out ({kinds})"


def copy(folder: Path, paths: Iterable[str], target: Path) -> None:
    """Copy photos of a folder into `target`, which may be there already."""
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target / path)


def write_list(target: Path, folder: Path, hashes: dict[str, str]) -> None:
    """Write the list of photos that stay in their own folder: `target` is what data/raw will be.

    Args:
        hashes: sha256 of each photo by path.
    """
    target.mkdir(exist_ok=True)
    content = json.dumps({"folder": str(folder), "photos": hashes}, indent=0, ensure_ascii=False)
    (target / IN_PLACE).write_text(content + "\n", encoding="utf-8")
