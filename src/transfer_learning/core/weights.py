"""Weights as files: arrays by layer in HDF5, the same bytes for the same numbers, no TensorFlow needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np

from transfer_learning.core.errors import BrokenFile, UserError
from transfer_learning.core.files import written_aside

Weights = dict[str, list[np.ndarray]]  # by layer name, in the order of keras.layers.Layer.get_weights


def read_published(path: Path) -> Weights:
    """Read a weights file as Keras's applications publish them (HDF5 with `layer_names`), in order of layers.

    Raises:
        BrokenFile: not such a file, or truncated.
    """
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise BrokenFile(f"{path} is not a Keras weights file: it has no layer_names")
            layers = [_text(name) for name in file.attrs["layer_names"]]
            arrays = {n: [file[n][_text(w)][()] for w in file[n].attrs["weight_names"]] for n in layers}
            return {name: found for name, found in arrays.items() if found}
    except (OSError, KeyError) as error:
        raise BrokenFile(f"{path} is not a Keras weights file or is truncated ({error})") from None


def write(path: Path, weights: Weights) -> None:
    """Write arrays as little-endian float32; layers are numbered, so that their order survives."""
    with written_aside(path) as aside, h5py.File(aside, "w", track_order=False) as file:
        for number, (layer, arrays) in enumerate(weights.items()):
            group = file.create_group(f"{number:04d}")
            group.attrs["layer"] = layer
            for index, array in enumerate(arrays):
                group.create_dataset(f"{index:04d}", data=array.astype("<f4"), track_times=False)


def read(path: Path) -> Weights:
    """Read what `write` wrote.

    Raises:
        UserError: missing, truncated or another kind of file.
    """
    try:
        with h5py.File(path, "r") as file:
            return {_text(group.attrs["layer"]): [group[i][()] for i in group] for group in file.values()}
    except (OSError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a weights file of ours or is truncated ({error})") from None


def digest(weights: Weights) -> str:
    """sha256 over all arrays in order of layers, as little-endian float32."""
    sha = hashlib.sha256()
    for arrays in weights.values():
        for array in arrays:
            sha.update(np.ascontiguousarray(array, "<f4").tobytes())
    return sha.hexdigest()


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
