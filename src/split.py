"""Stage split: data/split.csv says which photo is for training, validation or test."""

from pathlib import Path

from transfer_learning import stage
from transfer_learning.parts import SPLIT, write_split
from transfer_learning.settings import load
from transfer_learning.splitting import describe, drop_duplicates, scan, split


def main() -> None:
    settings = load("split")
    photos = scan(Path("data/raw"))
    unique = drop_duplicates(photos)
    table = split(
        unique,
        test_fraction=settings.split.test_fraction,
        validation_fraction=settings.split.validation_fraction,
        fraction=settings.split.fraction,
        seed=settings.seed,
    )
    write_split(table, SPLIT)
    print(describe(table))
    if len(unique) < len(photos):
        print(f"{len(photos) - len(unique)} exact duplicate(s) left out")


if __name__ == "__main__":
    stage.run("split", main)
