"""More than two classes: softmax and one logit a class, against NumPy; two classes stay one logit."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from support.phases import phase

from transfer_learning.evaluation import calibration, whole_model
from transfer_learning.network import backbone
from transfer_learning.network.head import HEAD
from transfer_learning.photos.parts import read_split
from transfer_learning.settings import backbones
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import classifier, epochs, sampling
from transfer_learning.training.inputs import Examples, from_array, in_order

CLASSES = 3
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(1, 9, 4)).astype(np.float32)  # one view
LABELS = np.array([0, 1, 2, 2, 1, 0, 0, 2, 1], np.uint8)


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def whole(outputs: int) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A whole model whose head was drawn, photos, and the logits that NumPy makes of its pooled features."""
    keras.utils.set_random_seed(0)
    base = backbone.build("small_cnn", size=32)
    kernel = np.random.default_rng(1).normal(size=(128, outputs)).astype(np.float32)
    bias = np.arange(outputs, dtype=np.float32) / 10
    model = whole_model.whole(base, backbones.small_cnn_weights() | {HEAD: [kernel, bias]})
    photos = np.random.default_rng(2).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)
    pooled = np.asarray(base(photos / np.float32(127.5) - 1, training=False)).mean(axis=(1, 2))
    return model, photos, pooled @ kernel + bias


def test_targets_are_floats_for_two_classes_and_one_hot_above() -> None:
    two = sampling.targets_of(np.array([1, 0, 1], np.uint8), classes=2)
    np.testing.assert_array_equal(two, [[1], [0], [1]])
    three = sampling.targets_of(LABELS[:3], classes=CLASSES)
    np.testing.assert_array_equal(three, np.eye(3))
    assert two.dtype == three.dtype == np.float32


def test_softmax_regression_by_training_equals_a_reference_step(tmp_path: Path) -> None:
    model = classifier.head(4, classes=CLASSES, dropout=0.0, seed=0)
    assert model.output_shape == (None, 3)
    epochs.compile_model(model, keras.optimizers.SGD(0.5), classes=CLASSES)
    batch = from_array(INPUTS)
    history = epochs.train(
        model,
        Examples(batch, LABELS, in_order(batch, LABELS, classes=CLASSES), classes=CLASSES, views=1),
        epochs.Session(0, lambda _: None, KeptEpochs(tmp_path)),
        phase=phase(batch_size=9),
        epochs=range(1, 2),
        evaluate_first=True,
    )
    targets = np.eye(3)[LABELS]
    kernel = 0.5 * INPUTS[0].T @ (targets - 1 / 3) / 9  # gradient of the mean cross-entropy at zero weights
    bias = 0.5 * (targets - 1 / 3).mean(axis=0)
    np.testing.assert_allclose(model.layers[-1].get_weights()[0], kernel, rtol=1e-5, atol=1e-7)
    after = softmax(INPUTS[0] @ kernel + bias)
    row = history.iloc[-1]
    assert row["val_loss"] == pytest.approx(-np.log(after[np.arange(9), LABELS]).mean(), abs=2e-6)
    assert row["val_accuracy"] == pytest.approx((after.argmax(axis=1) == LABELS).mean(), abs=2e-6)
    assert history["loss"].tolist() == pytest.approx([np.log(3)] * 2, abs=2e-6)


def test_accuracy_of_one_logit_is_that_of_its_sign() -> None:
    model = classifier.head(1, classes=2, dropout=0.0, seed=0)
    epochs.compile_model(model, keras.optimizers.SGD(0.1), classes=2)
    model.layers[-1].set_weights([np.ones((1, 1)), np.zeros(1)])
    logits = np.array([[-2.0], [-0.1], [0.1], [3.0], [0.0]], np.float32)
    found = model.evaluate(logits, np.array([[0], [1], [1], [1], [0]], np.float32), return_dict=True, verbose=0)
    assert found["accuracy"] == pytest.approx(4 / 5)


def test_whole_model_gives_the_softmax_of_its_parts() -> None:
    model, photos, logits = whole(outputs=3)
    assert model.output_shape == (None, 3)
    found = calibration.probabilities(whole_model.logits(model, [photos], threads=2))
    assert found.shape == (11, 3)
    np.testing.assert_allclose(found, softmax(logits), rtol=1e-4, atol=1e-5)


def test_whole_model_of_two_classes_has_one_sigmoid_and_predicts_two_columns() -> None:
    model, photos, logits = whole(outputs=1)
    assert model.output_shape == (None, 1)
    expected = 1 / (1 + np.exp(-logits[:, 0]))
    found = calibration.probabilities(whole_model.logits(model, [photos]))
    np.testing.assert_allclose(found, np.stack([1 - expected, expected], axis=1), rtol=1e-4, atol=1e-5)


def test_parts_that_were_trained_agree_with_the_whole_model_of_many_classes() -> None:
    model, photos, _ = whole(outputs=5)
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    assert whole_model.difference_of_parts(base, "block_1_relu", model, photos.astype(np.float32)) < 0.005
    top = classifier.trainable_top(base, "block_1_relu", fine_tune_at=7, classes=5, dropout=0.0, seed=0)
    assert top.output_shape == (None, 5)


@pytest.mark.parametrize(("classes", "kind"), [(2, np.uint8), (256, np.uint8), (257, np.uint16)])
def test_labels_take_the_smallest_type_that_holds_them(classes: int, kind: type, tmp_path: Path) -> None:
    rows = [f"{number:03d}/a.png,{number:03d},train" for number in range(classes)]
    (tmp_path / "split.csv").write_text("\n".join(["path,label,part", *rows]) + "\n")
    names, parts = read_split(tmp_path / "split.csv")
    assert len(names) == classes
    assert parts["train"].labels.dtype == kind
    np.testing.assert_array_equal(parts["train"].labels, np.arange(classes))
