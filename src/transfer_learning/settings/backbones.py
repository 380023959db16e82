"""What is known of each backbone without building it: fetch and the settings check need no TensorFlow.

Facts are of keras.applications of Keras 3.15, without the classification layers and without preprocessing layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALL_CNN_WIDTHS = (16, 32, 64, 128)
# What fetch writes for networks that Keras builds where `model.weights` is random; backbone.load draws them then.
DRAWN: dict[str, list[np.ndarray]] = {"random weights": []}


@dataclass(frozen=True)
class Backbone:
    """Facts of one architecture; tests hold them equal to the Keras model.

    Attributes:
        layers: number of layers, the input layer included, as `fine_tune_at` counts them.
        boundaries: layers that can be `model.boundary`, by index: the whole network passes through each of them.
        parameters: number of weights, by width multiplier (`model.alpha`).
        file: name of Keras's published weights file, with {alpha} and {resolution}; None: there is none.
        resolutions: resolutions that the published weights were trained at, in pixels, by width multiplier.
        imagenet_pixels: it wants pixels with ImageNet's mean 0 and standard deviation 1, not pixels in [-1, 1].
    """

    layers: int
    boundaries: dict[str, int]
    parameters: dict[float, int]
    file: str | None
    resolutions: dict[float, tuple[int, ...]]
    imagenet_pixels: bool = False

    def allowed(self, key: str, alpha: float) -> list[object]:
        """Values that a key of `model` may have for a width multiplier."""
        choices: dict[str, list[object]] = {
            "alpha": [*self.parameters],
            "weights": ["imagenet", "random"] if self.file else ["random"],
            "pretrained_resolution": [*self.resolutions.get(alpha, ())] or [None],
            "boundary": [*self.boundaries],
        }
        return choices[key]

    def published_file(self, alpha: float, resolution: int | None) -> str:
        """Name of Keras's published weights file, without the classification layer."""
        assert self.file is not None, "the settings allow imagenet weights only where Keras publishes some"
        return self.file.format(alpha=float(alpha), resolution=resolution)


# Of pixels in [0, 1]: red, green, blue.
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _efficientnet_v2(variant: str, resolution: int, layers: int, parameters: int, **boundaries: int) -> Backbone:
    return Backbone(
        layers,
        boundaries,
        {1.0: parameters},
        f"efficientnetv2-{variant}_notop.h5",
        {1.0: (resolution,)},
        imagenet_pixels=True,
    )


def _mobilenet_v3(variant: str, layers: int, parameters: dict[float, int], boundaries: dict[str, int]) -> Backbone:
    file = f"weights_mobilenet_v3_{variant}_224_{{alpha}}_float_no_top_v2.h5"
    return Backbone(layers, boundaries, parameters, file, dict.fromkeys(parameters, (224,)))


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
        parameters={0.35: 410_208, 0.5: 706_224, 0.75: 1_382_064, 1.0: 2_257_984, 1.3: 3_766_048, 1.4: 4_363_712},
        file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{resolution}_no_top.h5",
        # the wide ones are published at one resolution only
        resolutions=dict.fromkeys((0.35, 0.5, 0.75, 1.0), (96, 128, 160, 192, 224)) | {1.3: (224,), 1.4: (224,)},
    ),
    "mobilenet_v3_small": _mobilenet_v3(
        "small",
        156,
        {0.75: 583_160, 1.0: 939_120},
        {
            "expanded_conv_1_project_bn": 24,
            "expanded_conv_3_project_bn": 48,
            "expanded_conv_4_add": 63,
            "expanded_conv_6_project_bn": 92,
            "expanded_conv_8_project_bn": 122,
        },
    ),
    "mobilenet_v3_large": _mobilenet_v3(
        "large",
        186,
        {0.75: 1_808_736, 1.0: 2_996_352},
        {
            "expanded_conv_1_project_bn": 18,
            "expanded_conv_3_project_bn": 42,
            "expanded_conv_6_project_bn": 81,
            "expanded_conv_10_project_bn": 122,
            "expanded_conv_12_project_bn": 152,
        },
    ),
    "efficientnet_v2_b0": _efficientnet_v2(
        "b0", 224, 268, 5_919_312,
        block2b_add=18, block3b_add=30, block4c_add=73, block5c_add=116, block5e_add=146, block6d_add=204,
    ),
    "efficientnet_v2_b1": _efficientnet_v2(
        "b1", 240, 332, 6_931_124,
        block2c_add=30, block3c_add=49, block4d_add=107, block5c_add=150, block5f_add=195, block6e_add=268,
    ),
    "efficientnet_v2_b2": _efficientnet_v2(
        "b2", 260, 347, 8_769_374,
        block2c_add=30, block3c_add=49, block4d_add=107, block5c_add=150, block5f_add=195, block6e_add=268,
    ),
    "efficientnet_v2_b3": _efficientnet_v2(
        "b3", 300, 407, 12_930_622,
        block2c_add=30, block3c_add=49, block4e_add=122, block5d_add=180, block5g_add=225, block6f_add=313,
    ),
    "resnet50v2": Backbone(
        layers=190,
        boundaries={
            "conv2_block3_out": 39,
            "conv3_block4_out": 85,
            "conv4_block3_out": 119,
            "conv4_block6_out": 153,
        },
        parameters={1.0: 23_564_800},
        file="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        resolutions={1.0: (224,)},
    ),
    "convnext_tiny": Backbone(
        layers=132,
        boundaries={
            "convnext_tiny_stem": 1,
            "convnext_tiny_downsampling_block_0": 23,
            "convnext_tiny_downsampling_block_1": 45,
            "convnext_tiny_downsampling_block_2": 109,
        },
        parameters={1.0: 27_820_128},
        file="convnext_tiny_notop.h5",
        resolutions={1.0: (224,)},
        imagenet_pixels=True,
    ),
    "densenet121": Backbone(
        layers=427,
        boundaries={
            "pool2_pool": 52,
            "pool3_pool": 140,
            "conv4_block8_concat": 196,
            "conv4_block16_concat": 252,
            "pool4_pool": 312,
        },
        parameters={1.0: 7_037_504},
        file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        resolutions={1.0: (224,)},
        imagenet_pixels=True,
    ),
    "small_cnn": Backbone(
        layers=13,
        boundaries={f"block_{i}_relu": 3 * i for i in (1, 2, 3)},
        parameters={1.0: 98_160},
        file=None,
        resolutions={},
    ),
}  # fmt: skip

# By name of the file, what Keras's source lists: the md5 or sha256 of the file. Keras lists none for MobileNetV2; the
# one here is the sha256 over all arrays in order of layers as little-endian float32, whatever file they are in.
PUBLISHED = {
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5":
        "arrays:c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8",
    "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5": "md5:ebdb5cc8e0b497cd13a7c275d475c819",
    "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5": "md5:d3e8ec802a04aa4fc771ee12a9a9b836",
    "weights_mobilenet_v3_large_224_0.75_float_no_top_v2.h5": "md5:40af19a13ebea4e2ee0c676887f69a2e",
    "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5": "md5:07fb09a5933dd0c8eaafa16978110389",
    "efficientnetv2-b0_notop.h5": "md5:893217f2bb855e2983157299931e43ff",
    "efficientnetv2-b1_notop.h5": "md5:0e80663031ca32d657f9caa404b6ec37",
    "efficientnetv2-b2_notop.h5": "md5:1dfe2e7a5d45b6632553a8961ea609eb",
    "efficientnetv2-b3_notop.h5": "md5:f6abf7b5849ac99a89b50dd3fd532856",
    "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5": "md5:fac2f116257151a9d068a22e544a4917",
    "convnext_tiny_notop.h5": "sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5": "md5:30ee3e1110167f948a6b9946edeeb738",
}  # fmt: skip


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
