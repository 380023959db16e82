"""Stage split: data/split.csv says which photo is for training, validation or test."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out
from transfer_learning.core import packages, surroundings

surroundings.shut_out()
packages.say_what_is_missing()
from transfer_learning.ingest import corrections
from transfer_learning.ingest.splitting import describe, drop_duplicates, scan, split
from transfer_learning.photos.parts import SPLIT, write_split
from transfer_learning.settings.params import load
from transfer_learning.stage import process


def main() -> None:
    settings = load("split")
    photos, file = scan(Path("data/raw")), Path(settings.split.watch)
    decided = corrections.decide(corrections.read(file), photos)
    unique = drop_duplicates(photos, decided)
    table = split(
        unique,
        test_fraction=settings.split.test_fraction,
        validation_fraction=settings.split.validation_fraction,
        fraction=settings.split.fraction,
        seed=settings.seed,
    )
    table, done = corrections.apply(table, decided, file)
    write_split(table, SPLIT)
    print(describe(table))
    if decided:
        print(done)
    if len(unique) < len(photos):
        print(f"{len(photos) - len(unique)} exact duplicate(s) left out")


if __name__ == "__main__":
    process.run("split", main)
