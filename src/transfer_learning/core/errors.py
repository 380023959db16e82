"""The exceptions for mistakes that a user can mend, and names as they can be shown."""

import unicodedata


def printable(text: str) -> str:
    r"""Escape what a terminal would act on or cannot show: \n, \x1b, \u202e, and \xe9 for a byte that is not UTF-8."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escaped(c) for c in text)


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # as Python holds a byte of a name that is not UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(letter)[1:-1]


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what is allowed; the exit code is 2."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class BrokenFile(UserError):
    """A file that is of another kind than it should be, or damaged: of a download no one is helped by keeping it."""
