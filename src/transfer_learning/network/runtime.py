"""TensorFlow set up so that the same input gives the same bytes."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from transfer_learning.core import surroundings

SLICES = 4  # of a batch: a part of a batch of 32 still has 8 photos, enough for fast matrix products


def setup(*, seed: int, threads: int) -> None:
    """Import TensorFlow quietly, fix its seeds, threads and order of operations. Call before any other use of it.

    Args:
        threads: operations that are computed side by side; 0 is one per core that this process may use. No byte of a
            result depends on it: those follow from the slices of a batch and the threads inside an operation, which are
            fixed here.
    """
    load()
    import keras
    import tensorflow as tf

    with _quiet():
        tf.config.threading.set_inter_op_parallelism_threads(threads or surroundings.cores())
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(seed)
        tf.config.list_logical_devices()  # looks for GPUs now, and says so now


def load() -> None:
    """Import Keras and TensorFlow without anybody's settings: neither variables nor the keras.json of a home folder
    choose number type, order of axes, backend, bounds on epochs or other code paths.

    Where Keras is loaded already it is somebody else's process, whose settings stay as they are.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _quiet(), _hidden("sklearn", "matplotlib"), _without_collection(), _without_settings():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401


def slices() -> int:
    """Number of parts of a batch to compute side by side: one on a GPU."""
    import tensorflow as tf

    return 1 if tf.config.list_logical_devices("GPU") else SLICES


def devices() -> list[str]:
    """Names of the GPUs that this process computes on, whose bytes are others than the processor's."""
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    return [str(details(device).get("device_name")) for device in tf.config.list_physical_devices("GPU")]


def at_once() -> int:
    """Number of calls of the network to make side by side, as `setup` has chosen: one on a GPU."""
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return 1
    return tf.config.threading.get_inter_op_parallelism_threads() or 1


@contextmanager
def _without_settings() -> Iterator[None]:
    """Drop the variables that change numbers, for good: TensorFlow reads some when it needs them. Show Keras a home
    without a keras.json, which it does not write either."""
    surroundings.drop_variables()
    os.environ["KERAS_HOME"] = os.devnull
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]


@contextmanager
def _without_collection() -> Iterator[None]:
    """Import without the garbage collector, which finds nothing in new modules and takes a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let packages that are not imported yet seem missing. Keras imports these two, if they are there, for parts of it
    that no stage uses: 0.6 s of each."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what TensorFlow's C++ side writes to stderr while it loads, ten lines that no setting of its own
    turns off; show them when loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
