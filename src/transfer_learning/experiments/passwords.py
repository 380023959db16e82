"""Passwords in addresses: nobody is to see them, whatever program has put the address into its message."""

from __future__ import annotations

import re

# up to the last @ of the word: a password may have / and @ in it; a path of file: or sqlite: has neither user nor host
_USER = re.compile(r"(?<![\w+./:-])((?!(?:file|sqlite)\b)[a-zA-Z][\w+.-]*:)?//(?!/)\S*@")
_NAMED = re.compile(r"(?i)\b((?:\w*password|\w*passwd|\w*secret|\w*token|pwd|\w*access_key)(?:=|%3D))[^\s;&'\",)]+")


def without_passwords(text: str) -> str:
    """A text without the user name and password of any address in it, or values such as `password=` gives."""
    return _NAMED.sub(r"\1***", _USER.sub(r"\1//", text))
