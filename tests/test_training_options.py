"""What each option of training does, against references by hand; a killed training with all of them goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from phases import fine_tuning, phase
from sklearn.utils.class_weight import compute_class_weight

from transfer_learning import backbone, backbones, classifier, epochs, optimization, sampling, unfreezing
from transfer_learning.head import HEAD
from transfer_learning.history import metrics
from transfer_learning.inputs import Examples, from_array, in_order
from transfer_learning.training_schema import Phase

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(2, 12, 4)).astype(np.float32)  # two views
LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1], np.uint8)
BOUNDARIES = backbones.BACKBONES["small_cnn"].boundaries


def trained(settings: Phase, kept: Path, *, last: int = 1, validation: np.ndarray = INPUTS) -> tuple[keras.Model, Any]:
    """A head on four features, trained for the epochs 1 to `last`, validated on the first view."""
    model = classifier.head(4, classes=2, dropout=0.0, seed=0)
    options = {"learning_rate": settings.learning_rate, "epochs": settings.epochs, "photos": 12}
    optimizer = optimization.build(settings, model.trainable_variables, **options)
    epochs.compile_model(model, optimizer, classes=2)
    history = epochs.train(
        model,
        Examples(from_array(INPUTS), LABELS, in_order(from_array(validation), LABELS, classes=2), classes=2, views=2),
        epochs.Session(0, lambda _: None, kept),
        phase=settings,
        epochs=range(1, last + 1),
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
    optimizer = optimization.build(settings, [variable], learning_rate=0.3, epochs=5, photos=11)  # three steps an epoch
    optimizer.build([variable])
    rates = []
    for _ in range(15):
        rates.append(optimization.learning_rate(optimizer))
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


def fine_tuned(kept: Path, until: int | None = None, **changes: Any) -> tuple[dict[str, Any], Any]:
    """Fine-tune small_cnn on eight photos; weights by layer before and after each epoch, and the history."""
    keras.utils.set_random_seed(0)
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    photos = np.random.default_rng(5).uniform(0, 255, (2, 8, 32, 32, 3)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 2, 2, 0, 1])
    seen = [backbone.get_weights(base.layers)]

    def on_epoch(row: dict[str, float]) -> None:
        seen.append(backbone.get_weights(base.layers))
        if until and row["epoch"] == until:
            raise KeyboardInterrupt

    head = {HEAD: [np.full((128, 3), [-0.1, 0.1, 0.05], np.float32), np.zeros(3, np.float32)]}
    validation = in_order(from_array(photos[:, ::-1]), labels[::-1].copy(), classes=3)
    model, history = unfreezing.fine_tune(
        unfreezing.Network(base, None, 0.3),
        head,
        Examples(from_array(photos), labels, validation, classes=3, views=2),
        epochs.Session(3, on_epoch, kept),
        phase=fine_tuning(batch_size=4, **changes),
        first=1,
    )
    final = backbone.get_weights([*base.layers, model.get_layer(HEAD)])
    return {"seen": seen, "final": final}, history


def test_layer_decay_scales_the_step_of_each_stage_and_not_its_gradient() -> None:
    base = backbone.build("small_cnn", size=32)
    model = classifier.trainable_top(base, None, fine_tune_at=4, classes=2, dropout=0.0, seed=0)
    factors = unfreezing.factors(base, model, BOUNDARIES, 0.5)
    variables = model.trainable_variables
    assert {variable.path.split("_")[1]: factor for variable, factor in zip(variables, factors, strict=True)
            if variable.path.startswith("block")} == {"2": 0.125, "3": 0.25, "4": 0.5}  # fmt: skip
    assert factors[-2:] == [1.0, 1.0]
    for name, first in (("adam", 0.01), ("rmsprop", 0.01 / np.sqrt(0.1))):  # as large for a gradient of any size
        options = {"learning_rate": 0.01, "epochs": 1, "photos": 1, "factors": factors}
        optimizer = optimization.build(phase(optimizer=name), variables, **options)
        before = [np.array(variable) for variable in variables]
        optimizer.apply([np.full(variable.shape, 3.0, np.float32) for variable in variables], variables)
        for variable, old, factor in zip(variables, before, factors, strict=True):
            np.testing.assert_allclose(old - np.array(variable), factor * first, rtol=2e-3)


def test_steps_move_further_layers_in_further_epochs(tmp_path: Path) -> None:
    steps = [{"fine_tune_at": at, "epochs": n, "learning_rate": 0.001} for at, n in ((13, 1), (10, 2), (4, 1))]
    found, history = fine_tuned(tmp_path, steps=steps)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    for epoch, lowest in enumerate([5, 4, 4, 2], start=1):  # the first block that moves
        before, after = found["seen"][epoch - 1], found["seen"][epoch]
        moved = {int(name.split("_")[1]) for name in before if not np.array_equal(before[name][0], after[name][0])}
        assert moved == set(range(lowest, 5))


STEPS = [{"fine_tune_at": at, "epochs": 4, "learning_rate": rate} for at, rate in ((10, 0.02), (4, 0.1))]
EVERYTHING = {
    "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 1, "label_smoothing": 0.1,
    "mixup": 0.3, "balance": "class_weights", "early_stopping": 1, "ema": 0.7, "layer_decay": 0.5, "steps": STEPS,
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any]:
    return fine_tuned(tmp_path_factory.mktemp("whole"), **EVERYTHING)


@pytest.mark.parametrize("killed_after", [1, 4, 5])  # in a step, when it has stopped early, in the next one
def test_a_killed_training_with_every_option_goes_on_to_the_same_bytes(
    killed_after: int, whole: tuple[dict[str, Any], Any], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fine_tuned(tmp_path, until=killed_after, **EVERYTHING)
    again, rest = fine_tuned(tmp_path, **EVERYTHING)
    assert rest.to_csv() == whole[1].to_csv()
    assert len(rest) == 6  # of 8: the third epoch of the first step and the first of the second were the best
    for name, arrays in whole[0]["final"].items():
        for array, other in zip(arrays, again["final"][name], strict=True):
            assert array.tobytes() == other.tobytes(), name
