"""The results of one experiment as one HTML file that needs no other file, no network and no script."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image

from transfer_learning.core.history import HISTORIES
from transfer_learning.evaluation import baseline, caveats, predictions
from transfer_learning.evaluation import metrics as evaluation
from transfer_learning.experiments.results import Results
from transfer_learning.photos.parts import PARTS, split_rows
from transfer_learning.reporting import pages, provenance

LARGE = 200_000  # bytes: a PNG above this shows photos, and takes a fifth as JPEG
QUALITY = 88  # of that JPEG, 1 to 95
MISTAKES = 20  # rows of the table
NAMED = 12  # classes named at the top
PHASES = {"train_frozen": "Frozen backbone", "finetune": "Fine-tuning"}
METRICS, PER_CLASS = "reports/test/metrics.json", "reports/test/per_class.csv"

FIGURES = {  # section, caption, and what a reader who cannot see it should know; others go to the end
    "reports/finetune/learning_curves.png": (
        "curves", "Accuracy and cross-entropy by epoch, both phases",
        "Two line charts by epoch, training and validation: accuracy above, cross-entropy below; numbers follow",
    ),
    "reports/test/confusion_matrix.png": (
        "test", "Confusion matrix: true against predicted class",
        "Grid of numbers of test photos: true classes down, predicted classes across",
    ),
    "reports/test/roc.png": (
        "test", "ROC curve",
        "Line chart: true positive rate against false positive rate; its area is among the metrics",
    ),
    "reports/test/reliability.png": (
        "test", "Reliability: how often a predicted probability comes true",
        "Line chart of observed shares against predicted probabilities, with the number of photos per bin below",
    ),
    "reports/test/per_class.png": (
        "test", "Precision and recall by class, the lowest first",
        "Two points a class, its precision and its recall on test photos; the numbers are in the table by class",
    ),
    "reports/test/predictions.png": (
        "mistakes", "Test photos, the surest mistakes first, then the least sure",
        "Grid of test photos with predicted and true class; the mistakes are in the table below",
    ),
    "reports/test/grad_cam.png": (
        "evidence", "Photos beside their overlay for the predicted class: mistakes, the surest, the least sure",
        "Pairs of a test photo and the same photo with coloured areas where the evidence lies",
    ),
    "reports/data/examples.png": ("data", "Training photos", "Grid of training photos with their class"),
    "reports/data/augmented.png": (
        "data", "Augmented views of one training photo", "Grid of one photo, changed at random as training sees it",
    ),
    "reports/finetune/architecture.png": (
        "network", "Parameters by layer: frozen and trained",
        "Bar chart of the number of parameters of each layer; colours tell which layers fine-tuning trains",
    ),
}  # fmt: skip
CONTAINED = {"reports/frozen/learning_curves.png"}  # in the curves of both phases


def render(found: Results, source: provenance.Commit, split: Path | None) -> str:
    """Render the report.

    Args:
        found: whole results that fit dvc.lock; the files are read from its folder.
        split: the split.csv of these results, where there is one.

    Returns:
        HTML5, a few MB at most: pictures are inside, and what people have named is escaped.
    """
    folder = found.folder
    text = (folder / predictions.PATH).read_text(encoding="utf-8")
    rows = predictions.rows(text)
    classes = sorted({row["label"] for row in rows})  # every class has test photos
    measured = json.loads((folder / METRICS).read_text())
    facts, versions = provenance.machine(folder)
    return pages.template("report.html.j2").render(
        data=found.data,
        model=found.settings["model.name"],
        classes=classes,
        named=NAMED,
        experiment=found.name,
        results=results(folder, float(found.settings["evaluate.confidence"])),
        confidence=float(found.settings["evaluate.confidence"]),
        metrics=measured,
        probe=baseline.verdict(probe) if (probe := baseline.in_folder(folder)) else "",
        caveats=caveats.of_run(lambda path: (folder / path).read_text(encoding="utf-8")),
        reject_below=float(found.settings.get("evaluate.reject_below", 0)),
        sure=evaluation.sure_in_words(measured),
        photos=count_photos(split) if split else {},
        parts=PARTS,
        figures=figures(folder),
        history=[(title, *_grid(folder / HISTORIES[phase])) for phase, title in PHASES.items()],
        per_class=_grid(folder / PER_CLASS) if (folder / PER_CLASS).exists() else (),
        wrong=sum(not predictions.right(row) for row in rows),
        mistakes=predictions.mistakes(rows, classes)[:MISTAKES],
        sections=by_section(found.settings),
        baseline=found.baseline,
        source=source,
        outputs=provenance.outputs(folder),
        facts=facts,
        versions=versions,
        commands=provenance.commands(found, source),
    )


def results(folder: Path, confidence: float) -> list[dict[str, Any]]:
    """Accuracy with its interval on validation photos (the probe and both phases) and on test
    photos.

    Args:
        confidence: level of Wilson's intervals; that of the test is in its metrics.

    Returns:
        Per result name, accuracy, low, high, correct, photos and loss.
    """
    found: list[dict[str, Any]] = []
    names = {"probe": "Validation, linear probe", "frozen": "Validation, frozen backbone"}
    for phase, name in (names | {"finetune": "Validation, fine-tuned"}).items():
        if phase == "probe" and not (folder / baseline.FITTED).exists():
            continue
        metrics = json.loads((folder / f"reports/{phase}/metrics.json").read_text())
        accuracy, photos = metrics["val_accuracy"], int(metrics["photos"])
        correct = round(accuracy * photos)
        low, high = evaluation.wilson_interval(correct, photos, confidence=confidence)
        found.append({"name": name, "accuracy": accuracy, "low": low, "high": high, "loss": metrics["val_loss"]})
        found[-1] |= {"correct": correct, "photos": photos}
    test = json.loads((folder / METRICS).read_text())
    last = {"name": "Test, fine-tuned", "low": test["accuracy_low"], "high": test["accuracy_high"]}
    return [*found, last | {key: test[key] for key in ("accuracy", "correct", "photos", "loss")}]


def count_photos(split: Path) -> dict[str, dict[str, int]]:
    """Number of photos by class and part, from a split.csv."""
    counts = Counter((row["label"], row["part"]) for row in split_rows(split))
    return {label: {part: counts[label, part] for part in PARTS} for label in sorted({label for label, _ in counts})}


def by_section(values: dict[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """Flat settings grouped by what is before the first dot; those without one come first."""
    sections: dict[str, list[tuple[str, Any]]] = {"": []}
    for name, value in values.items():
        section, dot, _ = name.partition(".")
        sections.setdefault(section if dot else "", []).append((name, value))
    return {section: rows for section, rows in sections.items() if rows}


def figures(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Figures that dvc.lock has, by section of the report: caption, alt, width, height, src (a data: URI)."""
    there = [path for path, *_ in provenance.outputs(folder) if path.endswith(".png") and path not in CONTAINED]
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(there, key=lambda path: list(FIGURES).index(path) if path in FIGURES else len(FIGURES)):
        section, caption, alt = FIGURES.get(path, ("more", path, f"Figure {path}"))
        found.setdefault(section, []).append({"caption": caption, "alt": alt, **picture(folder / path)})
    return found


def picture(path: Path) -> dict[str, Any]:
    """Width and height in pixels of a picture, and its src as a data: URI; a large PNG becomes a JPEG."""
    content, kind = path.read_bytes(), "png"
    with Image.open(path) as image:
        size = {"width": image.width, "height": image.height}
        if len(content) > LARGE:
            packed = io.BytesIO()
            image.convert("RGB").save(packed, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
            content, kind = packed.getvalue(), "jpeg"
    return {**size, "src": pages.data_uri(content, kind)}


def _table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _grid(path: Path) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a CSV file."""
    rows = _table(path)
    return [name.replace("_", " ") for name in rows[0]], [list(row.values()) for row in rows]
