"""What a file is by its name: a photo, a photo that must be converted, or nothing of ours; and which names are allowed.

One rule for folders, archives and predictions. Of a name that is allowed every file format of ours and every other
system can hold the path: it is UTF-8, without control characters and line breaks, without < > : " | ? * and the
backslash, no part of it ends in a space or dot or is called like a device of Windows (con, prn, aux, nul, com1, lpt1,
...), and it is no longer than LONGEST_NAME bytes a part and LONGEST_PATH in all.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from transfer_learning.core.errors import printable

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp"),  # all of them JPEG: browsers write these
    *(".png", ".gif", ".bmp", ".webp"),
}
KINDS = "JPEG, PNG, GIF, BMP or WebP"
TO_CONVERT = {
    *(".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".ico", ".tga"),
    *(".ppm", ".pgm", ".pnm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
}
# what programs put beside photos, in lower case: thumbnails and copies that nobody sees
OF_PROGRAMS = {
    *("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", ".appledouble"),
    *(".ipynb_checkpoints", ".picasaoriginals", ".thumbnails", ".thumbs", ".@__thumb", ".trash", ".trashes", ".cache"),
    *(".git", ".dvc", ".svn", ".hg", ".idea", ".vscode", ".venv", ".tox", ".spotlight-v100", ".fseventsd"),
}
ASKED_FOR = "by data.leave_out"  # in `describe`
LONGEST_NAME, LONGEST_PATH = 255, 2000  # bytes, less than what Linux and macOS allow
DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)


def suffix(path: str) -> str:
    """The ending of a file's name in lower case, with its dot."""
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and ending else ""


def of_programs(path: str) -> bool:
    """Whether a part of the path is a folder that a program made for itself."""
    return any(part in OF_PROGRAMS for part in path.lower().split("/"))


def is_hidden(path: str) -> bool:
    """Whether a part of the path begins with a dot, or is a folder that a program made for itself."""
    return path.startswith(".") or "/." in path or of_programs(path)


def is_photo(path: str) -> bool:
    """Whether a path in a folder or archive, with `/`, says photo: what is hidden does not count."""
    return suffix(path) in SUFFIXES and not is_hidden(path)


def no_text(path: str) -> str | None:
    """Why a path cannot be written as one line of text; None if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    for letter in path:
        if unicodedata.category(letter) in ("Cc", "Zl", "Zp"):
            return f"has a control character or line break (U+{ord(letter):04X}) in its name"
    return None


def problem(path: str) -> str | None:
    """Why the path of a photo, relative and with `/`, is not allowed; None if it is."""
    if found := no_text(path):
        return found
    parts = path.split("/")
    if len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in parts):
        return f"has too long a name, allowed are {LONGEST_NAME} bytes a part and {LONGEST_PATH} in all"
    if letters := sorted(set(path) & set('<>:"|?*\\')):
        return f"has {' '.join(letters)} in its name, which other systems do not allow"
    for part in parts:
        if part.endswith((" ", ".")):
            return "has a name that ends in a space or dot, which other systems do not allow"
        if DEVICES.match(part):
            return "is called like a device of Windows"
    return None


def describe(left_out: Counter[str]) -> str:
    """What of a folder or archive is left out, on one line.

    Args:
        left_out: number of files by what they are, as `reason` says it.
    """
    ordered = sorted(left_out.items(), key=lambda entry: (-entry[1], entry[0]))
    kinds = ", ".join(f"{number} {printable(what)}" for what, number in ordered[:8])
    more = ", ..." if len(left_out) > 8 else ""
    convert = "; convert photos of these kinds to JPEG" if TO_CONVERT & set(left_out) else ""
    names = "" if set(left_out) == {ASKED_FOR} else "no photos by their names and are "
    return f"{left_out.total():,} file(s) are {names}left out ({kinds}{more}){convert}"


def reason(path: str) -> str:
    """What a file that is no photo is called in `describe`."""
    if is_hidden(path):
        return "hidden"
    return suffix(path) or path.rpartition("/")[2]
