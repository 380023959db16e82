"""Stage fetch: photos and backbone weights from the mirror folder or their URL, checked, into data/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning.core import files, weights
from transfer_learning.ingest.gather import fetch_photos
from transfer_learning.ingest.published_weights import fetch_backbone
from transfer_learning.photos import inventory
from transfer_learning.settings.backbones import DRAWN
from transfer_learning.settings.params import load
from transfer_learning.stage import process


def main() -> None:
    settings = load("fetch")
    backbone = fetch_backbone(settings)
    with files.written_aside(Path("data/raw")) as folder:
        number = fetch_photos(settings, folder)
        weights.write(Path("data/pretrained/backbone.weights.h5"), backbone)
    where = inventory.read(Path("data/raw")).folder
    filled = "drawn at random" if backbone is DRAWN else f"of {len(backbone)} layers with weights"
    print(f"{number:,} photos in {where}, all readable; backbone {filled}")


if __name__ == "__main__":
    process.run("fetch", main)
