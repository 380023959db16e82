"""Stage fetch: photos and backbone weights from the mirror folder or their URL, checked, into data/."""

from pathlib import Path

from transfer_learning import stage, weights
from transfer_learning.archives import extract_photos
from transfer_learning.backbones import mobilenet_v2_file, small_cnn_weights
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
    """Find or draw the backbone's weights."""
    model = settings.model
    if model.name == "small_cnn":
        return small_cnn_weights()
    name = mobilenet_v2_file(model.pretrained_resolution)
    path = locate(name, model.url and model.url + name)
    arrays = weights.read_published(path)
    found = weights.digest(arrays)
    if model.weights_digest is not None and found != model.weights_digest:
        raise UserError(f"{path} holds other weights: digest {found}, model.weights_digest is {model.weights_digest}")
    return arrays


def main() -> None:
    settings = load("fetch")
    backbone = fetch_backbone(settings)
    with stage.written_aside(Path("data/raw")) as folder:
        paths = fetch_photos(settings, folder)
        check_all(folder, paths, max_megapixels=settings.images.max_megapixels)
        weights.write(Path("data/pretrained/backbone.weights.h5"), backbone)
    print(f"{len(paths):,} photos in data/raw, all readable; backbone of {len(backbone)} layers with weights")


if __name__ == "__main__":
    stage.run("fetch", main)
