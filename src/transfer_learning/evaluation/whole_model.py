"""The whole model, from pixels to probabilities: built from what was trained, compared with it, saved as one file."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from transfer_learning.core.files import written_aside
from transfer_learning.core.weights import Weights
from transfer_learning.network import backbone
from transfer_learning.network.head import HEAD
from transfer_learning.photos import chunks
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part
from transfer_learning.settings.backbones import BACKBONES, IMAGENET_MEAN, IMAGENET_STD

BATCH = 8  # photos whose activations are in memory at a time, for each thread
APART = 0.02  # in probability; float16 storage moves one by about 0.001
PROBABILITIES = "probabilities"  # the last layer
EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def whole(base: keras.Model, weights: Weights) -> keras.Model:
    """Build the model that people use: (n, size, size, 3) pixels in [0, 255] to probabilities.

    They are (n, 1), of class 1, for two classes and (n, classes) for more.

    Args:
        weights: of the backbone's layers and of the head, as the file of the fine-tuning phase holds them.
    """
    outputs = weights[HEAD][0].shape[-1]
    photos = keras.Input(base.input_shape[1:], name="photos")
    x = preprocessing_layer(base.backbone)(photos)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(outputs, name=HEAD)(x)
    activation = "sigmoid" if outputs == 1 else "softmax"  # a layer of its own, so that logits can be had
    model = keras.Model(photos, keras.layers.Activation(activation, name=PROBABILITIES)(x), name="classifier")
    backbone.set_weights([*base.layers, model.get_layer(HEAD)], weights)
    return model


def preprocessing_layer(name: str) -> keras.layers.Layer:
    """The same as `preprocess`, within rounding, as a layer `preprocess` that is saved with a model."""
    if BACKBONES[name].imagenet_pixels:
        scale, offset = (1 / (255 * IMAGENET_STD)).tolist(), (-IMAGENET_MEAN / IMAGENET_STD).tolist()
        return keras.layers.Rescaling(scale, offset=offset, name="preprocess")
    return keras.layers.Rescaling(1 / 127.5, offset=-1, name="preprocess")


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a whole model by a temperature, in its head's weights: no layer and no user need know."""
    for weight in model.get_layer(HEAD).weights:
        weight.assign((weight.numpy().astype(np.float64) / temperature).astype(np.float32))


def logits(model: keras.Model, chunks: Iterable[np.ndarray], *, threads: int = 1) -> np.ndarray:
    """Logits (n, 1), of the second of two classes, or (n, classes) float32, by the whole model as it is.

    Args:
        chunks: (k, size, size, 3) uint8 each, of n photos together; no more of them are in memory than the iterable
            holds itself.
        threads: batches of a chunk that are computed side by side.
    """

    before = keras.Model(model.input, model.get_layer(HEAD).output)

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)])
    def of_batch(batch: tf.Tensor) -> tf.Tensor:
        return before(batch, training=False)

    found: list[tf.Tensor] = []
    with ThreadPoolExecutor(threads) as pool:
        for photos in chunks:
            found += pool.map(of_batch, [photos[start : start + BATCH] for start in range(0, len(photos), BATCH)])
    return np.concatenate(found)


def logits_of_parts(
    model: keras.Model, parts: Sequence[Part], photos: Photos, *, size: int, threads: int
) -> list[np.ndarray]:
    """The logits of each part's photos, as by `logits`.

    One call for all builds the graph once; no chunk has photos of two parts, so each part's numbers are its own.

    Args:
        photos: those that fetch has read.
    """
    decoded = (chunks.chunks(photos.chosen(part.paths), size=size) for part in parts)
    found = logits(model, (chunk for _, chunk in chain.from_iterable(decoded)), threads=threads)
    return np.split(found, np.cumsum([len(part.paths) for part in parts])[:-1])


def difference_of_parts(base: keras.Model, boundary: str, model: keras.Model, photos: np.ndarray) -> float:
    """Compare the whole model with what training used: stem, float16 storage, top, head.

    Args:
        photos: (n, size, size, 3) in [0, 255].

    Returns:
        The largest difference in probability.
    """
    inner = backbone.stem(base, boundary)(backbone.preprocess(photos, base.backbone), training=False)
    stored = np.asarray(inner).astype(np.float16).astype(np.float32)  # as featurize keeps them
    pooled = keras.ops.mean(backbone.top(base, boundary)(stored, training=False), axis=(1, 2))
    by_parts = model.get_layer(PROBABILITIES)(model.get_layer(HEAD)(pooled))
    return float(keras.ops.max(keras.ops.abs(by_parts - model(photos, training=False))))


def check_parts(base: keras.Model, boundary: str, model: keras.Model, photos: np.ndarray) -> None:
    """Say how far the whole model and what training used are apart; see `difference_of_parts`.

    Raises:
        RuntimeError: too far, so that the model is not the one that was trained.
    """
    largest = difference_of_parts(base, boundary, model, photos)
    if largest > APART:
        raise RuntimeError(f"the whole model and its trained parts differ by {largest:.3f} in probability")
    print(f"whole model against the parts that were trained: at most {largest:.4f} apart in probability")


def describe(base: keras.Model, fine_tune_at: int) -> list[tuple[str, int, int]]:
    """List the layers: output shape such as `10 x 10 x 64`, parameters, and those that fine-tuning trains."""
    backbone.freeze_below(base, fine_tune_at)
    return [
        (
            " x ".join(str(side) for side in layer.output.shape[1:]),
            layer.count_params(),
            sum(weight.shape.num_elements() for weight in layer.trainable_weights),
        )
        for layer in base.layers
    ]


def save(
    model: keras.Model,
    path: Path,
    *,
    classes: list[str],
    threshold: float = 0.5,
    reject_below: float = 0.0,
    max_megapixels: int = 80,
) -> None:
    """Save a .keras file with what a prediction takes in its metadata, the same bytes for the same model.

    Keras writes dates and memory addresses into the archive; it is packed anew without them.

    Args:
        threshold: of two classes the second is predicted when its probability is at least this.
        reject_below: a prediction with a lower probability is unsure.
        max_megapixels: the bound of the photos that it was made with; it takes no larger ones.
    """
    facts: dict[str, object] = {"classes": classes, "threshold": threshold, "max_megapixels": max_megapixels}
    facts |= {"reject_below": reject_below}
    with written_aside(path) as aside:
        plain = aside.with_name(f"{aside.name}.keras")
        try:
            model.save(plain)
            with zipfile.ZipFile(plain) as source, zipfile.ZipFile(aside, "w") as target:
                for name in sorted(source.namelist()):
                    content = _canonical(name, source.read(name), facts)
                    target.writestr(zipfile.ZipInfo(name, EPOCH_OF_ZIP), content)
        finally:
            plain.unlink(missing_ok=True)


def _canonical(name: str, content: bytes, facts: dict[str, object]) -> bytes:
    if name == "metadata.json":
        return json.dumps({"keras_version": keras.__version__} | facts, sort_keys=True).encode()
    if name != "config.json":
        return content
    numbers: dict[str, str] = {}  # shared_object_id is id() of an object: number them as they come

    def renumber(match: re.Match[str]) -> str:
        return f'"shared_object_id": {numbers.setdefault(match[1], str(len(numbers)))}'

    return re.sub(r'"shared_object_id": (\d+)', renumber, content.decode()).encode()
