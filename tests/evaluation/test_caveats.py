"""A test result that says less than it seems to is marked where people look."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support.clone import Clone

from transfer_learning.evaluation.caveats import caveats
from transfer_learning.tracking import contents


def predictions(predicted: str) -> str:
    return "path,predicted\n" + "".join(f"{number}.jpg,{name}\n" for number, name in enumerate(predicted))


@pytest.mark.parametrize(
    ("predicted", "found"),
    [
        ("ab" * 10, []),
        ("ab" * 9 + "a", ["only 19 test photos: chance decides most of this result"]),
        ("b" * 20, ["all 20 test photos are predicted as b"]),
    ],
)
def test_few_photos_and_one_class_for_all_are_caveats(predicted: str, found: list[str]) -> None:
    assert caveats(predictions(predicted)) == found


def test_caveats_are_in_the_table_and_a_tag_of_the_run(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    assert "warning" not in clone.run("python", "src/cli.py", "summary")
    path = clone.folder / "reports/test/predictions.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))[:5]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"predicted": rows[0]["label"]} for row in rows)
    said = clone.run("python", "src/cli.py", "summary")
    assert "warning: only 5 test photos" in said
    assert f"warning: all 5 test photos are predicted as {rows[0]['label']}" in said
    held = contents.read("finetune", "evaluate", folder=clone.folder, name="workspace", baseline="0" * 40)
    assert held.tags["caveats"].startswith("only 5 test photos")
