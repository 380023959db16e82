"""Folders that no setting makes a good model of are said to be so."""

from __future__ import annotations

import pandas as pd

from transfer_learning.reporting import too_little


def said(**counts: int) -> list[str]:
    return too_little.warnings(
        pd.DataFrame({"label": [name for name, number in counts.items() for _ in range(number)]})
    )


def test_too_few_photos_of_a_class_are_named_with_a_way_out() -> None:
    (line,) = said(a=5, b=5, c=40)
    assert line.startswith("2 of 3 classes have fewer than 10 photos (a 5, b 5): ")
    assert "data.leave_out" in line
    (line,) = said(**{f"class {number}": 4 for number in range(8)})
    assert "(class 0 4, class 1 4, class 2 4, class 3 4, class 4 4 and 3 more)" in line


def test_a_class_with_nearly_all_photos_is_named() -> None:
    (line,) = said(a=950, b=50)
    assert line.startswith("95.0% of the photos are a: ")
    assert "balanced_accuracy" in line


def test_other_folders_are_not_spoken_of() -> None:
    assert said(a=10, b=80) == said(a=10) == []
