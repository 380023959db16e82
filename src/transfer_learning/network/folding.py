"""A network in inference mode, computed faster: batch normalisation folded into the convolution before it, grouped
convolutions as depthwise ones, and the batch in slices side by side.

Batch normalisation with fixed statistics is a scale and an offset per channel, so conv(x, kernel) followed by it equals
conv(x, kernel * scale) + offset (Jacob et al. 2018, section 3.2). That is less to compute and to differentiate, while
kernel, gamma and beta are still what is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops


class FoldedConvolution(keras.layers.Layer):
    """A convolution and the batch normalisation behind it, in inference mode, as one convolution with a bias.

    It owns no weights: those of the two layers are used and trained. When neither is trainable, kernel and bias are
    constants, computed once from the weights that the layers have now.
    """

    def __init__(self, convolution: keras.layers.Layer, normalization: keras.layers.BatchNormalization) -> None:
        super().__init__()
        self.convolution, self.normalization = convolution, normalization
        self.depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        self.constant = not (convolution.trainable or normalization.trainable)
        self.kernel, self.bias = self._folded()
        if self.constant:
            self.kernel, self.bias = np.asarray(self.kernel), np.asarray(self.bias)

    def fold(self) -> None:
        """Take the weights as they are now for the calls that follow."""
        if not self.constant:
            self.kernel, self.bias = self._folded()

    def _folded(self) -> tuple[Any, Any]:
        """The kernel, and the bias (channels,)."""
        norm = self.normalization
        scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
        if norm.scale:
            scale = scale * norm.gamma
        bias = -norm.moving_mean * scale
        if norm.center:
            bias = bias + norm.beta
        if self.convolution.use_bias:
            bias = bias + self.convolution.bias * scale
        # the channels that a depthwise convolution puts out are the last two axes of its kernel
        kernel = self.convolution.kernel
        return kernel * (ops.reshape(scale, kernel.shape[2:]) if self.depthwise else scale), bias

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        layer = self.convolution
        options = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
        if self.depthwise:
            outputs = ops.depthwise_conv(inputs, self.kernel, data_format="channels_last", **options)
        elif not self.constant and layer.kernel_size == (1, 1) and layer.strides == (1, 1) and layer.groups == 1:
            channels, filters = self.kernel.shape[2:]  # a matrix product, which is faster, backwards above all
            outputs = ops.matmul(ops.reshape(inputs, (-1, channels)), ops.reshape(self.kernel, (channels, filters)))
            return ops.reshape(outputs + self.bias, (-1, *inputs.shape[1:-1], filters))
        else:
            outputs = ops.conv(inputs, self.kernel, data_format="channels_last", **options)
        return outputs + self.bias

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.convolution.compute_output_shape(shape)


class DepthwiseConvolution(keras.layers.Layer):
    """A convolution with as many groups as channels, as ConvNeXt has it, computed as the depthwise one that it is.

    Keras compiles grouped convolutions with XLA, which is tens of times slower on a CPU. It owns no weights.
    """

    def __init__(self, convolution: keras.layers.Conv2D) -> None:
        super().__init__()
        self.convolution = convolution

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        layer = self.convolution
        options = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
        kernel = ops.reshape(layer.kernel, (*layer.kernel_size, layer.groups, 1))
        outputs = ops.depthwise_conv(inputs, kernel, data_format="channels_last", **options)
        return outputs + layer.bias if layer.use_bias else outputs

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.convolution.compute_output_shape(shape)


class InferenceMode(keras.layers.Layer):
    """Call a network in inference mode even while what surrounds it trains, folded and in slices.

    `network(x, training=False)` within a functional model, the tutorial's way, does not do this in Keras 3.15: during
    `fit` the outer model's training=True replaces it, and batch normalisation uses and updates batch statistics.

    Args:
        network: its weights are shared; those of layers that are not trainable now must keep their values.
        slices: see `in_slices`.
    """

    def __init__(self, network: keras.Model, *, slices: int = 1) -> None:
        super().__init__()
        self.network, self.folded = fold(network)
        self.slices = slices

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        for layer in self.folded:
            layer.fold()
        return in_slices(lambda part: self.network(part, training=False), inputs, slices=self.slices)


def fold(network: keras.Model) -> tuple[keras.Model, list[FoldedConvolution]]:
    """Build the same function of a functional model with every convolution that a batch normalisation follows folded.

    Grouped convolutions become depthwise where they are; all other layers stay as they are. Its layers, weights
    included, are shared with `network`.

    Returns:
        The network, to be called with training=False, and its folded layers.
    """
    convolved: dict[int, tuple[keras.layers.Layer, keras.KerasTensor]] = {}  # by id of the output
    outputs: list[keras.KerasTensor] = []  # keeps the ids above from being used again
    folded: list[FoldedConvolution] = []

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        if _is_normalization(layer) and id(inputs[0]) in convolved:
            convolution, source = convolved[id(inputs[0])]
            folded.append(FoldedConvolution(convolution, layer))
            return folded[-1](source)
        result = (DepthwiseConvolution(layer) if _is_depthwise(layer) else layer)(*inputs, **options)
        if _is_convolution(layer):
            convolved[id(result)] = layer, inputs[0]
            outputs.append(result)  # left out of the network where nothing but the normalisation wants it
        return result

    built = keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)
    return built, folded


def _is_convolution(layer: keras.layers.Layer) -> bool:
    """Whether batch normalisation can be folded into a layer: linear, with the channels last."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    plain = type(layer) in kinds and layer.activation is keras.activations.linear
    return plain and layer.data_format == "channels_last"


def _is_depthwise(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a grouped convolution with one channel in and one out per group."""
    return (
        type(layer) is keras.layers.Conv2D
        and _is_convolution(layer)
        and layer.groups == layer.filters > 1
        and layer.kernel.shape[2] == 1
    )


def _is_normalization(layer: keras.layers.Layer) -> bool:
    """Whether a layer is batch normalisation of the channels."""
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, 3)


def in_slices(function: Callable[[Any], Any], batch: Any, *, slices: int) -> Any:
    """Apply a function to equal parts of a batch and put the results together: as parts of one graph they run side by
    side, each on a core of its own, where one operation over several cores waits for the slowest.

    Args:
        function: of an array (n, ...) to an array (n, ...), each row from the same row alone.
        slices: number of parts. The bytes of a gradient follow from it, so it must not follow from the machine.
    """
    if slices == 1:
        return function(batch)
    n = ops.shape(batch)[0]
    ends = [n * number // slices for number in range(slices + 1)]
    # a part without rows, of a batch smaller than slices, gets one that is cut off again: TensorFlow's convolutions
    # have no gradient for an empty array ("input depth must be evenly divisible by filter depth")
    parts = [function(batch[start : ops.maximum(end, start + 1)])[: end - start] for start, end in pairwise(ends)]
    return ops.concatenate(parts)
