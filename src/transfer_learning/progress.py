"""How far a training has come: kept after each epoch, taken up again, and when it is time to stop."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer_learning import optimization
from transfer_learning.files import written_aside
from transfer_learning.history import Row


class Progress:
    """The history of a training, and all else that its next epoch and its end follow from.

    Args:
        model: compiled. It goes on with the variables after the last epoch that an earlier process has finished.
        kept: folder for the state after each epoch.
        first: number of the first epoch of training; a row before it is of the untrained model.
        patience: epochs without a lower validation loss after which to stop; 0 never stops.
        to_beat: validation loss that the weights have now; infinity where these do not count.
    """

    def __init__(self, model: keras.Model, kept: Path, *, first: int, patience: int, to_beat: float) -> None:
        self.model, self.kept, self.first, self.patience, self.to_beat = model, kept, first, patience, to_beat
        model.optimizer.build(model.trainable_variables)
        self._variables = [*model.variables, *model.optimizer.variables]
        self._best = _values(model.weights) if patience else []  # weights of the lowest validation loss
        self.rows: list[Row] = []
        found = load(kept)
        if found is None:
            return
        arrays, self.rows = found
        optimization.assign(self._variables, arrays[: len(self._variables)])
        self._best = arrays[len(self._variables) :]
        print(f"going on after epoch {int(self.rows[-1]['epoch'])}, where an earlier run of the same was interrupted")

    def add(self, row: Row) -> None:
        """Take in the row of a finished epoch and keep the state after it."""
        before = self._lowest()
        self.rows.append(row)
        if self.patience and self._lowest() < before:
            own = optimization.put_average(self.model)
            self._best = _values(self.model.weights)
            optimization.assign(self.model.trainable_variables, own)
        save(self.kept, [*_values(self._variables), *self._best], self.rows)

    @property
    def stopped(self) -> bool:
        """Whether the validation loss has not fallen for as many epochs as the patience."""
        return bool(self.patience and self.rows) and self.rows[-1]["epoch"] - self._lowest()[1] >= self.patience

    def finish(self) -> None:
        """Give the model the weights that the training ends with: averaged where the optimizer averages, and with
        early stopping those of the lowest validation loss."""
        if self.patience:
            optimization.assign(self.model.weights, self._best)
            print(f"early stopping: the weights of epoch {int(self._lowest()[1])} are kept, the best on validation")
        else:
            optimization.put_average(self.model)

    def _lowest(self) -> tuple[float, float]:
        """The lowest validation loss and the first epoch that had it."""
        trained = [(row["val_loss"], row["epoch"]) for row in self.rows if row["epoch"] >= self.first]
        return min([(self.to_beat, self.first - 1), *trained])


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
