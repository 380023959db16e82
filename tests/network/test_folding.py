"""Folding: against the plain Keras network as the reference, for outputs, gradients and training steps."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfer_learning.network import backbone, folding, runtime
from transfer_learning.network.head import HEAD
from transfer_learning.training import classifier, epochs


def with_random_weights(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give every weight of normalisation layers a value that matters; Keras starts them at the identity."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                low, high = (0.5, 1.5) if weight.name in ("gamma", "moving_variance") else (-0.3, 0.3)
                weight.assign(generator.uniform(low, high, weight.shape))
    return model


def photos(n: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, size, size, 3)).astype(np.float32)


def small(**options: object) -> keras.Model:
    """One convolution whose output the next layer and another one want, one depthwise, one without normalisation."""
    inputs = keras.Input((8, 8, 3))
    x = shared = keras.layers.Conv2D(4, 3, padding="same", **options)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=True)(x)
    x = keras.layers.BatchNormalization(scale=False)(x)
    x = keras.layers.Conv2D(4, 1, name="pointwise")(x)
    x = keras.layers.BatchNormalization(center=False)(x)
    x = keras.layers.Add()([x, shared])
    return with_random_weights(keras.Model(inputs, keras.layers.Conv2D(2, 1)(x)))


@pytest.mark.parametrize("strides", [1, 2])
def test_every_kind_of_pair_is_folded_and_what_else_wants_the_convolution_gets_it(strides: int) -> None:
    network = small() if strides == 1 else small(activation="relu")  # which cannot be folded
    built, folded = folding.fold(network)
    assert len(folded) == (3 if strides == 1 else 2)
    np.testing.assert_allclose(built(photos(3, 8)), network(photos(3, 8), training=False), atol=1e-5)


def grouped() -> keras.Model:
    """ConvNeXt's depthwise convolution, one with batch normalisation, and one with two channels per group."""
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(4, 3, padding="same", groups=4, bias_initializer="ones")(inputs)
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.Conv2D(4, 3, strides=2, groups=4)(x)
    x = keras.layers.BatchNormalization()(x)
    return with_random_weights(keras.Model(inputs, keras.layers.Conv2D(4, 1, groups=2)(x)))


def test_convolutions_with_a_group_per_channel_are_depthwise() -> None:
    network = grouped()
    built, folded = folding.fold(network)
    assert len(folded) == 1
    assert sum(isinstance(layer, folding.DepthwiseConvolution) for layer in built.layers) == 1
    inputs = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(built(inputs), network(inputs, training=False), atol=1e-5)


@pytest.mark.parametrize("make", [small, grouped])
def test_gradients_equal_those_of_the_plain_network(make: Callable[[], keras.Model]) -> None:
    network = make()
    inputs = np.random.default_rng(0).uniform(-1, 1, (5, *network.input_shape[1:])).astype(np.float32)
    layer = folding.InferenceMode(network, slices=2)
    weights = [weight.value for weight in network.trainable_weights]
    found = []
    for function in (lambda x: network(x, training=False), layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(function(inputs) ** 2)
        found.append(tape.gradient(loss, weights))
    for plain, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6)
    assert {weight.path for weight in layer.trainable_weights} == {weight.path for weight in network.trainable_weights}


def test_training_gives_the_weights_of_plain_keras() -> None:
    """Three steps of MobileNetV2 from layer 100 on against the plain layers in inference mode."""
    inputs = np.random.default_rng(1).normal(size=(8, 4, 4, 64)).astype(np.float32)
    labels = np.array([0, 1] * 4, np.float32)[:, None]
    ends = []
    for slices in (0, 1, 3):
        keras.utils.set_random_seed(2)
        base = with_random_weights(
            keras.applications.MobileNetV2(input_shape=(64, 64, 3), include_top=False, weights=None)
        )
        model = classifier.trainable_top(
            base, "block_6_project_BN", fine_tune_at=100, classes=2, dropout=0.0, seed=0, slices=max(slices, 1)
        )
        model.get_layer(HEAD).kernel.assign(np.random.default_rng(3).normal(size=(1280, 1)))
        if not slices:
            model = plain(base, model.get_layer(HEAD))
        epochs.compile_model(model, keras.optimizers.SGD(0.01), classes=2)
        for _ in range(3):
            model.train_on_batch(inputs, labels)
        ends.append(backbone.get_weights(base.layers))
    for ours in ends[1:]:
        for name, arrays in ends[0].items():
            for expected, array in zip(arrays, ours[name], strict=True):
                np.testing.assert_allclose(array, expected, rtol=2e-3, atol=2e-5, err_msg=name)


def plain(base: keras.Model, head: keras.layers.Layer) -> keras.Model:
    """The same model without folding, in inference mode."""

    class Plain(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.network = backbone.top(base, "block_6_project_BN")

        def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
            return self.network(inputs, training=False)

    inputs = keras.Input((4, 4, 64))
    return keras.Model(inputs, head(keras.layers.GlobalAveragePooling2D()(Plain()(inputs))))


@pytest.mark.parametrize(("make", "slices"), [(small, 2), (small, 3), (small, 4), (grouped, 2)])
def test_a_batch_of_any_size_gives_the_outputs_and_gradients_of_the_plain_network(
    make: Callable[[], keras.Model], slices: int
) -> None:
    """As in fit: one graph for batches of every size, of which the last of an epoch can have a single photo."""
    network = make()
    shape, weights = network.input_shape[1:], [weight.value for weight in network.trainable_weights]

    def compiled(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[np.ndarray], list[tf.Tensor]]:
        @tf.function(input_signature=[tf.TensorSpec((None, *shape), tf.float32)])
        def results(inputs: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                outputs = function(inputs)
                loss = tf.reduce_mean(outputs**2)
            return [outputs, *tape.gradient(loss, weights)]

        return results

    plain, ours = (
        compiled(lambda x: network(x, training=False)),
        compiled(folding.InferenceMode(network, slices=slices)),
    )
    for n in range(1, 2 * slices + 1):
        inputs = np.random.default_rng(n).uniform(-1, 1, (n, *shape)).astype(np.float32)
        for expected, found in zip(plain(inputs), ours(inputs), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5, err_msg=f"{n} photos")


@pytest.mark.parametrize("boundary", [None, "block_6_project_BN"])
def test_mobilenet_takes_batches_of_every_size(boundary: str | None) -> None:
    """From photos and from stored features: what is left of an epoch, by batches of 1 to 64, is 1 to 64 photos."""
    base = with_random_weights(backbone.build("mobilenet_v2", size=32))
    network = backbone.top(base, boundary) if boundary else base
    ours = tf.function(folding.InferenceMode(network, slices=runtime.SLICES), reduce_retracing=True)
    sizes = np.random.default_rng(4).permutation(np.arange(6, 64))[:5]
    for n in (1, 2, 3, 4, 5, *sizes, 64):
        inputs = np.random.default_rng(n).normal(size=(n, *network.input_shape[1:])).astype(np.float32)
        expected = np.asarray(network(inputs, training=False))
        scale = np.abs(expected).max()
        np.testing.assert_allclose(np.asarray(ours(inputs)) / scale, expected / scale, atol=1e-5, err_msg=f"{n}")


@pytest.mark.parametrize("n", range(1, 12))
def test_slices_put_together_are_the_whole_batch(n: int) -> None:
    rows = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
    np.testing.assert_array_equal(folding.in_slices(lambda x: x * x, rows, slices=4), rows * rows)
