"""TensorFlow set up so that the same input gives the same bytes."""

from __future__ import annotations

import os


def setup(*, seed: int, threads: int) -> None:
    """Import TensorFlow quietly, fix its threads, seeds and order of operations. Call before any other use of it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    threads = threads or os.cpu_count() or 1
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
