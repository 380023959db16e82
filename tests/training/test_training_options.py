"""What each option of training does, against references by hand; trainings with all of them share their epochs."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight
from support.phases import phase
from support.small_head import INPUTS, LABELS, gradient, kernel, trained

from transfer_learning.core.history import Row
from transfer_learning.stage import timing
from transfer_learning.training import epochs, optimizers, sampling


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
