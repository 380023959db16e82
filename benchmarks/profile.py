"""Where the seconds of featurize and finetune go, and what this machine could do at best.

    python benchmarks/profile.py       two minutes, after make repro

Times one core alone, since every part runs on one core while another runs beside it: the arithmetic of each part
against the fastest matrix product, decoding, augmentation, and the parts of a training step. Writes
benchmarks/profile.json and profile.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT / "src"))

from transfer_learning.core import files
from transfer_learning.network.runtime import setup
from transfer_learning.settings import params, schema
from transfer_learning.stage import environment

IMPORTS = {
    "tensorflow and keras, as a stage does it": (
        "import transfer_learning.network.runtime as r; r.setup(seed=0, threads=0)"
    ),
    "keras by itself": "import keras",
    "mlflow, in the recorder's process": "import mlflow",
    "pandas": "import pandas",
    "matplotlib and scikit-learn": "import matplotlib.pyplot, sklearn.metrics",
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    values = params.check(params.read_yaml(Path("params.yaml")))
    setup(seed=values.seed, threads=1)
    parts, peak = networks(values)
    result = {
        "environment": environment.facts() | {"threads": "1"},
        "peak_gflops": round(peak),
        "memory_gb_per_s": round(memory_bandwidth(), 1),
        "parts": parts,
        "import_seconds": {name: round(import_seconds(code), 2) for name, code in IMPORTS.items()},
    }
    with files.written_aside(ROOT / "benchmarks/profile.json") as aside:
        aside.write_text(json.dumps(result, indent=1) + "\n")
    with files.written_aside(ROOT / "benchmarks/profile.md") as aside:
        aside.write_text(markdown(result))
    print(markdown(result))


def networks(values: schema.Settings) -> tuple[dict[str, dict[str, float]], float]:
    """Milliseconds a photo of every part and its floating-point operations; and the peak of a matrix product."""
    import keras
    import tensorflow as tf

    from transfer_learning.network import backbone, features
    from transfer_learning.network.folding import InferenceMode
    from transfer_learning.photos import augment, decode, inventory
    from transfer_learning.photos.parts import SPLIT, read_split
    from transfer_learning.training import classifier, epochs

    size, boundary, at = values.images.size, values.model.boundary, values.finetune.fine_tune_at
    base = backbone.build(values.model.name, size=size, alpha=values.model.alpha)
    backbone.load(base, Path("data/pretrained/backbone.weights.h5"))
    _, split = read_split(SPLIT)
    photos = inventory.read(Path("data/raw")).chosen(split["train"].paths[:64])
    n = features.AT_ONCE
    with ThreadPoolExecutor(1) as pool:
        decoding = timed(lambda: decode.load_batch(photos, size=size, pool=pool)) / len(photos)
        pixels = decode.load_batch(photos[:n], size=size, pool=pool)
    rows = augment.draw_transforms(n, values.augment, views=1, size=size, seed=0)[0]
    names = [layer.name for layer in base.layers]
    cut = names.index(boundary) + 1
    backbone.freeze_below(base, len(base.layers))
    stem, top = backbone.stem(base, boundary), backbone.top(base, boundary)
    scaled = tf.constant(backbone.preprocess(pixels, base.backbone))
    inner = stem(scaled, training=False)
    parts = {"decode and resize": {"ms": decoding}}
    flip_and_rotate = tf.function(augment.apply)
    parts["flip and rotate"] = {"ms": timed(lambda: flip_and_rotate(pixels, rows)) / n}
    for name, network, inputs, layers in (
        ("below the boundary", stem, scaled, base.layers[:cut]),
        ("above the boundary", top, inner, base.layers[cut:]),
    ):
        folded = InferenceMode(network)
        for kind, function in (("plain Keras", lambda x, of=network: of(x, training=False)), ("folded", folded)):
            compiled = tf.function(function)
            ms = timed(lambda compiled=compiled, inputs=inputs: compiled(inputs)) / n
            parts[f"{name}, {kind}"] = {"ms": ms, "mflop": operations(layers)}
    batch = values.finetune.batch_size
    inputs = tf.constant(np.random.default_rng(0).normal(size=(batch, *inner.shape[1:])).astype(np.float32))
    labels = tf.cast(tf.range(batch)[:, None] % 2, tf.float32)
    trained = operations(base.layers[at:])
    forward = operations(base.layers[cut:])
    step = forward + 2 * trained  # gradients of weights and of activations cost about as much as the way forward each
    for kind in ("plain Keras", "folded"):
        model = classifier.trainable_top(base, boundary, fine_tune_at=at, classes=2, dropout=0.2, seed=0)
        if kind == "plain Keras":
            model = plain(model, top, base)
        epochs.compile_model(model, keras.optimizers.RMSprop(1e-5), classes=2)
        data = iter(tf.data.Dataset.from_tensors((inputs, labels)).repeat())
        model.train_on_batch(inputs, labels)
        ms = timed(lambda model=model, data=data: model.train_function(data)) / batch
        parts[f"training step from layer {at}, {kind}"] = {"ms": ms, "mflop": step}
        model.test_on_batch(inputs, labels)
        ms = timed(lambda model=model, data=data: model.test_function(data)) / batch
        parts[f"validation above the boundary, {kind}"] = {"ms": ms, "mflop": forward}
    side = tf.random.normal((2048, 2048))
    peak = 2 * 2048**3 / timed(tf.function(lambda: side @ side)) / 1e6
    return {name: {key: round(value, 3) for key, value in part.items()} for name, part in parts.items()}, peak


def plain(model: object, top: object, base: object) -> object:
    """The trainable top without folding: Keras's own layers in inference mode."""
    import keras

    from transfer_learning.network.head import HEAD

    class Plain(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.network = top

        def call(self, inputs: object) -> object:
            return self.network(inputs, training=False)

    inputs = keras.Input(top.input_shape[1:])
    x = keras.layers.GlobalAveragePooling2D()(Plain()(inputs))
    x = keras.layers.Dropout(0.2, seed=0)(x)
    return keras.Model(inputs, keras.layers.Dense(1, name=HEAD)(x))


def operations(layers: list[object]) -> float:
    """Millions of floating-point operations of convolutions for a photo; a multiplication and an addition are two."""
    import keras

    total = 0
    for layer in layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            _, height, width, _ = layer.output.shape
            total += 2 * height * width * int(np.prod(layer.kernel.shape))
    return total / 1e6


def timed(function: Callable[[], object], *, calls: int = 20) -> float:
    """Median milliseconds of a call, after three to warm up."""
    taken = []
    for _ in range(calls + 3):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return 1e3 * statistics.median(taken[3:])


def memory_bandwidth() -> float:
    """GB a second that one core copies, reading and writing counted."""
    source = np.ones(64_000_000, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / timed(lambda: np.copyto(target, source), calls=10) / 1e6


def import_seconds(code: str) -> float:
    """Median wall seconds of a Python that does only this."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src'); {code}"]
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def markdown(result: dict[str, object]) -> str:
    """The profile as tables."""
    lines = [
        f"One core; the fastest matrix product does {result['peak_gflops']} GFLOP/s, copying memory "
        f"{result['memory_gb_per_s']} GB/s.",
        "",
        "| part | ms a photo | MFLOP a photo | GFLOP/s | of the peak |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, part in result["parts"].items():
        cells = ["", "", ""]
        if "mflop" in part:
            rate = part["mflop"] / part["ms"]
            cells = [f"{part['mflop']:.0f}", f"{rate:.0f}", f"{rate / result['peak_gflops']:.0%}"]
        lines.append(f"| {name} | {part['ms']:.2f} | {' | '.join(cells)} |")
    lines += ["", "| import | seconds |", "|---|--:|"]
    lines += [f"| {name} | {seconds:.1f} |" for name, seconds in result["import_seconds"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
