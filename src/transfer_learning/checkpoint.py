"""What a stage has done so far, kept beside its output until it is done: for the same inputs and settings only."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from transfer_learning import environment, settings
from transfer_learning.errors import UserError
from transfer_learning.files import digest, remove, written_aside

Row = dict[str, float]


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


def key(stage: str) -> str:
    """Digest of all that the outputs of a stage follow from: the code, inputs and settings that dvc.yaml declares, and
    the facts of the environment."""
    declared = settings.read_yaml(Path("dvc.yaml"))["stages"][stage]
    values = settings.flat()
    params = {name: value for name, value in values.items() if {name, name.partition(".")[0]} & set(declared["params"])}
    facts = environment.facts(threads=int(values["runtime.threads"]))
    sha = hashlib.sha256(json.dumps([params, facts], sort_keys=True).encode())
    for path in map(Path, declared["deps"]):
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            sha.update(f"{digest(file, 'sha256')}  {file.as_posix()}\n".encode())
    return sha.hexdigest()[:16]


def save(folder: Path, arrays: list[np.ndarray], rows: list[Row]) -> None:
    """Write the state after an epoch: the variables of model and optimizer, and the history so far."""
    named: dict[str, Any] = {f"{number:05d}": array for number, array in enumerate(arrays)}
    with written_aside(folder / "epoch.npz") as aside, open(aside, "wb") as file:
        np.savez(file, rows=json.dumps(rows), **named)
        file.flush()
        os.fsync(file.fileno())


def load(folder: Path) -> tuple[list[np.ndarray], list[Row]] | None:
    """Read what `save` wrote last; None where it has written nothing."""
    path = folder / "epoch.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files) if name != "rows"], json.loads(str(file["rows"]))
