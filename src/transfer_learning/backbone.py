"""The pretrained network: built by Keras, filled from our weights file, cut at a layer."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from transfer_learning.backbones import BACKBONES, DRAWN, IMAGENET_MEAN, IMAGENET_STD, SMALL_CNN_WIDTHS
from transfer_learning.errors import UserError
from transfer_learning.weights import Weights, read

APPLICATIONS = {
    "mobilenet_v2": keras.applications.MobileNetV2,
    "mobilenet_v3_small": keras.applications.MobileNetV3Small,
    "mobilenet_v3_large": keras.applications.MobileNetV3Large,
    "efficientnet_v2_b0": keras.applications.EfficientNetV2B0,
    "efficientnet_v2_b1": keras.applications.EfficientNetV2B1,
    "efficientnet_v2_b2": keras.applications.EfficientNetV2B2,
    "efficientnet_v2_b3": keras.applications.EfficientNetV2B3,
    "resnet50v2": keras.applications.ResNet50V2,
    "convnext_tiny": keras.applications.ConvNeXtTiny,
    "densenet121": keras.applications.DenseNet121,
}
WITH_PREPROCESSING = ("mobilenet_v3", "efficientnet_v2", "convnext")  # have it inside unless told otherwise


def build(name: str, *, size: int, alpha: float = 1.0) -> keras.Model:
    """Build a backbone with arbitrary weights: (n, size, size, 3) preprocessed photos to (n, h, w, channels).

    Its attribute `backbone` holds the name, by which `preprocess` finds what the network wants.

    Args:
        alpha: width multiplier; other than 1.0 only for the MobileNets.
    """
    if name == "small_cnn":
        base = _small_cnn(size)
    else:
        options = {"alpha": alpha} if name.startswith("mobilenet") else {}
        if name.startswith(WITH_PREPROCESSING):
            options["include_preprocessing"] = False
        base = APPLICATIONS[name](input_shape=(size, size, 3), include_top=False, weights=None, **options)
    base.backbone = name
    return base


def _small_cnn(size: int) -> keras.Model:
    photos = x = keras.Input((size, size, 3), name="input_layer")
    for block, width in enumerate(SMALL_CNN_WIDTHS, start=1):
        x = keras.layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False, name=f"block_{block}_conv")(
            x
        )  # (n, size / 2**block, size / 2**block, width)
        x = keras.layers.BatchNormalization(name=f"block_{block}_BN")(x)
        x = keras.layers.ReLU(name=f"block_{block}_relu")(x)
    return keras.Model(photos, x, name="small_cnn")


def preprocess(photos: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Scale pixels in [0, 255] as a backbone wants them: to [-1, 1], or by ImageNet's mean and standard deviation."""
    pixels = keras.ops.cast(photos, "float32")
    if BACKBONES[name].imagenet_pixels:
        return pixels / (255 * IMAGENET_STD).astype("float32") - (IMAGENET_MEAN / IMAGENET_STD).astype("float32")
    return pixels / 127.5 - 1.0


def load(base: keras.Model, path: Path) -> None:
    """Fill a backbone from the file of the fetch stage, or with random weights where it says so.

    Published files of older Keras versions have other layer names: as Keras does, their layers are then taken in order.

    Raises:
        UserError: the file is missing, broken or of another network.
    """
    found = read(path)
    if list(found) == list(DRAWN):
        return _draw(base)
    names = [layer.name for layer in base.layers if layer.weights]
    if set(found) != set(names) and len(found) == len(names):
        found = dict(zip(names, found.values(), strict=True))
    try:
        set_weights(base.layers, found)
    except UserError as error:
        raise UserError(f"{path} does not fit model {base.backbone}: {error}") from None


def _draw(base: keras.Model) -> None:
    """Draw He-normal kernels; all other weights keep the constants that Keras starts them at."""
    generator = np.random.default_rng(0)  # fixed: it stands in for one published file
    for layer in base.layers:
        for weight in layer.weights:
            if weight.name == "kernel":
                inputs = weight.shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else weight.shape[:-1]
                weight.assign(generator.normal(0, np.sqrt(2 / np.prod(inputs)), weight.shape))


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
    """The part that no phase trains: preprocessed photos to the activations at `boundary`. Shares the layers."""
    return keras.Model(base.input, base.get_layer(boundary).output, name="stem")


def top(base: keras.Model, boundary: str) -> keras.Model:
    """The rest of the network: activations at `boundary` to (n, h, w, channels). Shares the layers."""
    return keras.Model(base.get_layer(boundary).output, base.output, name="top")


def freeze_below(base: keras.Model, fine_tune_at: int) -> None:
    """Make the layers from index `fine_tune_at` on trainable and no other, as the tutorial counts them."""
    base.trainable = True  # says nothing to layers when it was so before: TensorFlow drops what seems no change
    for index, layer in enumerate(base.layers):
        layer.trainable = index >= fine_tune_at
