"""Early stopping: when it ends a training, and whose weights are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from support.phases import phase
from support.small_head import INPUTS, LABELS, gradient, kernel, trained

from transfer_learning.core.history import best
from transfer_learning.network.head import HEAD
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import classifier, epochs, optimizers
from transfer_learning.training.epochs import metrics
from transfer_learning.training.inputs import Examples, from_array, in_order


def test_early_stopping_keeps_the_epoch_with_the_lowest_validation_loss(tmp_path: Path) -> None:
    overconfident = 10 * INPUTS  # on these the weights are soon too large
    options = {"optimizer": "sgd", "learning_rate": 0.2, "batch_size": 12, "epochs": 7}
    _, whole = trained(phase(**options), tmp_path / "whole", last=7, validation=overconfident)
    settings = phase(early_stopping=2, **options)
    model, history = trained(settings, tmp_path / "stopped", last=7, validation=overconfident)
    best = int(whole["val_loss"].idxmin())
    assert best == 2
    assert history.to_dict("records") == whole.iloc[: best + 3].to_dict("records")  # two epochs more
    shorter, _ = trained(phase(**options), tmp_path / "shorter", last=best + 1, validation=overconfident)
    np.testing.assert_array_equal(kernel(model), kernel(shorter))
    found = metrics(history, settings)
    assert found["best_epoch"] == best + 1
    assert found["val_loss"] == whole["val_loss"].min()
    assert "best_epoch" not in metrics(whole, phase(**options))


def test_accuracy_decides_where_it_is_watched_and_the_lower_loss_between_equal_ones(tmp_path: Path) -> None:
    rows = [(1, 0.9, 0.5), (2, 0.8, 0.75), (3, 0.6, 0.75), (4, 0.5, 0.7), (5, 0.6, 0.75)]
    history = [{"epoch": epoch, "val_loss": loss, "val_accuracy": accuracy} for epoch, loss, accuracy in rows]
    assert [best(history, monitor)["epoch"] for monitor in ("loss", "accuracy")] == [4, 3]
    options = {"optimizer": "sgd", "learning_rate": 0.2, "batch_size": 12, "epochs": 7, "early_stopping": 7}
    for monitor in ("loss", "accuracy"):
        settings = phase(monitor=monitor, **options)
        model, found = trained(settings, tmp_path / monitor, last=7, validation=10 * INPUTS)
        kept = best(found.to_dict("records"), monitor)
        shorter, _ = trained(phase(**options | {"early_stopping": 0}), tmp_path / f"{monitor} shorter",
                             last=int(kept["epoch"]), validation=10 * INPUTS)  # fmt: skip
        np.testing.assert_array_equal(kernel(model), kernel(shorter))
        assert metrics(found, settings)["best_epoch"] == kept["epoch"]


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_what_a_phase_starts_from_is_kept_where_no_epoch_is_better(ema: float, tmp_path: Path) -> None:
    weights = np.zeros(5)
    for _ in range(2000):  # to the lowest loss there is
        weights -= gradient(weights, INPUTS[0])
    start = {HEAD: [weights[:4, None].astype(np.float32), weights[4:].astype(np.float32)]}
    options = {"optimizer": "sgd", "learning_rate": 1.0, "batch_size": 12, "epochs": 5, "label_smoothing": 0.9}
    settings = phase(early_stopping=2, ema=ema, **options)
    model, history = trained(settings, tmp_path, last=5, start=start)
    assert history["epoch"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(kernel(model), start[HEAD][0][:, 0].astype(float))
    assert metrics(history, settings)["best_epoch"] == 0


def test_a_step_that_is_no_better_than_those_before_ends_with_their_weights(tmp_path: Path) -> None:
    model = classifier.head(4, classes=2, dropout=0.0, seed=0)
    start = {HEAD: [np.full((4, 1), 0.3, np.float32), np.zeros(1, np.float32)]}
    classifier.start_from(model, start)
    settings = phase(optimizer="sgd", learning_rate=0.1, batch_size=12, epochs=9, early_stopping=2)
    optimizer = optimizers.build(settings, model.trainable_variables, learning_rate=0.1, epochs=9, photos=12)
    epochs.compile_model(model, optimizer, classes=2)
    same = {"loss": 0.01, "accuracy": 1.0, "val_loss": 0.01, "val_accuracy": 1.0}
    history = epochs.train(
        model,
        Examples(from_array(INPUTS), LABELS, in_order(from_array(INPUTS), LABELS, classes=2), classes=2, views=2),
        epochs.Session(0, lambda _: None, KeptEpochs(tmp_path)),
        phase=settings,
        epochs=range(12, 21),
        before=pd.DataFrame([{"epoch": epoch, **same} for epoch in (10, 11)]),
    )
    assert history["epoch"].tolist() == [12]  # the first of the equal ones before, 10, was two epochs ago
    np.testing.assert_array_equal(kernel(model), start[HEAD][0][:, 0].astype(float))


def test_an_option_that_nothing_looks_at_is_refused() -> None:
    with pytest.raises(ValidationError, match="monitor = accuracy: allowed without early_stopping is loss"):
        phase(monitor="accuracy")
