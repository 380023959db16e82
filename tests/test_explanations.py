"""Grad-CAM against gradients of the network itself; overlays; which photos the figure shows."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfer_learning import backbone, backbones, explanations, grad_cam_figure, whole_model
from transfer_learning.errors import UserError
from transfer_learning.predictions import Predictions

SIZE = 64


def whole(outputs: int) -> keras.Model:
    """The whole model on the small network, with a head drawn at random."""
    base = backbone.build("small_cnn", size=SIZE)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    photos = keras.Input((SIZE, SIZE, 3), name="photos")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="preprocess")(photos)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(base(x, training=False))
    start = keras.initializers.RandomNormal(seed=1)
    activation = "sigmoid" if outputs == 1 else "softmax"
    head = keras.layers.Dense(outputs, activation=activation, kernel_initializer=start, name="head")
    return keras.Model(photos, head(x))


def drawn(number: int) -> np.ndarray:
    """Photos (number, SIZE, SIZE, 3) uint8 with structure: noise on a coarse grid."""
    coarse = np.random.default_rng(0).integers(0, 256, (number, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)


def by_gradients(model: keras.Model, photos: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Grad-CAM as the paper defines it: gradients of the logit, averaged over positions, weigh the channels."""
    pool, head = model.get_layer("pool"), model.get_layer("head")
    features = keras.Model(model.input, pool.input)(photos.astype(np.float32), training=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = tf.matmul(pool(features), head.kernel) + head.bias
        if logits.shape[1] == 1:
            logits = tf.concat([-logits, logits], axis=1)
        chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(chosen, features), axis=(1, 2))  # (n, channels)
    probabilities = tf.nn.softmax(logits) if head.units > 1 else tf.sigmoid(logits[:, 1:])
    np.testing.assert_allclose(probabilities, model(photos.astype(np.float32)), atol=1e-5)  # it is this network
    maps = tf.nn.relu(tf.einsum("nhwc,nc->nhw", features, weights)).numpy()
    return maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)


@pytest.mark.parametrize("outputs", [1, 5])
def test_heatmaps_equal_those_of_gradients(outputs: int) -> None:
    model, photos = whole(outputs), drawn(11)  # more than one batch
    classes = np.arange(11) % max(outputs, 2)
    found = explanations.heatmaps(model, photos, classes.astype(np.uint8))
    assert found.dtype == np.float32
    assert found.shape == (11, *model.get_layer("pool").input.shape[1:3])
    np.testing.assert_allclose(found, by_gradients(model, photos, classes), atol=1e-5)
    assert found.min() >= 0
    peaks = found.max(axis=(1, 2))
    assert set(peaks) <= {0, 1}
    assert peaks.mean() > 0.5


def test_heatmaps_of_a_saved_model_are_the_same(tmp_path: Path) -> None:
    base = backbone.build("small_cnn", size=SIZE)
    kernel = np.random.default_rng(2).normal(size=(base.output_shape[-1], 1)).astype(np.float32)
    weights = backbones.small_cnn_weights() | {"head": [kernel, np.zeros(1, np.float32)]}
    model = whole_model.whole(base, weights)
    whole_model.save(model, tmp_path / "m.keras", classes=["a", "b"])
    loaded = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    one, other = (explanations.heatmaps(m, drawn(3), np.array([0, 1, 1])) for m in (model, loaded))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, by_gradients(model, drawn(3), np.array([0, 1, 1])), atol=1e-5)


def test_without_positive_evidence_the_map_is_zero() -> None:
    model = whole(1)
    model.get_layer("head").kernel.assign(np.zeros_like(model.get_layer("head").kernel))
    assert not explanations.heatmaps(model, drawn(2), np.array([0, 1])).any()


def test_a_model_of_other_layers_is_refused() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(UserError, match="Grad-CAM needs a model of this project"):
        explanations.heatmaps(model, np.zeros((1, 8, 8, 3), np.uint8), np.array([0]))


def test_overlay_leaves_what_has_no_evidence_and_is_warm_where_it_is() -> None:
    photo = np.full((90, 120, 3), 100, np.uint8)
    heat = np.zeros((3, 4), np.float32)
    np.testing.assert_array_equal(explanations.overlay(photo, heat), photo)
    heat[0, 3] = 1
    seen = explanations.overlay(photo, heat)
    assert seen.dtype == np.uint8
    assert seen.shape == photo.shape
    np.testing.assert_array_equal(seen[60:, :60], photo[60:, :60])
    red, green, blue = seen[5, 115].astype(int)
    assert red > 100 > max(green, blue)
    steps = np.abs(np.diff(seen.astype(int), axis=0)).max(), np.abs(np.diff(seen.astype(int), axis=1)).max()
    assert max(steps) < 30  # smooth: no edges of the 30-pixel cells


def test_groups_of_the_figure_are_apart_and_ordered() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    predicted = np.array([0, 1, 0, 1, 1, 2, 2, 2, 2, 2])
    confidence = np.array([0.9, 0.6, 0.4, 0.95, 0.5, 0.7, 0.8, 0.85, 0.45, 0.99])
    found = grad_cam_figure.choose(labels, confidence, predicted)
    assert {group: indices.tolist() for group, indices in found.items()} == {
        "surest mistakes": [5, 1], "surest right": [9, 3, 0], "least sure right": [2, 8, 4],
    }  # fmt: skip
    assert list(grad_cam_figure.choose(labels[:2], confidence[:2], labels[:2])) == ["surest right"]


def test_figure_of_many_classes_has_stable_bytes(tmp_path: Path) -> None:
    model, photos = whole(5), drawn(9)
    probabilities = np.asarray(model(photos.astype(np.float32)))
    classes = ["a $x$ & b", "<b>", "c" * 80, "d", "e"]
    paths = [Path(f"{number}.png") for number in range(9)]
    found = Predictions(paths, np.arange(9) % 5, probabilities, probabilities.argmax(axis=1), classes)
    for name in ("one.png", "other.png"):
        grad_cam_figure.draw(tmp_path / name, model, found, photos.__getitem__)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    assert (tmp_path / "one.png").stat().st_size > 10_000
