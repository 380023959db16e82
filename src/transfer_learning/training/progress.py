"""How far a training has come: kept after each epoch, taken up again, and when it is time to stop."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer_learning.core.files import written_aside
from transfer_learning.core.history import Row, best
from transfer_learning.settings.phases import Phase
from transfer_learning.training import optimizers


class Progress:
    """The history of a training, and all else that its next epoch and its end follow from.

    Args:
        model: compiled. It goes on with the variables after the last epoch that an earlier process has finished.
        kept: folder for the state after each epoch.
        phase: whose patience says when to stop, and what is best.
        before: rows of the same phase before this training; the weights as they are count as those of the best one.
    """

    def __init__(self, model: keras.Model, kept: Path, *, phase: Phase, before: Sequence[Row]) -> None:
        self.model, self.kept, self.phase, self.before = model, kept, phase, before
        model.optimizer.build(model.trainable_variables)
        self._variables = [*model.variables, *model.optimizer.variables]
        self._best = _values(model.weights) if phase.early_stopping else []
        self.rows: list[Row] = []
        found = load(kept)
        if found is None:
            return
        arrays, self.rows = found
        optimizers.assign(self._variables, arrays[: len(self._variables)])
        self._best = arrays[len(self._variables) :]
        print(f"going on after epoch {int(self.rows[-1]['epoch'])}, where an earlier run of the same was interrupted")

    def add(self, row: Row) -> None:
        """Take in the row of a finished epoch and keep the state after it."""
        self.rows.append(row)
        if self.phase.early_stopping and self._best_row() is row:
            own = optimizers.put_average(self.model)
            self._best = _values(self.model.weights)
            optimizers.assign(self.model.trainable_variables, own)
        save(self.kept, [*_values(self._variables), *self._best], self.rows)

    @property
    def stopped(self) -> bool:
        """Whether validation has not become better for as many epochs as the patience."""
        patience = self.phase.early_stopping
        return bool(patience and self.rows) and self.rows[-1]["epoch"] - self._best_row()["epoch"] >= patience

    def finish(self) -> None:
        """Give the model the weights that the training ends with: averaged where the optimizer averages, and with
        early stopping those of the best epoch."""
        if self.phase.early_stopping:
            optimizers.assign(self.model.weights, self._best)
            number = int(self._best_row()["epoch"])
            print(f"early stopping: the weights of epoch {number} are kept, the best on validation")
        else:
            optimizers.put_average(self.model)

    def _best_row(self) -> Row:
        return best([*self.before, *self.rows], self.phase.monitor)


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


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
