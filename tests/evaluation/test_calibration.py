"""Temperature scaling: the best of all temperatures, sound where photos are few or none is wrong, kept in the model."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.calibration import calibration_curve

from transfer_learning.evaluation import calibration, metrics, whole_model
from transfer_learning.evaluation.calibration import COLDEST, HOTTEST, SPREAD
from transfer_learning.network import backbone
from transfer_learning.network.head import HEAD
from transfer_learning.serving.predictor import Predictor
from transfer_learning.settings.backbones import small_cnn_weights


def drawn(classes: int, photos: int, *, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and logits that are `temperature` times those that the labels were drawn from."""
    generator = np.random.default_rng(seed)
    true = generator.normal(0, 3, (photos, classes))
    chances = np.exp(log_softmax(true, axis=1))
    labels = np.array([generator.choice(classes, p=one) for one in chances])
    logits = (true[:, 1:] - true[:, :1] if classes == 2 else true) * temperature
    return labels, logits.astype(np.float32)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_is_the_best_of_a_grid(classes: int, temperature: float) -> None:
    labels, logits = drawn(classes, 400, temperature=temperature)
    both = np.concatenate([np.zeros_like(logits), logits], axis=1) if classes == 2 else logits
    grid = np.exp(np.arange(np.log(COLDEST), np.log(HOTTEST), 0.01))
    chances = [log_softmax(both.astype(float) / one, axis=1)[np.arange(400), labels] for one in grid]
    costs = np.log(grid) ** 2 / (2 * SPREAD**2) - np.sum(chances, axis=1)
    found = calibration.fit(labels, logits)
    assert found == pytest.approx(grid[np.argmin(costs)], rel=0.006)
    assert found == pytest.approx(temperature, rel=0.25)  # what the logits were multiplied by
    assert calibration.fit(labels, logits) == found


def test_calibration_lowers_loss_and_calibration_error_and_no_prediction_changes() -> None:
    labels, logits = drawn(5, 4000, temperature=2.5)
    before = calibration.probabilities(logits)
    after = calibration.probabilities(logits, calibration.fit(labels[:2000], logits[:2000]))
    rest = slice(2000, None)
    assert metrics.loss(labels[rest], after[rest]) < metrics.loss(labels[rest], before[rest]) - 0.1
    errors = [metrics.calibration_error(*metrics.judged(labels[rest], p[rest]), bins=10) for p in (before, after)]
    assert errors[1] < 0.03 < 0.1 < errors[0]
    came_true, said = calibration_curve(*metrics.judged(labels[rest], after[rest]), n_bins=10)
    np.testing.assert_allclose(came_true, said, atol=0.12)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()


def test_few_photos_or_none_that_is_wrong_leave_the_temperature_near_one() -> None:
    one_each = calibration.fit(np.array([0, 1]), np.array([[-0.2], [0.2]]))
    assert 0.8 < one_each < 1
    assert 0.5 < calibration.fit(np.array([0, 1, 2]), np.eye(3)) < 1
    right = np.arange(160) % 2
    separable = calibration.fit(right, np.where(right, 3.0, -3.0)[:, None])
    assert 0.4 < separable < 1
    said = calibration.probabilities(np.array([[3.0]]), separable)[0, 1]
    assert 0.95 < said < 1 - 1 / 1000  # 160 photos without a mistake are no proof of one in 1,000
    assert calibration.fit(right, np.zeros((160, 1))) == 1  # a network that knows nothing
    assert calibration.fit(np.zeros(1000, int), np.full((1000, 1), 100.0)) == pytest.approx(
        HOTTEST
    )  # all wrong, and sure of it


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_saved_model_alone_gives_the_calibrated_probabilities(outputs: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    base = backbone.build("small_cnn", size=32)
    head = [generator.normal(0, 1, (base.output.shape[-1], outputs)), np.zeros(outputs)]
    model = whole_model.whole(base, small_cnn_weights() | {HEAD: [one.astype(np.float32) for one in head]})
    photos = generator.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    logits = whole_model.logits(model, [photos])
    expected = calibration.probabilities(logits, 2.5)
    assert abs(expected - calibration.probabilities(logits)).max() > 0.01
    whole_model.divide_logits(model, 2.5)
    whole_model.save(model, tmp_path / "m.keras", classes=["a", "b", "c"][: max(outputs, 2)], reject_below=0.6)
    alone = keras.saving.load_model(tmp_path / "m.keras", compile=False).predict(photos.astype(np.float32), verbose=0)
    np.testing.assert_allclose(alone, expected[:, -outputs:], atol=1e-6)
    predictor = Predictor(tmp_path / "m.keras")
    assert predictor.reject_below == 0.6
    np.testing.assert_allclose([p for _, p in predictor.predict(photos)], expected.max(axis=1), atol=1e-6)
