"""What makes a test result say less than it seems to, and a run less good than it could be."""

from __future__ import annotations

import json
from collections.abc import Callable

from transfer_learning.core import history
from transfer_learning.evaluation import kept_epoch
from transfer_learning.evaluation.predictions import PATH, rows

FEW = 20  # photos; the 95 % interval of 19 right of 20 reaches from 76 to 99 %


def of_run(read: Callable[[str], str]) -> list[str]:
    """Find reasons for doubt in the results of a run; one line each.

    Args:
        read: gives the text of a file by its path in the repository.
    """
    found = caveats(read(PATH.as_posix()))
    for stage, path in history.HISTORIES.items():
        metrics = json.loads(read(kept_epoch.METRICS[stage]))
        worse = kept_epoch.caveat(stage, history.parse(read(path)), metrics)
        found += [worse] if worse else []
    return found


def caveats(predictions: str) -> list[str]:
    """Find reasons for doubt in the text of a reports/test/predictions.csv; one line each."""
    table = rows(predictions)
    found = []
    if len(table) < FEW:
        found.append(f"only {len(table)} test photos: chance decides most of this result")
    predicted = {row["predicted"] for row in table}
    if len(predicted) == 1:
        found.append(f"all {len(table)} test photos are predicted as {predicted.pop()}")
    return found
