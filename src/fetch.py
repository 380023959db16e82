"""Stage fetch: photos and backbone weights from the mirror folder or their URL, checked, into data/."""

from pathlib import Path

from transfer_learning import files, photos, stage, weights
from transfer_learning.backbones import DRAWN
from transfer_learning.gather import fetch_photos
from transfer_learning.published_weights import fetch_backbone
from transfer_learning.settings import load


def main() -> None:
    settings = load("fetch")
    backbone = fetch_backbone(settings)
    with files.written_aside(Path("data/raw")) as folder:
        number = fetch_photos(settings, folder)
        weights.write(Path("data/pretrained/backbone.weights.h5"), backbone)
    where = photos.root(Path("data/raw"))
    filled = "drawn at random" if backbone is DRAWN else f"of {len(backbone)} layers with weights"
    print(f"{number:,} photos in {where}, all readable; backbone {filled}")


if __name__ == "__main__":
    stage.run("fetch", main)
