"""Embeddings: what Keras's network gives for the photo as it is, whoever computes them in however many goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer_learning.ingest.drawn import draw_dataset
from transfer_learning.network import backbone, embeddings, stored
from transfer_learning.photos import chunks
from transfer_learning.photos.inventory import Photos
from transfer_learning.photos.parts import Part
from transfer_learning.settings import backbones


def test_they_are_the_pooled_output_of_the_network_and_go_on_where_they_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [Path(path) for path in draw_dataset(tmp_path / "raw", classes=2, photos_per_class=24, size=40, seed=0)]
    base = backbone.build("small_cnn", size=32)
    backbone.set_weights(base.layers, backbones.small_cnn_weights())
    parts = {"train": Part(paths[:41], np.zeros(41, np.uint8)), "test": Part(paths[41:], np.zeros(31, np.uint8))}
    photos = Photos(tmp_path / "raw")

    def compute(name: str) -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        embeddings.compute(base, parts, photos, tmp_path / name, size=32)
        return tmp_path / name

    whole = compute("whole")
    assert sorted(path.name for path in whole.iterdir()) == ["test.npy", "train.npy"]
    for name, part in parts.items():
        pixels = np.concatenate([chunk for _, chunk in chunks.chunks(photos.chosen(part.paths), size=32)])
        expected = np.asarray(base(backbone.preprocess(pixels, "small_cnn"), training=False)).mean(axis=(1, 2))
        found = stored.embeddings(name, whole)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())

    decode, given = chunks.load_batch, []

    def stopped(chosen: list[Any], **options: Any) -> np.ndarray:
        given.append(len(chosen))
        if given == [32, 9, 31]:
            raise KeyboardInterrupt
        return decode(chosen, **options)

    monkeypatch.setattr(chunks, "load_batch", stopped)
    with pytest.raises(KeyboardInterrupt):
        compute("again")
    compute("again")
    assert given == [32, 9, 31, 31]  # what was done is not done again
    for path in whole.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
