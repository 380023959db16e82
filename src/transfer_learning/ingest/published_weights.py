"""The backbone's weights as they are published, found and checked; or drawn."""

from __future__ import annotations

from pathlib import Path

from transfer_learning.core import files, weights
from transfer_learning.core.errors import BrokenFile
from transfer_learning.ingest.downloads import kept_if_whole, locate
from transfer_learning.settings.backbones import BACKBONES, DRAWN, PUBLISHED, small_cnn_weights
from transfer_learning.settings.schema import Settings


def fetch_backbone(settings: Settings) -> weights.Weights:
    """Find the backbone's weights, or draw them."""
    model = settings.model
    if model.weights == "random":
        return small_cnn_weights() if model.name == "small_cnn" else DRAWN
    known = BACKBONES[model.name]
    name = known.published_file(model.alpha, model.pretrained_resolution)
    path = locate(name, model.url and model.url + name)
    with kept_if_whole(path):
        arrays = weights.read_published(path)
        found, wanted = sum(array.size for layer in arrays.values() for array in layer), known.parameters[model.alpha]
        if found != wanted:
            raise BrokenFile(
                f"{path} holds weights of another network: {found:,} numbers, "
                f"{model.name} with model.alpha = {model.alpha} has {wanted:,}"
            )
        check_digest(path, arrays, PUBLISHED.get(name) if model.weights_digest == "published" else model.weights_digest)
    return arrays


def check_digest(path: Path, arrays: weights.Weights, wanted: str | None) -> None:
    """Compare a weights file with a digest as `model.weights_digest` or PUBLISHED gives it.

    Raises:
        BrokenFile: it is another one.
    """
    if wanted is None:
        print(f"{path.name} is taken as it is: no digest to check it by")
        return
    kind, _, digest_of = wanted.rpartition(":")
    found = weights.digest(arrays) if kind in ("", "arrays") else files.digest(path, kind)
    if found != digest_of:
        raise BrokenFile(
            f"{path} holds other weights: digest {found}, wanted is {wanted}; "
            "model.weights_digest says which, null accepts any that fit"
        )
