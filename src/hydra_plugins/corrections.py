"""What conf/data derives from `split.corrections` when Hydra composes the settings: the file that DVC watches.

Hydra loads this file by itself, as data_path.py; a mistake ends the command here, with one line and exit code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

NONE = "conf/no_corrections.csv"  # has no rows


def watched(path: Any) -> str:
    """The file with the corrections, which DVC watches and split reads.

    Returns:
        Relative to the repository where it lies in it, so that it is the same file in another clone; else absolute,
        because DVC may run this in a temporary directory.
    """
    if not path or not isinstance(path, str):
        return NONE  # the schema says what is wrong with a number
    found = Path(path).expanduser().resolve()
    if not found.exists() and (recorded := _recorded(path)):
        return recorded
    if not found.is_file():
        problem = "is no file" if found.exists() else "there is no such file"
        print(f"error: split.corrections = {path!r}: {problem} ({found})", file=sys.stderr)
        sys.exit(2)
    here = Path.cwd().resolve()
    return found.relative_to(here).as_posix() if found.is_relative_to(here) else str(found)


def _recorded(path: str) -> str | None:
    """What params.yaml watches for this path: in a clone without the file, as in CI, what is committed composes."""
    params = Path("params.yaml")
    content: Any = OmegaConf.to_container(OmegaConf.load(params)) if params.exists() else {}
    split = content.get("split", {}) if isinstance(content, dict) else {}
    return str(split["watch"]) if split.get("corrections") == path else None


OmegaConf.register_new_resolver("corrections.watched", watched, replace=True)
