"""Where in a photo the evidence for a class lies: Grad-CAM of the whole model, and its overlay on the photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from transfer_learning.errors import UserError

if TYPE_CHECKING:
    import keras

BATCH = 8  # photos whose feature maps are in memory at a time
STRENGTH = 0.6  # opacity of the overlay where the heat map is 1
COLOURS, HOTTEST = "turbo", 0.87  # of matplotlib, from blue to its brightest red: beyond that it turns dark


def heatmaps(model: keras.Model, photos: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Compute Grad-CAM (Selvaraju et al. 2017) for one class of each photo.

    The map is the ReLU of the last feature map's channels, each weighted by the mean gradient of the class's logit.
    Behind that feature map there is only global average pooling and a dense layer, so the gradient is the layer's
    weight / (h * w) at every position, and the sum is that of CAM (Zhou et al. 2016). It is computed so, without
    gradients. Each map is divided by its maximum; one without any positive evidence is 0 everywhere.

    Args:
        model: as whole_model.whole builds it: layers `pool` and `head` behind the backbone. With one logit, class 1 has
            that logit and class 0 its negative.
        photos: (n, size, size, 3) in [0, 255].
        classes: (n,) class index per photo.

    Returns:
        (n, h, w) float32 in [0, 1], h and w those of the backbone's last feature map.

    Raises:
        UserError: the model has no such layers.
    """
    import keras

    try:
        pool, head = model.get_layer("pool"), model.get_layer("head")
    except ValueError:
        raise UserError("Grad-CAM needs a model of this project, whose last layers are pool and head") from None
    kernel = head.kernel.numpy()  # (channels, logits)
    if kernel.shape[1] == 1:
        kernel = np.concatenate([-kernel, kernel], axis=1)
    backbone = keras.Model(model.input, pool.input)
    weights = kernel.T[np.asarray(classes, np.intp)]  # (n, channels)
    maps = [
        np.einsum("nhwc,nc->nhw", _features(backbone, photos[start : start + BATCH]), weights[start : start + BATCH])
        for start in range(0, len(photos), BATCH)
    ]
    positive = np.maximum(np.concatenate(maps), 0)
    peak = positive.max(axis=(1, 2), keepdims=True)
    return np.divide(positive, peak, out=np.zeros_like(positive), where=peak > 0)


def _features(backbone: keras.Model, photos: np.ndarray) -> np.ndarray:
    return backbone(photos.astype(np.float32), training=False).numpy()


def overlay(photo: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Lay a heat map over a photo: the warmer and the less transparent, the more evidence.

    Args:
        photo: (height, width, 3) uint8.
        heatmap: (h, w) in [0, 1]; brought to the photo's size with bicubic interpolation.

    Returns:
        (height, width, 3) uint8.
    """
    from matplotlib import colormaps

    height, width = photo.shape[:2]
    small = Image.fromarray(np.asarray(heatmap, np.float32))
    heat = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)  # bicubic overshoots
    colours = colormaps[COLOURS](HOTTEST * heat)[..., :3] * 255
    opacity = STRENGTH * heat[..., None]
    return (photo * (1 - opacity) + colours * opacity).round().astype(np.uint8)
