"""How well wrong labels are found: 5 % of the labels of cats and dogs flipped, and looked for as `./tl labels` does.

    python benchmarks/labels.py          after make repro; 3 minutes on two cores

Reads data/split.csv and data/embeddings of the workspace. For each seed other photos are flipped, in all parts; the
strength of the probe's penalty is chosen anew on the wrong labels of the training photos, as stage probe would.
Writes benchmarks/labels.json and labels.md.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT / "src"))

from transfer_learning.core import files, surroundings
from transfer_learning.network import stored
from transfer_learning.photos.parts import SPLIT, read_split
from transfer_learning.reporting import label_issues
from transfer_learning.training import linear_probe

SEEDS = range(5)
SHARE = 0.05  # of the labels
FIRST = 100  # of the issues, the surest


def measured(embeddings: np.ndarray, labels: np.ndarray, training: int, seed: int | None) -> dict[str, float | None]:
    """Flip labels and look for them.

    Args:
        embeddings: (n, channels), training photos first.
        labels: (n,) 0 or 1.
        training: number of training photos.
        seed: of the choice of photos; None flips none.

    Returns:
        Strength, numbers of flipped photos and of issues, precision and recall of the first ones and of all.
    """
    flipped = np.zeros(len(labels), bool)
    if seed is not None:
        chosen = np.random.default_rng(seed).choice(len(labels), round(SHARE * len(labels)), replace=False)
        flipped[chosen] = True
    noisy = np.where(flipped, 1 - labels, labels)
    options = {"seed": 42 if seed is None else seed, "threads": surroundings.cores()}
    strength = linear_probe.fit(embeddings[:training], noisy[:training], **options).strength
    found, _ = label_issues.find(embeddings, noisy, strength=strength, **options)
    row = {"seed": seed, "strength": strength, "flipped": int(flipped.sum()), "issues": len(found)}
    for name, some in (("first", found[:FIRST]), ("all", found)) if seed is not None else ():
        right = int(flipped[some].sum())
        row |= {f"precision_{name}": right / len(some), f"recall_{name}": right / int(flipped.sum())}
    return row


def markdown(rows: list[dict[str, float | None]], photos: int) -> str:
    """The measurements as a table."""
    flipped = rows[-1]["flipped"]
    lines = [
        f"Labels of {flipped} of the {photos:,} cats and dogs flipped ({SHARE:.0%}, other ones for each seed), and "
        f"looked for as `./tl labels` does. The first {FIRST} can hold {FIRST / float(flipped or 1):.1%} of them at "
        f"most; {FIRST} photos drawn by chance would be right {SHARE:.0%} of the time. Without flipped labels "
        f"{rows[0]['issues']} photos look wrong.",
        "",
        f"| seed | strength chosen | look wrong | precision, first {FIRST} | recall, first {FIRST} | precision, all "
        "| recall, all |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    shares = ("precision_first", "recall_first", "precision_all", "recall_all")
    for row in rows[1:]:
        cells = " | ".join(f"{row[name]:.1%}" for name in shares)
        lines.append(f"| {row['seed']} | {row['strength']:g} | {row['issues']} | {cells} |")
    means = (np.mean([row[name] for row in rows[1:]]) for name in ("issues", *shares))
    count, *others = means
    lines.append(f"| mean | | {count:.0f} | {' | '.join(f'{share:.1%}' for share in others)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    _, split = read_split(SPLIT)
    embeddings = np.concatenate([stored.embeddings(part) for part in split])
    labels = np.concatenate([one.labels for one in split.values()]).astype(int)
    rows = [measured(embeddings, labels, len(split["train"].labels), seed) for seed in (None, *SEEDS)]
    folder = ROOT / "benchmarks"
    with files.written_aside(folder / "labels.json") as aside:
        aside.write_text(json.dumps({"photos": len(labels), "rows": rows}, indent=1) + "\n")
    with files.written_aside(folder / "labels.md") as aside:
        aside.write_text(markdown(rows, len(labels)))
    print((folder / "labels.md").read_text())


if __name__ == "__main__":
    main()
