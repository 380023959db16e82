"""How often the gate is wrong: false alarms between equal models, and worse models that it lets pass.

    python benchmarks/gate.py          three minutes

Pairs of models are simulated from the committed predictions: test photos are drawn again with replacement, and each
model adds noise of its own to every logit, as another seed would. A worse model gets photos wrong besides: it mirrors
the probability of some of those it would have right. Writes benchmarks/gate.json and gate.md.
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

from transfer_learning import files, gate, predictions, schema, settings  # noqa: E402

PAIRS = 1000
gate.RESAMPLES = 499  # of the test of the loss, for each pair
PHOTOS = (30, 200, 1000)
NOISE = (0.5, 1.0, 2.0)  # standard deviation added to a logit
DROPS = (0.0, 0.01, 0.03, 0.05)  # how much worse the second model truly is
FLIP = gate.Flip("", "", 0.0, 0.0)


def main() -> None:
    limits = settings.check(settings.read_yaml(Path("params.yaml"))).gate
    table = predictions.read(predictions.PATH.read_text()).values()
    classes = sorted({row["label"] for row in table})
    labels = np.array([classes.index(row["label"]) for row in table])
    probabilities = np.array([float(row["probability"]) for row in table]).clip(1e-6, 1 - 1e-6)
    logits = np.log(probabilities / (1 - probabilities))
    generator = np.random.default_rng(42)
    rows = [
        simulate(generator, labels, logits, limits, photos=photos, noise=noise) for photos in PHOTOS for noise in NOISE
    ]
    folder = ROOT / "benchmarks"
    with files.written_aside(folder / "gate.json") as aside:
        aside.write_text(json.dumps({"pairs": PAIRS, "rows": rows}, indent=1) + "\n")
    with files.written_aside(folder / "gate.md") as aside:
        aside.write_text(markdown(rows, limits))
    print((folder / "gate.md").read_text())


def simulate(
    generator: np.random.Generator,
    labels: np.ndarray,
    logits: np.ndarray,
    limits: schema.Gate,
    *,
    photos: int,
    noise: float,
) -> dict[str, float]:
    """Share of PAIRS that the gate calls worse, for each of DROPS: by accuracy alone, and by accuracy or loss.

    Args:
        labels: (n,) in {0, 1}, of the real test photos.
        logits: (n,) of the real model.
        photos: how many are drawn for each pair.
    """
    row: dict[str, float] = {"photos": photos, "noise": noise}
    for drop in DROPS:
        by_accuracy = by_either = 0
        right, disagree = [], []
        for _ in range(PAIRS):
            chosen = generator.integers(0, len(labels), photos)
            sign = 2 * labels[chosen] - 1
            base, new = (sign * (logits[chosen] + generator.normal(0, noise, photos)) for _ in range(2))
            mirrored = (new > 0) & (generator.random(photos) < drop / max(np.mean(new > 0), drop))
            new = np.where(mirrored, -new, new)
            lost, gained = int(((base > 0) & (new <= 0)).sum()), int(((base <= 0) & (new > 0)).sum())
            paired = gate.Paired(photos, int((base > 0).sum()), (FLIP,) * lost, (FLIP,) * gained)
            worse = paired.worse(limits) is not None
            losses = [np.logaddexp(0, -margin) for margin in (base, new)]
            beyond = np.mean(losses[1] - losses[0]) > limits.metrics["test/loss"].tolerance
            by_accuracy += worse
            by_either += worse or (beyond and gate.p_of_loss(*losses) < limits.significance)
            right.append(np.mean(base > 0))
            disagree.append((lost + gained) / photos)
        if not drop:
            row |= {"accuracy": round(float(np.mean(right)), 4), "disagree": round(float(np.mean(disagree)), 4)}
        row |= {f"accuracy_{drop:g}": by_accuracy / PAIRS, f"either_{drop:g}": by_either / PAIRS}
    return row


def markdown(rows: list[dict[str, float]], limits: schema.Gate) -> str:
    """The shares as a table."""
    lines = [
        f"Of {PAIRS:,} simulated pairs, the share that the gate calls worse: by the accuracy alone (tolerance "
        f"{limits.accuracy_tolerance:g}, significance {limits.significance:g}), and in brackets by the accuracy or by "
        f"test/loss (tolerance {limits.metrics['test/loss'].tolerance:g}).",
        "",
        "| test photos | accuracy | disagree on | equal models: false alarms | 1 point worse | 3 points | 5 points |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = [f"{row[f'accuracy_{drop:g}']:.1%} ({row[f'either_{drop:g}']:.1%})" for drop in DROPS]
        lines.append(f"| {row['photos']:,} | {row['accuracy']:.1%} | {row['disagree']:.1%} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
