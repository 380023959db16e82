"""What is known of each backbone without building it: fetch and the settings check need no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALL_CNN_WIDTHS = (16, 32, 64, 128)


@dataclass(frozen=True)
class Backbone:
    """Facts of one architecture; tests hold them equal to the Keras model.

    Attributes:
        layers: number of layers, the input layer included, as `fine_tune_at` counts them.
        boundaries: layers that can be `model.boundary`, by index: the whole network passes through each of them.
    """

    layers: int
    boundaries: dict[str, int]


BACKBONES = {
    "mobilenet_v2": Backbone(
        layers=154,
        boundaries={
            "block_1_project_BN": 17,
            "block_3_project_BN": 35,
            "block_6_project_BN": 62,
            "block_10_project_BN": 97,
            "block_13_project_BN": 124,
        },
    ),
    "small_cnn": Backbone(layers=13, boundaries={f"block_{i}_relu": 3 * i for i in (1, 2, 3)}),
}


def mobilenet_v2_file(resolution: int) -> str:
    """Name of Keras's published weights file, without the classification layer, for one training resolution."""
    return f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{resolution}_no_top.h5"


def small_cnn_weights() -> dict[str, list[np.ndarray]]:
    """Draw the weights of `small_cnn`: He-normal 3 x 3 kernels, batch normalisation at its identity.

    Returns:
        float32 arrays by layer name, in the order of `keras.layers.Layer.get_weights`.
    """
    generator = np.random.default_rng(0)  # fixed: it stands in for one published file
    weights: dict[str, list[np.ndarray]] = {}
    channels = 3
    for block, width in enumerate(SMALL_CNN_WIDTHS, start=1):
        kernel = generator.normal(0, np.sqrt(2 / (9 * channels)), (3, 3, channels, width))
        ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
        weights[f"block_{block}_conv"] = [kernel.astype(np.float32)]
        weights[f"block_{block}_BN"] = [ones, zeros, zeros, ones]  # gamma, beta, moving mean, moving variance
        channels = width
    return weights
