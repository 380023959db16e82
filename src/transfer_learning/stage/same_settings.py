"""All stages of one `dvc` have the settings that it started with, each until it has ended: DVC reads params.yaml again
after a stage, and would write into dvc.lock what nothing was computed with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import written_aside
from transfer_learning.settings import params
from transfer_learning.stage import at_work

STARTED_WITH = at_work.FOLDER / "settings.json"  # by process of dvc


@contextmanager
def same_settings(stage: str) -> Iterator[None]:
    """Do a stage's work between two looks at params.yaml.

    Raises:
        UserError: at the start, when a setting that any stage declares is not what the first stage of the same `dvc`
            found; at the end, when one that this stage declares has changed.
    """
    stages = params.read_yaml(Path("dvc.yaml"))["stages"]
    found = params.flat()
    every = params.part(found, {name for one in stages.values() for name in one["params"]})
    for process, command in at_work.own_dvc():
        _compare(_noted(process, every), every, f"`{command}` has gone on until now with")
    yield
    own = params.part(found, stages[stage]["params"])
    _compare(own, params.part(params.flat(), stages[stage]["params"]), f"{stage} has run with")


def _noted(process: psutil.Process, now: dict[str, Any]) -> dict[str, Any]:
    """The settings that the first stage of a process found: noted now if this is the first."""
    notes = json.loads(STARTED_WITH.read_text()) if STARTED_WITH.exists() else {}
    living = {key: values for key, values in notes.items() if psutil.pid_exists(int(key.partition(" ")[0]))}
    values: dict[str, Any] = living.setdefault(f"{process.pid} {process.create_time()}", now)
    with written_aside(STARTED_WITH) as aside:
        aside.write_text(json.dumps(living))
    return values


def _compare(before: dict[str, Any], now: dict[str, Any], who: str) -> None:
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        values = ", ".join(f"{key} = {before.get(key)}, which is {now.get(key)} now" for key in changed)
        raise UserError(f"params.yaml was changed meanwhile: {who} {values}. Run again with the one or the other")
