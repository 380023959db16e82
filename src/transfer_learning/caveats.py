"""What makes a test result say less than it seems to."""

from __future__ import annotations

from transfer_learning.predictions import rows

FEW = 20  # photos; the 95 % interval of 19 right of 20 reaches from 76 to 99 %


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
