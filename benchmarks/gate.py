"""How often the whole gate is wrong: false alarms between equal models, and worse models that it lets pass.

    python benchmarks/gate.py          20 minutes of CPU time

Pairs of models are simulated on n test and n validation photos, of three kinds: `close`, which mostly fail on the same
photos; `apart`, which share little; `wild`, which share less and are sure of what they say. Each model's logit of the
true class is what the photo gives plus noise of its own, so that equal models could be swapped. A worse model mirrors
the probability of some photos that it would have right, of test and validation. Each pair is judged by the code that
./tl compare calls, and by the rule that it replaced. Writes benchmarks/gate.json and gate.md.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT / "src"))

from transfer_learning.core import files
from transfer_learning.evaluation.predictions import Table
from transfer_learning.experiments import lock
from transfer_learning.reporting import chance, judgement
from transfer_learning.reporting.state import State
from transfer_learning.settings import params, schema

PAIRS = 1000
GENERATORS = 9  # 512 tosses for each pair; 8,192 in ./tl compare
PHOTOS = (50, 200, 1000)
DROPS = (0.0, 0.01, 0.02, 0.03)  # how much worse the second model truly is
CLASSES = ["a", "b"]


@dataclass(frozen=True)
class Kind:
    """Mean of what a photo gives to the logits of both models, its share against noise of 1, and the scale of both."""

    mean: float
    share: float
    scale: float


KINDS = {"close": Kind(1.5, 2.0, 2.0), "apart": Kind(1.5, 0.5, 2.0), "wild": Kind(1.0, 0.3, 6.0)}


def pair(generator: np.random.Generator, kind: Kind, photos: int, drop: float) -> tuple[Table, Table]:
    """Predictions of two models on the same photos, the second by `drop` worse."""
    shared = generator.normal(kind.mean, 1, photos) * kind.share
    base, new = (kind.scale * (shared + generator.normal(0, 1, photos)) for _ in range(2))
    right = new > 0
    mirrored = right & (generator.random(photos) < drop / max(np.mean(right), drop))
    return _table(base), _table(np.where(mirrored, -new, new))


def _table(logits: np.ndarray) -> Table:
    own = 1 / (1 + np.exp(-logits))
    labels = np.arange(len(logits)) % 2
    return Table(
        keys=[str(number) for number in range(len(logits))],
        classes=CLASSES,
        labels=labels,
        predicted=np.where(logits > 0, labels, 1 - labels),
        said=np.where(labels == 1, own, 1 - own),
        own=own,
    )


def state(test: Table, validation: Table, *, kept: bool = True) -> State:
    """A state with these predictions; the validation photos in git, or only counted as before they were kept."""
    accuracies = [float(np.mean(table.labels == table.predicted)) for table in (test, validation)]
    metrics = {"test/accuracy": accuracies[0], "test/loss": float(test.losses.mean())}
    metrics |= {"finetune/val_accuracy": accuracies[1], "finetune/photos": len(validation.keys)}
    return State("", Path(), metrics, {}, lock.State({}), {}, "", test, validation if kept else None)


def alarms(base: State, new: State, limits: schema.Gate) -> bool:
    """Whether the gate calls the new one worse."""
    return any(one.reason(limits.significance) for one in judgement.judge(base, new, limits))


def alarms_before(base: State, new: State, limits: schema.Gate) -> tuple[bool, bool]:
    """The rule before: test accuracy and loss at 5 % each; and with them the plain tolerance of val_accuracy."""
    lost, gained = (
        int(((one.test.own > 0.5) & (other.test.own <= 0.5)).sum()) for one, other in ((base, new), (new, base))
    )
    p, drop = binom.sf(lost - 1, lost + gained, 0.5), (lost - gained) / len(base.test.keys)
    by_accuracy = (drop > limits.accuracy_tolerance + 1e-9 and p < limits.significance) or (
        drop > 0 and 2 * p < limits.significance
    )
    change = new.test.losses - base.test.losses
    by_loss = bool(change.mean() > limits.metrics["test/loss"].tolerance) and bool(
        chance.chances(change[:, None], [1.0])[0] < limits.significance
    )
    fell = base.metrics["finetune/val_accuracy"] - new.metrics["finetune/val_accuracy"]
    on_test = by_accuracy or by_loss
    return on_test, on_test or fell > limits.metrics["finetune/val_accuracy"].tolerance + 1e-9


def simulate(kind: str, photos: int, drop: float, limits: schema.Gate, *, pairs: int = PAIRS) -> dict[str, float]:
    """Shares of pairs that are called worse: by the gate, by it with a base without validation photos, and before."""
    generator = np.random.default_rng([photos, int(1000 * drop), list(KINDS).index(kind)])
    found = np.zeros((pairs, 4))
    for number in range(pairs):
        (a, b), (c, d) = (pair(generator, KINDS[kind], photos, drop) for _ in range(2))
        base, new = state(a, c), state(b, d)
        found[number] = (
            alarms(base, new, limits),
            alarms(state(a, c, kept=False), new, limits),
            *alarms_before(base, new, limits),
        )
    gate, counted, on_test, before = found.mean(axis=0).tolist()
    row: dict[str, float] = {"photos": photos, "drop": drop, "gate": gate, "base_without_validation": counted}
    return row | {"before_on_test": on_test, "before": before}


def main() -> None:
    chance.GENERATORS = GENERATORS
    limits = params.check(params.read_yaml(Path("params.yaml"))).gate
    rows = [
        {"kind": kind, **simulate(kind, photos, drop, limits)}
        for photos in PHOTOS
        for kind in KINDS
        for drop in (DROPS if photos == PHOTOS[-1] else DROPS[:1])
    ]
    folder = ROOT / "benchmarks"
    with files.written_aside(folder / "gate.json") as aside:
        aside.write_text(json.dumps({"pairs": PAIRS, "tosses": 2**GENERATORS, "rows": rows}, indent=1) + "\n")
    with files.written_aside(folder / "gate.md") as aside:
        aside.write_text(markdown(rows))
    print((folder / "gate.md").read_text())


def markdown(rows: list[dict[str, float | str]]) -> str:
    """The shares as a table."""
    lines = [
        f"Of {PAIRS:,} simulated pairs, the share that the whole gate calls worse (two standard errors at 5 %: "
        f"{2 * (0.05 * 0.95 / PAIRS) ** 0.5:.1%}), on n test and n validation photos. The rule before had test "
        "accuracy and test/loss at 5 % each, and a plain tolerance on val_accuracy besides.",
        "",
        "| n | models | second worse by | now | now, base has no validation photos | before, on test | before, all |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        shares = [row[name] for name in ("gate", "base_without_validation", "before_on_test", "before")]
        worse = f"{100 * float(row['drop']):g} points" if row["drop"] else "equal"
        lines.append(
            f"| {row['photos']:,} | {row['kind']} | {worse} | {' | '.join(f'{share:.1%}' for share in shares)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
