"""Stage split: data/split.csv says which photo is for training, validation or test."""

from pathlib import Path

from transfer_learning import files, stage
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
    with files.written_aside(Path("data/split.csv")) as aside:
        table.to_csv(aside, index=False, lineterminator="\n")
    print(describe(table))
    if len(unique) < len(photos):
        print(f"{len(photos) - len(unique)} exact duplicate(s) left out")


if __name__ == "__main__":
    stage.run("split", main)
