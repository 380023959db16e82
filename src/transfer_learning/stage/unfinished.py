"""What a stage has done so far, kept beside its output until it is done: for the same inputs and settings only.

Of featurize and probe; a training keeps its epochs, see kept_epochs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import digest, remove
from transfer_learning.settings import params as settings
from transfer_learning.stage import environment


@contextmanager
def unfinished(output: Path, stage: str) -> Iterator[Path]:
    """Give the folder for unfinished work on an output; the same one again after an interruption.

    It is removed when all went well, and one of other inputs, settings, code or environment at the start.

    Args:
        output: a file or folder that `stage` declares in dvc.yaml.
    """
    folder = output.with_name(f".{output.name}.unfinished-{key(stage)}")
    for other in output.parent.glob(f".{output.name}.unfinished-*"):
        if other != folder:
            remove(other)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except UserError:  # would end the same way again
        remove(folder)
        raise
    remove(folder)


def key(stage: str, values: dict[str, Any] | None = None) -> str:
    """Digest of all that the outputs of a stage follow from: the code, inputs and settings that dvc.yaml declares, and
    the facts of the environment.

    Args:
        values: settings that count in place of all that the stage declares.
    """
    declared = settings.read_yaml(Path("dvc.yaml"))["stages"][stage]
    params = settings.part(settings.flat(), declared["params"]) if values is None else values
    sha = hashlib.sha256(json.dumps([params, environment.facts()], sort_keys=True).encode())
    for path in map(Path, declared["deps"]):
        files = sorted(file for file in path.rglob("*") if _counts(file)) if path.is_dir() else [path]
        for file in files:
            sha.update(f"{digest(file, 'sha256')}  {file.as_posix()}\n".encode())
    return sha.hexdigest()[:16]


def _counts(path: Path) -> bool:
    """Whether a path below a dep is a file that says what it holds: Python's bytecode comes and goes by itself."""
    return path.is_file() and "__pycache__" not in path.parts
