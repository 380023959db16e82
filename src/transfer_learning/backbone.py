"""The pretrained network: built by Keras, filled from our weights file, cut at a layer."""

from __future__ import annotations

import keras
import numpy as np

from transfer_learning.backbones import SMALL_CNN_WIDTHS
from transfer_learning.errors import UserError
from transfer_learning.weights import Weights


def build(name: str, *, size: int) -> keras.Model:
    """Build a backbone with arbitrary weights: (n, size, size, 3) floats in [-1, 1] to (n, h, w, channels)."""
    if name == "mobilenet_v2":
        return keras.applications.MobileNetV2(input_shape=(size, size, 3), include_top=False, weights=None)
    return _small_cnn(size)


def _small_cnn(size: int) -> keras.Model:
    photos = x = keras.Input((size, size, 3), name="input_layer")
    for block, width in enumerate(SMALL_CNN_WIDTHS, start=1):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False, name=f"block_{block}_conv")(
            x
        )  # (n, size / 2**block, size / 2**block, width)
        x = keras.layers.BatchNormalization(name=f"block_{block}_BN")(x)
        x = keras.layers.ReLU(name=f"block_{block}_relu")(x)
    return keras.Model(photos, x, name="small_cnn")


def preprocess(photos: keras.KerasTensor) -> keras.KerasTensor:
    """Scale pixels as both backbones want them: [0, 255] to [-1, 1]."""
    return keras.ops.cast(photos, "float32") / 127.5 - 1.0


def set_weights(layers: list[keras.Layer], weights: Weights) -> None:
    """Fill layers by name; every layer that has weights must be given, with the right shapes, and no other.

    Raises:
        UserError: the arrays belong to another network; names the first layer that differs.
    """
    wanted = {layer.name: layer for layer in layers if layer.weights}
    for name in sorted(set(wanted) ^ set(weights)):
        owner = "the network" if name in wanted else "the weights"
        raise UserError(f"these weights are of another network: only {owner} has a layer {name}")
    for name, layer in wanted.items():
        shapes = [tuple(weight.shape) for weight in layer.weights], [array.shape for array in weights[name]]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"these weights are of another network: layer {name} has shapes {shapes[1]}, not {shapes[0]}"
            )
        layer.set_weights(weights[name])


def get_weights(layers: list[keras.Layer]) -> Weights:
    """Weights by layer name, for layers that have any; float32 arrays in Keras's order."""
    return {layer.name: [np.asarray(array) for array in layer.get_weights()] for layer in layers if layer.weights}


def stem(base: keras.Model, boundary: str) -> keras.Model:
    """The part that no phase trains: photos in [-1, 1] to the activations at `boundary`. Shares the layers."""
    return keras.Model(base.input, base.get_layer(boundary).output, name="stem")


def top(base: keras.Model, boundary: str) -> keras.Model:
    """The rest of the network: activations at `boundary` to (n, h, w, channels). Shares the layers."""
    return keras.Model(base.get_layer(boundary).output, base.output, name="top")


def freeze_below(base: keras.Model, fine_tune_at: int) -> None:
    """Make the layers from index `fine_tune_at` on trainable and no other, as the tutorial counts them."""
    base.trainable = True  # says nothing to layers when it was so before: TensorFlow drops what seems no change
    for index, layer in enumerate(base.layers):
        layer.trainable = index >= fine_tune_at


def describe(base: keras.Model, fine_tune_at: int) -> list[tuple[str, int, int]]:
    """List the layers: output shape such as `10 x 10 x 64`, parameters, and those that fine-tuning trains."""
    freeze_below(base, fine_tune_at)
    return [
        (
            " x ".join(str(side) for side in layer.output.shape[1:]),
            layer.count_params(),
            sum(weight.shape.num_elements() for weight in layer.trainable_weights),
        )
        for layer in base.layers
    ]
