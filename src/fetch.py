"""Stage fetch: photos and backbone weights from the mirror folder or their URL, checked, into data/."""

from pathlib import Path

from transfer_learning import stage, weights
from transfer_learning.archives import extract_photos
from transfer_learning.backbones import BACKBONES, DRAWN, PUBLISHED, small_cnn_weights
from transfer_learning.drawn import draw_dataset
from transfer_learning.errors import UserError
from transfer_learning.photos import check_all, digest
from transfer_learning.schema import Settings
from transfer_learning.settings import load
from transfer_learning.sources import locate


def fetch_photos(settings: Settings, folder: Path) -> list[str]:
    """Fill `folder` with the photos that `data` names; returns their paths in it."""
    data = settings.data
    if data.kind == "drawn":
        return draw_dataset(
            folder, classes=data.classes, photos_per_class=data.photos_per_class, size=data.size, seed=data.seed
        )
    archive = locate(data.archive, data.url)
    paths = extract_photos(archive, folder, max_bytes=data.max_unpacked_mb * 1_000_000)
    found = digest(folder, paths)
    if data.digest is not None and found != data.digest:
        raise UserError(f"{archive} holds other photos: their digest is {found}, data.digest is {data.digest}")
    return paths


def fetch_backbone(settings: Settings) -> weights.Weights:
    """Find the backbone's weights, or draw them."""
    model = settings.model
    if model.weights == "random":
        return small_cnn_weights() if model.name == "small_cnn" else DRAWN
    known = BACKBONES[model.name]
    name = known.published_file(model.alpha, model.pretrained_resolution)
    path = locate(name, model.url and model.url + name)
    arrays = weights.read_published(path)
    found, wanted = sum(array.size for layer in arrays.values() for array in layer), known.parameters[model.alpha]
    if found != wanted:
        raise UserError(
            f"{path} holds weights of another network: {found:,} numbers, "
            f"{model.name} with model.alpha = {model.alpha} has {wanted:,}"
        )
    check_digest(path, arrays, PUBLISHED.get(name) if model.weights_digest == "published" else model.weights_digest)
    return arrays


def check_digest(path: Path, arrays: weights.Weights, wanted: str | None) -> None:
    """Compare a weights file with a digest as `model.weights_digest` or PUBLISHED gives it.

    Raises:
        UserError: it is another one.
    """
    if wanted is None:
        print(f"{path.name} is taken as it is: no digest to check it by")
        return
    kind, _, digest_of = wanted.rpartition(":")
    found = weights.digest(arrays) if kind in ("", "arrays") else weights.file_digest(path, kind)
    if found != digest_of:
        raise UserError(
            f"{path} holds other weights: digest {found}, wanted is {wanted}; "
            "model.weights_digest says which, null accepts any that fit"
        )


def main() -> None:
    settings = load("fetch")
    backbone = fetch_backbone(settings)
    with stage.written_aside(Path("data/raw")) as folder:
        paths = fetch_photos(settings, folder)
        check_all(folder, paths, max_megapixels=settings.images.max_megapixels)
        weights.write(Path("data/pretrained/backbone.weights.h5"), backbone)
    filled = "drawn at random" if backbone is DRAWN else f"of {len(backbone)} layers with weights"
    print(f"{len(paths):,} photos in data/raw, all readable; backbone {filled}")


if __name__ == "__main__":
    stage.run("fetch", main)
