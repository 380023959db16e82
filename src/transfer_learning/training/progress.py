"""How far a training has come: kept after each epoch, taken up again, and when it is time to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from transfer_learning.core.history import Row, best
from transfer_learning.settings.phases import Phase
from transfer_learning.stage import timing
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import optimizers


@dataclass(frozen=True)
class State:
    """What is kept after an epoch.

    Attributes:
        arrays: the variables of model and optimizer, and with early stopping the weights of the best epoch so far.
        rows: the history up to here.
        seconds: that computing it took, of all processes that had a part in it.
    """

    arrays: list[np.ndarray]
    rows: list[Row]
    seconds: float


class Progress:
    """The history of a training, and all else that its next epoch and its end follow from.

    Args:
        model: compiled. It goes on with the variables after the last epoch that is kept of the same beginning.
        kept: where the state after each epoch is.
        phase: whose patience says when to stop, and what is best.
        before: rows of the same phase before this training; the weights as they are count as those of the best one.
        last: number of the epoch that the training ends with if validation does not end it.
    """

    def __init__(self, model: keras.Model, kept: KeptEpochs, *, phase: Phase, before: Sequence[Row], last: int) -> None:
        self.model, self.kept, self.phase, self.before = model, kept, phase, before
        model.optimizer.build(model.trainable_variables)
        self._variables = [*model.variables, *model.optimizer.variables]
        self._best = _values(model.weights) if phase.early_stopping else []
        self.rows: list[Row] = []
        self._earlier = 0.0
        found = kept.latest(last, load)
        if found is not None:
            optimizers.assign(self._variables, found.arrays[: len(self._variables)])
            self._best, self.rows, self._earlier = found.arrays[len(self._variables) :], found.rows, found.seconds
            timing.take_over(found.seconds)
            self._say(last)
        self._started = time.monotonic()

    def _say(self, last: int) -> None:
        """Say that epochs are taken over, so that nobody wonders how fast they were."""
        number, took = int(self.rows[-1]["epoch"]), f"which took it {self._earlier:.1f} s"
        if number == last or self.stopped:
            print(f"nothing to train: an earlier run that began the same has computed up to epoch {number}, {took}")
        else:
            print(f"going on after epoch {number}: an earlier run that began the same has computed up to it, {took}")

    def add(self, row: Row) -> None:
        """Take in the row of a finished epoch and keep the state after it."""
        self.rows.append(row)
        if self.phase.early_stopping and self._best_row() is row:
            own = optimizers.put_average(self.model)
            self._best = _values(self.model.weights)
            optimizers.assign(self.model.trainable_variables, own)
        seconds = self._earlier + time.monotonic() - self._started
        state = State([*_values(self._variables), *self._best], self.rows, seconds)
        self.kept.keep(int(row["epoch"]), lambda path: save(path, state))

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


def save(path: Path, state: State) -> None:
    """Write the state after an epoch."""
    named: dict[str, Any] = {f"{number:05d}": array for number, array in enumerate(state.arrays)}
    with open(path, "wb") as file:
        np.savez(file, about=json.dumps({"rows": state.rows, "seconds": state.seconds}), **named)


def load(path: Path) -> State:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = [file[name] for name in sorted(file.files) if name != "about"]
        return State(arrays, **json.loads(str(file["about"])))
