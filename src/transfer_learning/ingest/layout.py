"""Which class and part a photo has by the folders that it lies in; what is not clear is refused with the way out."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from transfer_learning.core.errors import UserError, printable
from transfer_learning.photos.names import KINDS
from transfer_learning.photos.parts import PARTS, part_of

PART_WORD = re.compile(r"(train(?:ing)?|val|valid|validation|test(?:ing)?)(?:set|data|dir|images|imgs|photos)?")
FILLERS = {"set", "data", "dataset", "images", "image", "imgs", "img", "photos", "pictures", "dir", "folder", "split"}
# names of heaps of photos, which are no classes
HEAPS = {"images", "image", "imgs", "img", "jpegimages", "jpegs", "annotations", "labels"}
NUMBERED = HEAPS | {"batch", "fold", "chunk", "shard", "subset", "split", "part"}


@dataclass(frozen=True)
class Layout:
    """What the folders of photos mean.

    Attributes:
        rows: path, class and part of each photo, in the order given; the part is empty where the folders are classes.
        parents: the folders in which class folders lie; "" where that is the folder of all.
        said: what was understood beyond the plain names, in sentences.
    """

    rows: list[tuple[str, str, str]]
    parents: set[str]
    said: list[str]


def read(paths: Iterable[str], where: Path, shared: str = "") -> Layout:
    """Give each photo the class and part that its path says: `class/...` or `train|validation|test/class/...`.

    Parts may be called as usual: in any case, val, training_set, seg_train, test2017, and with the name once more
    inside.

    Args:
        paths: relative, with `/`.
        where: that the paths are relative to, for messages.
        shared: the folders that all of them lie in, for the settings that messages propose.

    Raises:
        UserError: no photo, a photo outside of class folders, folders that are no classes or may be classes or parts,
            or two classes that differ in case or accents' encoding.
    """
    ordered = [PurePosixPath(path) for path in paths]
    if not ordered:
        raise UserError(f"{where} holds no photos ({KINDS})")
    inside: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in ordered:
        inside[path.parts[0] if len(path.parts) > 1 else ""].append(path)
    parts = parts_of(set(inside) - {""})
    depth = {top: _depth(inside[top], part) for top, part in parts.items() if top in inside}
    if not parts:
        _refuse_unclear(inside, where)
    said = [] if all(map(part_of, parts)) else [_taken(parts)]
    rows = []
    for path in ordered:
        folders = path.parts[:-1]
        part = parts.get(folders[0]) if parts and folders else ""
        at = depth[folders[0]] if part else 0
        if part is None or len(folders) <= at:
            allowed = "train, validation or test with class folders in them" if parts else "class folders"
            raise UserError(
                f"photo {where / path} has no class: allowed are {allowed}; {_way_out(path, inside, parts, shared)}"
            )
        rows.append((path.as_posix(), folders[at], part))
    classes = {name for _, name, _ in rows}
    _refuse_same_names(classes, where)
    _refuse_heaps(classes, where)
    if not parts:
        said += _equal_inner_folders(inside)
    parents = {"/".join(inside[top][0].parts[:at]) for top, at in depth.items()} if parts else {""}
    return Layout(rows, parents, said)


def parts_of(top: set[str]) -> dict[str, str]:
    """The part that each of the uppermost folders stands for; empty where they are classes.

    They are parts if all of them are called so, or train and at least one more; of names with more words in them, such
    as seg_train, only those count that differ in nothing else.
    """
    exact = {name: part for name in top if (part := part_of(name))}
    if exact and (len(exact) == len(top) or ("train" in exact.values() and len(set(exact.values())) > 1)):
        return exact
    groups: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in sorted(top):
        part, rest = in_words(name)
        if part in PARTS:
            groups[rest][name] = part
    for rest, names in groups.items():
        found = set(names.values())
        if len(found) == len(names) and (("train" in found and len(found) > 1) or (len(top) == 1 and not rest)):
            return names
    return {}


def in_words(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The part that a word of a folder's name says ("several": more than one) and the words that say more."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = re.findall(r"\d+|[^\W\d_]+", spaced)
    found = {word: part_of(match[1]) for word in words if (match := PART_WORD.fullmatch(word))}
    rest = tuple(word for word in words if word not in found and word not in FILLERS)
    parts = set(found.values())
    return (parts.pop() if len(parts) == 1 else "several" if parts else None), rest


def shared_folders(paths: Sequence[PurePath]) -> int:
    """How many leading folders all photos share, leaving each at least its class folder.

    A folder called like a part is kept, unless the parts are below it.
    """
    shared, kept = 0, None
    most = min(len(path.parts) for path in paths) - 2
    while len(here := {path.parts[shared] for path in paths}) == 1 and shared < most:
        part, rest = in_words(paths[0].parts[shared])
        if kept is None and part in PARTS and not rest:
            kept = shared
        shared += 1
    return shared if kept is None or len(set(parts_of(here).values())) > 1 else kept


def left_out(*folders: str) -> str:
    """The setting that leaves folders out."""
    plain = [printable(folder.strip("/")).replace('"', '\\"') for folder in folders]
    return "data.leave_out=[{}]".format(",".join(f'"{folder}"' for folder in plain))


def leaving_out(*folders: str) -> str:
    """The same as a command takes it, in a sentence."""
    return f"-S {shlex.quote(left_out(*folders))} leaves {'it' if len(folders) == 1 else 'them'} out"


def _depth(paths: list[PurePosixPath], part: str) -> int:
    """Where in the paths of a part its classes are: below its folder, or below the same once more in it."""
    at = 1
    while (shortest := min(len(path.parts) for path in paths)) > at + 1:
        inner = {path.parts[at] for path in paths}
        name = inner.pop()
        if inner or not (in_words(name)[0] == part or (shortest > at + 2 and name.lower() in HEAPS)):
            break
        at += 1
    return at


def _taken(parts: dict[str, str]) -> str:
    return ", ".join(f"{name} is taken as {part}" for name, part in sorted(parts.items()))


def _way_out(path: PurePosixPath, inside: dict[str, list[PurePosixPath]], parts: dict[str, str], shared: str) -> str:
    """What to do about a photo without a class."""
    top = path.parts[0] if len(path.parts) > 1 else ""
    if parts and top and top not in parts:
        again = {other.parts[1] for other in inside[top] if len(other.parts) > 2}
        what = f"{top} holds the parts once more" if set(map(part_of, again)) & set(PARTS) else f"{top} is no part"
        others = [f"{shared}/{name}" for name in sorted(inside) if name and name not in parts]
        return f"{what}: {leaving_out(*others)}"
    folder = path.parent.as_posix()
    words = {match[1] for other in inside[top] if (match := re.match(r"([^\W\d_]{2,})[._ -]*\d", other.name))}
    if 2 <= len(words) <= 20 and len(words) < len(inside[top]):
        return f"if the file names say it ({', '.join(sorted(words)[:5])}), put each photo into a folder of that name"
    if top:
        way = leaving_out(f"{shared}/{folder}")
        return f"put each photo into the folder of its class; what has no known class: {way}"
    return "put each photo into the folder of its class, which a table such as labels.csv may say"


def _refuse_unclear(inside: dict[str, list[PurePosixPath]], where: Path) -> None:
    """Refuse folders that may be parts as well as classes."""
    read = {top: in_words(top) for top in inside if top}
    inner = {top: {path.parts[1] for path in paths if len(path.parts) > 2} for top, paths in inside.items()}
    like = {top: part for top, (part, _) in read.items() if part}
    other = "; rename them (train, validation, test, or other names for classes), or leave out what is neither: "
    other += "-S 'data.leave_out=[...]'"
    if "train" in like.values() and len(set(like.values())) > 1:
        raise UserError(f"{where}: {', '.join(sorted(like))} may be parts or classes{other}")
    for top, part in like.items():
        flat = any(len(path.parts) == 2 for path in inside[top])
        for name, has in inner.items():
            kin = set(read[top][1]) <= set(read.get(name, (None, ()))[1])
            if name != top and (len(inner[top] & has) > 1 or (part == "train" and kin and inner[top] and not flat)):
                raise UserError(f"{where}: {top} and {name or 'the photos beside it'} may be parts or classes{other}")
    for top, has in inner.items():
        if "train" in set(map(part_of, has)) and len(set(map(part_of, has)) & set(PARTS)) > 1:
            raise UserError(
                f"{where}: {top} holds {', '.join(sorted(filter(part_of, has)))}: turn it round, parts outside and "
                "classes in them (train/class, validation/class, test/class), or put the photos together in their class"
            )


def _equal_inner_folders(inside: dict[str, list[PurePosixPath]]) -> list[str]:
    """Say which folders are the classes, where it might be those inside."""
    inner = [{path.parts[1] if len(path.parts) > 2 else "" for path in paths} for paths in inside.values()]
    if len(inner) < 2 or len(inner[0]) < 2 or "" in inner[0] or any(has != inner[0] for has in inner):
        return []
    some = ", ".join(sorted(inside)[:5]) + (", ..." if len(inside) > 5 else "")
    return [f"classes are the outer folders ({some}); {', '.join(sorted(inner[0])[:5])} inside of each belong to it"]


def _refuse_heaps(classes: set[str], where: Path) -> None:
    words = {name: re.findall(r"\d+|[^\W\d_]+", name.lower()) for name in classes}
    texts = {tuple(word for word in found if not word.isdecimal()) for found in words.values()}
    numbered = len(texts) == 1 and len(classes) > 1 and set(next(iter(texts))) & NUMBERED
    heaps = sorted(classes) if numbered else sorted(name for name in classes if name.lower() in HEAPS)
    if heaps:
        raise UserError(
            f"{where}: {', '.join(heaps[:5])} would be the class of all photos in it, and is no name of a class: put "
            "each photo into a folder of its class, which a table such as labels.csv may say, or rename the folder"
        )


def _refuse_same_names(classes: set[str], where: Path) -> None:
    seen: dict[str, str] = {}
    for name in sorted(classes):
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise UserError(
                f"{where}: the classes {other!r} and {name!r} differ only in case or in how letters are encoded; "
                "rename one, or put their photos together"
            )


def lost_classes(rows: list[tuple[str, str, str]], broken: dict[str, str]) -> list[str]:
    """Classes, after their part where there are parts, of which every photo is broken, such as `test/a`."""
    kept = {(part, name) for path, name, part in rows if path not in broken}
    return sorted({f"{part}/{name}".lstrip("/") for _, name, part in rows if (part, name) not in kept})


def refuse_lost_classes(rows: list[tuple[str, str, str]], broken: dict[str, str], where: Path) -> None:
    """Refuse to leave out all photos of a class, or all that a part has of it.

    Args:
        broken: what is wrong, by path, of the photos that would be left out.
    """
    if lost := lost_classes(rows, broken):
        raise UserError(
            f"{where}: all photos of {', '.join(lost)} are unreadable, and no class goes without being named: mend "
            f"them, or {leaving_out(*lost)}"
        )
