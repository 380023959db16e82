"""Photos that no setting makes a good model of: said before anything is trained, with what helps instead."""

from __future__ import annotations

import pandas as pd

FEW = 10  # photos of a class: one or two for the test, and one or two for validation
ENOUGH = 30  # that are worth a try
MOST_SHARE = 0.9  # of all photos in one class
NAMED = 5  # classes in a line


def warnings(table: pd.DataFrame) -> list[str]:
    """What no setting mends, a line each.

    Args:
        table: a row a photo that can be read and is no copy, with its label.
    """
    counts = table["label"].value_counts()
    said = []
    few = counts[counts < FEW].sort_index().sort_values(kind="stable")
    if len(few):
        which = ", ".join(f"{label} {number}" for label, number in few.head(NAMED).items())
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        said.append(
            f"{len(few)} of {len(counts)} classes have fewer than {FEW} photos ({which}{more}): no setting helps, and "
            f"no result on them can be trusted; collect {ENOUGH} or more of each, or leave them out with data.leave_out"
        )
    largest, share = str(counts.index[0]), counts.iloc[0] / counts.sum()
    if share >= MOST_SHARE and len(counts) > 1:
        said.append(
            f"{share:.1%} of the photos are {largest}: who always says {largest} is right as often, so accuracy says "
            f"nothing; add photos of the other classes or take fewer of {largest}, and look at balanced_accuracy"
        )
    return said
