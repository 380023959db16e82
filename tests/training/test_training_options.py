"""What each option of training does, against references by hand; a killed training with all of them goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight
from support.phases import phase

from transfer_learning.core.history import Row, best
from transfer_learning.core.weights import Weights
from transfer_learning.network.head import HEAD
from transfer_learning.settings import backbones
from transfer_learning.settings.phases import Phase
from transfer_learning.stage import timing
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import classifier, epochs, optimizers, sampling
from transfer_learning.training.epochs import metrics
from transfer_learning.training.inputs import Examples, from_array, in_order

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(2, 12, 4)).astype(np.float32)  # two views
LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1], np.uint8)
BOUNDARIES = backbones.BACKBONES["small_cnn"].boundaries


def trained(
    settings: Phase,
    kept: Path,
    *,
    last: int = 1,
    validation: np.ndarray = INPUTS,
    start: Weights | None = None,
    on_epoch: Callable[[Row], None] = lambda _: None,
) -> tuple[keras.Model, Any]:
    """A head on four features, trained for the epochs 1 to `last`, validated on the first view."""
    model = classifier.head(4, classes=2, dropout=0.0, seed=0)
    if start:
        classifier.start_from(model, start)
    options = {"learning_rate": settings.learning_rate, "epochs": settings.epochs, "photos": 12}
    optimizer = optimizers.build(settings, model.trainable_variables, **options)
    epochs.compile_model(model, optimizer, classes=2)
    history = epochs.train(
        model,
        Examples(from_array(INPUTS), LABELS, in_order(from_array(validation), LABELS, classes=2), classes=2, views=2),
        epochs.Session(0, on_epoch, KeptEpochs(kept).beginning(settings.beginning())),
        phase=settings,
        epochs=range(1, last + 1),
        evaluate_first=bool(start),
    )
    return model, history


def kernel(model: keras.Model) -> np.ndarray:
    return model.get_layer(HEAD).get_weights()[0][:, 0].astype(float)


def gradient(weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray = LABELS) -> np.ndarray:
    """Of the mean binary cross-entropy, for weights and a bias at the end."""
    wide = np.c_[inputs, np.ones(len(inputs))].astype(float)
    return wide.T @ (1 / (1 + np.exp(-wide @ weights)) - labels) / len(labels)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_two_steps_of_each_optimizer_equal_its_formula(name: str, tmp_path: Path) -> None:
    extra = {"adamw": {"weight_decay": 0.5}, "sgd": {"momentum": 0.9}}.get(name, {})
    model, _ = trained(phase(optimizer=name, learning_rate=0.1, batch_size=12, **extra), tmp_path, last=2)
    weights, first, second = np.zeros(5), np.zeros(5), np.zeros(5)
    for step in (1, 2):
        slope = gradient(weights, INPUTS[step - 1])
        if name == "sgd":
            first = 0.9 * first - 0.1 * slope
            weights = weights + first
        elif name == "rmsprop":
            second = 0.9 * second + 0.1 * slope**2
            weights = weights - 0.1 * slope / np.sqrt(second + 1e-7)
        else:
            weights = weights - (0.1 * 0.5 * weights * [1, 1, 1, 1, 0] if name == "adamw" else 0)  # bias: no decay
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            weights = weights - 0.1 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    np.testing.assert_allclose(kernel(model), weights[:4], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_schedule_equals_its_formula_in_every_step(name: str, warmup: int) -> None:
    settings = phase(schedule=name, warmup_epochs=warmup, epochs=5, batch_size=4)
    variable = keras.Variable(np.zeros(1), name="x")
    optimizer = optimizers.build(settings, [variable], learning_rate=0.3, epochs=5, photos=11)  # three steps an epoch
    optimizer.build([variable])
    rates = []
    for _ in range(15):
        rates.append(optimizers.learning_rate(optimizer))
        optimizer.apply([np.ones(1, np.float32)], [variable])
    steps, rise = np.arange(15), 3 * warmup
    expected = np.full(15, 0.3)
    if name == "cosine":
        expected = 0.15 * (1 + np.cos(np.pi * (steps - rise) / (15 - rise)))
    expected[:rise] = 0.3 * steps[:rise] / max(rise, 1)
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-7)


def test_smoothed_targets_give_the_loss_by_hand_and_validation_stays_plain(tmp_path: Path) -> None:
    settings = phase(label_smoothing=0.2, optimizer="sgd", learning_rate=1.0, batch_size=12)
    model, history = trained(settings, tmp_path)
    np.testing.assert_allclose(kernel(model), -gradient(np.zeros(5), INPUTS[0], 0.8 * LABELS + 0.1)[:4], rtol=1e-5)
    logits = INPUTS[0] @ kernel(model) + float(model.layers[-1].bias[0])
    plain = np.mean(np.log1p(np.exp(logits)) - LABELS * logits)
    assert history["val_loss"].iloc[0] == pytest.approx(plain, abs=2e-6)
    three = sampling.examples(phase(label_smoothing=0.3), np.arange(3), classes=3, seed=0, epoch=1)
    np.testing.assert_allclose(three(1, INPUTS[0, :3], np.arange(3))[1], 0.7 * np.eye(3) + 0.1, rtol=1e-6)


def test_mixup_mixes_inputs_and_targets_by_seed_epoch_and_step() -> None:
    settings = phase(mixup=0.4)
    inputs, targets = sampling.examples(settings, LABELS, classes=2, seed=7, epoch=3)(2, INPUTS[0], LABELS)
    generator = np.random.default_rng([7, 3, 2])
    share, other = generator.beta(0.4, 0.4), generator.permutation(12)
    np.testing.assert_allclose(inputs, share * INPUTS[0] + (1 - share) * INPUTS[0, other], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(targets[:, 0], share * LABELS + (1 - share) * LABELS[other], rtol=1e-5, atol=1e-6)
    for seed, epoch, step in ((8, 3, 2), (7, 4, 2), (7, 3, 3)):
        others = sampling.examples(settings, LABELS, classes=2, seed=seed, epoch=epoch)(step, INPUTS[0], LABELS)
        assert not np.array_equal(inputs, others[0])


def test_mixed_weighted_loss_is_the_mixture_of_the_weighted_losses() -> None:
    weights = sampling.class_weights(LABELS)
    settings = phase(mixup=1.0, balance="class_weights")
    _, targets, weight = sampling.examples(settings, LABELS, classes=2, seed=1, epoch=1)(1, INPUTS[0], LABELS)
    generator = np.random.default_rng([1, 1, 1])
    share, other = generator.beta(1.0, 1.0), generator.permutation(12)
    log_odds = np.linspace(-2, 2, 12)

    def losses(target: np.ndarray) -> np.ndarray:
        return np.log1p(np.exp(log_odds)) - target * log_odds

    own, partner = weights[LABELS] * losses(LABELS), weights[LABELS[other]] * losses(LABELS[other])
    np.testing.assert_allclose(weight * losses(targets[:, 0]), share * own + (1 - share) * partner, rtol=1e-4)


def test_class_weights_equal_scikit_learn_and_weigh_the_loss(tmp_path: Path) -> None:
    for labels in (LABELS, np.array([0, 2, 1, 1, 1, 2])):
        reference = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        np.testing.assert_allclose(sampling.class_weights(labels), reference, rtol=1e-6)
    model, _ = trained(phase(balance="class_weights", optimizer="sgd", learning_rate=1.0, batch_size=12), tmp_path)
    weights = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)[LABELS]
    np.testing.assert_allclose(kernel(model), -INPUTS[0].T @ (weights * (0.5 - LABELS)) / 12, rtol=1e-5)


def test_balanced_draw_gives_every_class_the_same_places_and_its_photos_in_turn() -> None:
    labels = np.array([0] * 70 + [1] * 25 + [2] * 6)
    order = sampling.order_of(labels, balance="sampling", seed=0, epoch=1)
    assert len(order) == 101
    assert sorted(np.bincount(labels[order])) == [33, 34, 34]
    times = np.bincount(order, minlength=101)
    assert times[:70].max() == 1
    assert set(times[70:95]) == {1, 2}
    assert set(times[95:]) == {5, 6}
    assert not np.array_equal(order, sampling.order_of(labels, balance="sampling", seed=0, epoch=2))


def test_average_of_three_steps_is_validated_and_kept_while_training_goes_on_without_it(tmp_path: Path) -> None:
    settings = phase(ema=0.8, optimizer="sgd", learning_rate=0.5, batch_size=12)
    model, history = trained(settings, tmp_path, last=3)
    weights, average = np.zeros(5), np.zeros(5)
    for step in range(3):
        weights = weights - 0.5 * gradient(weights, INPUTS[step % 2])
        average = 0.8 * average + 0.2 * weights if step else weights
        logits = np.c_[INPUTS[0], np.ones(12)] @ average
        loss = np.mean(np.log1p(np.exp(logits)) - LABELS * logits)
        assert history["val_loss"].iloc[step] == pytest.approx(loss, abs=2e-6)
    np.testing.assert_allclose(kernel(model), average[:4], rtol=1e-4)


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


EVERYTHING = {
    "optimizer": "adamw", "weight_decay": 0.1, "warmup_epochs": 1, "label_smoothing": 0.1, "mixup": 0.3,
    "balance": "class_weights", "early_stopping": 3, "ema": 0.7, "learning_rate": 0.1, "batch_size": 4,
}  # fmt: skip


@pytest.mark.parametrize("lengths", [(2, 3, 4), (4, 2, 3)])
def test_trainings_of_several_lengths_cost_the_longest_and_give_the_same_bytes(
    lengths: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted: list[int] = []
    fit = epochs._fit
    monkeypatch.setattr(epochs, "_fit", lambda *given: fitted.append(given[4]) or fit(*given))
    monkeypatch.setattr(timing, "_taken_over", took := [])
    found = {}
    for last in lengths:
        rows: list[Row] = []
        model, history = trained(phase(epochs=last, **EVERYTHING), tmp_path / "kept", last=last, on_epoch=rows.append)
        assert rows == history.to_dict("records")  # what MLflow is told
        found[last] = history.to_csv(), kernel(model).tobytes()
    assert fitted == [1, 2, 3, 4]
    assert len(took) == 2
    assert min(took) > 0
    assert ("nothing to train: " in capsys.readouterr().out) == (lengths[0] == 4)
    alone = lengths[-1]
    model, history = trained(phase(epochs=alone, **EVERYTHING), tmp_path / "alone", last=alone)
    assert found[alone] == (history.to_csv(), kernel(model).tobytes())


def test_an_option_that_nothing_looks_at_is_refused() -> None:
    with pytest.raises(ValidationError, match="monitor = accuracy: allowed without early_stopping is loss"):
        phase(monitor="accuracy")
