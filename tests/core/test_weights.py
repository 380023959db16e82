"""Weights as files."""

from __future__ import annotations

from pathlib import Path

from transfer_learning.core import weights
from transfer_learning.settings import backbones


def test_weights_come_back_in_order(tmp_path: Path) -> None:
    arrays = backbones.small_cnn_weights()
    weights.write(tmp_path / "w.h5", arrays)
    assert list(weights.read(tmp_path / "w.h5")) == list(arrays)
