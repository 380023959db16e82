"""Threads decide how long a computation takes, and no byte of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.clone import ROOT

# MobileNetV2's top trained for three batches, the last of a single photo, and the whole network on photos: the products
# of its layers are large enough for TensorFlow to divide them among threads, where it may
COMPUTES = """
import hashlib, sys
from pathlib import Path
from transfer_learning.network import runtime
runtime.setup(seed=1, threads=int(sys.argv[1]))
import numpy as np
from support.phases import fine_tuning
from transfer_learning.core.weights import Weights
from transfer_learning.evaluation import whole_model
from transfer_learning.network import backbone
from transfer_learning.network.head import HEAD
from transfer_learning.stage.kept_epochs import KeptEpochs
from transfer_learning.training import epochs, inputs, unfreezing

base = backbone.build("mobilenet_v2", size=96)
backbone._draw(base)
drawn = np.random.default_rng(0)
activations, labels = drawn.normal(size=(1, 33, 6, 6, 64)).astype(np.float32), np.arange(33) % 2
batch = inputs.from_array(activations)
examples = inputs.Examples(batch, labels, inputs.in_order(batch, labels, classes=2), 2, 1)
head = [np.zeros((1280, 1), np.float32), np.zeros(1, np.float32)]
network = unfreezing.Network(base, "block_6_project_BN", 0.2)
phase = fine_tuning(epochs=1, learning_rate=0.01, batch_size=16)  # a rate that lets a last bit of a gradient show
session = epochs.Session(1, lambda row: None, KeptEpochs(Path(sys.argv[2])))
model, history = unfreezing.fine_tune(network, {HEAD: head}, examples, session, phase=phase, first=1)
weights = backbone.get_weights([*base.layers, model.get_layer(HEAD)])
photos = drawn.integers(0, 256, (20, 96, 96, 3)).astype(np.uint8)
found = whole_model.logits(whole_model.whole(base, weights), [photos], threads=runtime.at_once())
arrays = [array for arrays in weights.values() for array in arrays]
print(hashlib.sha256(b"".join(array.tobytes() for array in [*arrays, found]) + history.to_csv().encode()).hexdigest())
"""


def test_one_core_and_four_threads_give_the_same_bytes(tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}/tests"}
    one_core = {"preexec_fn": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})}
    running = []
    for threads, options in (("0", one_core), ("4", {})):  # 0 is as many as cores
        command = [sys.executable, "-W", "ignore", "-c", COMPUTES, threads, str(tmp_path_factory.mktemp(threads))]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options))
    digests = [process.communicate()[0].splitlines()[-1] for process in running]
    assert [process.returncode for process in running] == [0] * 2
    assert len(set(digests)) == 1
