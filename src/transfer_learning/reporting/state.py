"""A state of the repository, as the comparison reads it: all of it in git, and nothing taken on trust."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from transfer_learning.core import history
from transfer_learning.core.errors import UserError
from transfer_learning.evaluation import baseline, predictions
from transfer_learning.evaluation.predictions import Table
from transfer_learning.experiments import lock
from transfer_learning.settings import params, schema
from transfer_learning.stage import environment

PHASES = ("frozen", "finetune", "test")
FILES = ("params.yaml", "dvc.yaml", "dvc.lock", "reports")  # of a state, all of them in git
PER_CLASS = Path("reports/test/per_class.csv")
NEEDED = ("params.yaml", lock.FILE, predictions.PATH.as_posix(), *history.HISTORIES.values())


@dataclass(frozen=True)
class State:
    """The workspace, or a revision exported into a folder.

    Attributes:
        label: what people call it.
        metrics: every metric as `phase/name`, finite.
        settings: flat.
        histories: rows of each training stage, finite.
        test: predictions of the test photos.
        validation: of the validation photos; None where evaluate was of a version that did not keep them.
    """

    label: str
    folder: Path
    metrics: dict[str, float]
    settings: dict[str, Any]
    recorded: lock.State
    histories: dict[str, list[history.Row]]
    predictions: str
    test: Table
    validation: Table | None


def read(folder: Path, label: str, commit: str | None = None) -> State:
    """Read a state of the repository.

    Args:
        commit: the one that was exported into the folder, without the code; None for the workspace.

    Raises:
        UserError: files are missing or unreadable; says which and what to do.
    """
    for path in NEEDED:
        if not (folder / path).exists():
            raise UserError(
                f"{label} has no {path}: it has no results yet, or another layout; choose a later revision, or run "
                "`dvc repro` there and commit"
            )
    try:
        return _read(folder, label, commit)
    except UserError as error:
        said = str(error)
        raise UserError(said if label in said else f"{label}: {said}, or choose a later revision") from None


def _read(folder: Path, label: str, commit: str | None) -> State:
    _text(folder / "params.yaml")
    _text(folder / lock.FILE)
    metrics: dict[str, float] = {}
    for phase in PHASES:
        measured = folder / f"reports/{phase}/metrics.json"
        if measured.exists():  # what a missing one means is for the verdict
            metrics |= {f"{phase}/{name}": value for name, value in _numbers(measured).items()}
    for path in (baseline.FITTED, baseline.TESTED):
        if (folder / path).exists():
            metrics |= {f"probe/{name}": value for name, value in _numbers(folder / path).items()}
    facts = folder / environment.FILE
    recorded = lock.State(
        lock.read(folder, label), environment.parse(_text(facts)) if facts.exists() else {}, commit or folder
    )
    text, validated = _text(folder / predictions.PATH), folder / predictions.VALIDATION
    return State(
        label,
        folder,
        metrics,
        params.flat(folder),
        recorded,
        {stage: _history(folder, stage) for stage in history.HISTORIES},
        text,
        predictions.numbers(text),
        predictions.numbers(_text(validated), validated.name) if validated.exists() else None,
    )


def _text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is no UTF-8 text: `git checkout` or `dvc repro` brings a whole one") from None
    except OSError as error:
        raise UserError(f"{path.name} cannot be read ({error.strerror})") from None


def _numbers(path: Path) -> dict[str, float]:
    """Metrics of a file by name: finite numbers, which NaN, infinity, true and text are not."""
    where = f"{path.parent.name}/{path.name}"
    try:
        values = dict(json.loads(_text(path)).items())
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise UserError(f"{where} cannot be read: `git checkout` or `dvc repro` brings a whole one") from None
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:  # nor is NaN
            raise UserError(f"{where} says {name} = {str(value)[:40]}, no finite number: `dvc repro`")
    return {name: float(value) for name, value in values.items()}


def _history(folder: Path, stage: str) -> list[history.Row]:
    path = folder / history.HISTORIES[stage]
    where = f"{path.parent.name}/{path.name}"
    _text(path)
    try:
        rows = history.read(stage, folder)
        numbers = [[row[column] for column in history.COLUMNS] for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, csv.Error):
        raise UserError(f"{where} cannot be read: `git checkout` or `dvc repro` brings a whole one") from None
    if not rows:
        raise UserError(f"{where} has no epochs: `dvc repro`")
    if not all(math.isfinite(number) for row in numbers for number in row):
        raise UserError(f"{where} has what is no finite number: `dvc repro`")
    return rows


def limits_of(base: State, new: State) -> schema.Gate:
    """What counts as worse: by the base's settings, so that a change cannot loosen it for itself; the new ones where
    the base has none yet or of another version."""
    try:
        return schema.Gate.model_validate(params.read_yaml(base.folder / "params.yaml").get("gate"))
    except ValidationError:
        return params.check(params.read_yaml(new.folder / "params.yaml")).gate
