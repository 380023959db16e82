"""What a folder or archive holds: its photos with their classes, and what is left out, which is said or refused."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from transfer_learning.core.errors import UserError, printable
from transfer_learning.ingest import layout
from transfer_learning.photos import names

PHOTOS = names.SUFFIXES | names.TO_CONVERT


@dataclass(frozen=True)
class Listing:
    """Photos of a folder or archive.

    Attributes:
        folder: that the paths are relative to: without the folders that all photos share.
        shared: these, with `/`; empty if there are none.
        rows: path of each photo with its class and part, by `layout.read`, sorted by the paths' UTF-8 bytes.
        left_out: number of the other files, by what they are.
        said: what was understood of the folders' names.
    """

    folder: Path
    shared: str
    rows: list[tuple[str, str, str]]
    left_out: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.rows]

    def notes(self) -> list[str]:
        """What people should know of it, in lines."""
        return [*self.said, *([names.describe(self.left_out)] if self.left_out else [])]


@dataclass
class Contents:
    """Files and folders as they are met, by their paths from the uppermost folder with `/`.

    Args:
        where: the folder or archive, for messages.
        leave_out: folders that are left out, by name or by the end of their path.
    """

    where: Path
    leave_out: Sequence[str] = ()
    files: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    used: set[str] = field(default_factory=set)

    def add(self, path: str) -> bool:
        """Take a file; whether it is a photo that counts.

        Raises:
            UserError: a photo's name is not allowed.
        """
        if self._asked_for(path):
            self.left_out[names.ASKED_FOR] += 1
            return False
        self.files.append(path)
        if not names.is_photo(path):
            self.left_out[names.reason(path)] += 1
            return False
        if problem := names.problem(path):
            raise UserError(f"{self.where}: {printable(path)!r} {problem}; rename it")
        return True

    def add_folder(self, path: str) -> None:
        """Take a folder, which may be empty."""
        if not self._asked_for(f"{path}/"):
            self.folders.add(path)

    def _asked_for(self, path: str) -> bool:
        for entry in self.leave_out:
            if f"/{entry.strip('/')}/" in f"/{path}"[: f"/{path}".rfind("/") + 1]:
                self.used.add(entry)
                return True
        return False

    def listing(self) -> Listing:
        """All of it.

        Raises:
            UserError: no photo, folders whose meaning is not clear, a class without photos, or a folder to be left out
                that is not there.
        """
        if unknown := [entry for entry in self.leave_out if entry not in self.used]:
            raise UserError(f"data.leave_out = {unknown[0]!r}: {self.where} has no such folder")
        paths = [path for path in self.files if names.is_photo(path)]
        if not paths:
            rest = f"; {names.describe(self.left_out)}" if self.left_out else ""
            raise UserError(f"{self.where} holds no photos ({names.KINDS}){rest}")
        number = layout.shared_folders([PurePosixPath(path) for path in paths])
        shared = "/".join(PurePosixPath(paths[0]).parts[:number])
        inner = sorted((path[len(shared) + 1 if shared else 0 :] for path in paths), key=os.fsencode)
        folder = self.where / shared
        found = layout.read(inner, folder, shared)
        self._refuse_vanished(found, shared)
        return Listing(folder, shared, found.rows, self.left_out, found.said)

    def _refuse_vanished(self, found: layout.Layout, shared: str) -> None:
        """Refuse folders that stand where class folders or parts do and give no photo."""
        directly: dict[str, Counter[str]] = {folder: Counter() for folder in self.folders}
        good = {"."}
        for path in self.files:
            folder = path.rpartition("/")[0] or "."
            directly.setdefault(folder, Counter())[names.suffix(path)] += 1
            if names.is_photo(path):
                good.add(folder)
        good |= {str(above) for folder in good for above in PurePosixPath(folder).parents}
        kinds: dict[str, Counter[str]] = defaultdict(Counter)  # with what lies deeper
        for folder, found_there in directly.items():
            for above in (folder, *map(str, PurePosixPath(folder).parents)):
                kinds[above].update(found_there)
        parents = {f"{shared}/{parent}".strip("/") or "." for parent in found.parents}
        outer = {parent.as_posix() for one in parents for parent in PurePosixPath(one).parents}
        lost = {}
        for folder in sorted(set(kinds) - good):
            parent, name = PurePosixPath(folder).parent.as_posix(), PurePosixPath(folder).name
            if names.of_programs(folder) or parent not in parents | outer:
                continue
            part = parent in outer and found.parents != {""} and layout.in_words(name)[0] is not None
            if set(kinds[folder]) & PHOTOS or ((parent in parents or part) and not name.startswith(".")):
                lost[folder] = _why(name, kinds[folder])
        if lost:
            some = "; ".join(f"{printable(folder)} ({why})" for folder, why in list(lost.items())[:5])
            more = f"; and {len(lost) - 5} more" if len(lost) > 5 else ""
            raise UserError(
                f"{self.where}: no photo of these folders would be taken: {some}{more}; or {layout.leaving_out(*lost)}"
            )


def _why(name: str, kinds: Counter[str]) -> str:
    if not kinds:
        return "empty"
    if name.startswith("."):
        return "hidden by the dot at the beginning of its name: rename it"
    if set(kinds) <= names.SUFFIXES:
        return "only hidden photos"
    said = ", ".join(f"{number} {printable(kind) or 'without an ending'}" for kind, number in kinds.most_common(4))
    return f"only {said}{': convert them to JPEG' if set(kinds) & names.TO_CONVERT else ''}"
