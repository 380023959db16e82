"""What the MLflow run of an experiment holds, read from the files that DVC and git keep.

The same reading serves the stages while they run and `./tl record` afterwards, so that a run written live and one
written years later from a pulled experiment are equal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from transfer_learning.core import files, history
from transfer_learning.evaluation import baseline, caveats
from transfer_learning.experiments import lock
from transfer_learning.experiments.results import FROZEN, TUNED, Results
from transfer_learning.settings import params as settings

CURVES = {
    "loss": "loss/train",
    "accuracy": "accuracy/train",
    "val_loss": "loss/val",
    "val_accuracy": "accuracy/val",
}
PHASE = "phase/fine_tuning"  # 0 and 1: marks the boundary between the phases in the charts
FROZEN_FIGURE = "reports/frozen/learning_curves.png"

Point = tuple[str, float, int]  # metric, value, step


@dataclass
class Contents:
    """What one run holds; `folder` has the files."""

    stage: str
    folder: Path
    name: str
    baseline: str
    params: dict[str, str]
    tags: dict[str, str]
    points: list[Point] = field(default_factory=list)
    test: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # path in the folder: folder of the run
    whole: bool = False  # with test results and model

    @property
    def experiment(self) -> str:
        """Name of the MLflow experiment: that of the data."""
        return self.params["data.name"]


def read(stage: str, upto: str | None, *, folder: Path, name: str, baseline: str) -> Contents:
    """Read what the run of `stage` (train_frozen or finetune) holds once the stage `upto` has finished.

    Args:
        upto: a training stage, `evaluate` for all there is, or None before train_frozen has finished. Files of later
            stages are of an earlier experiment and left alone.
        folder: a workspace, or the exported files of a revision.
        name: of the DVC experiment.
        baseline: commit that the experiment started from.
    """
    params = {key: str(value) for key, value in settings.flat(folder).items()}
    tags = {"stage": stage, "dvc_experiment": name, "dvc_baseline": baseline}
    # what the UI shows as the run's source
    tags |= {
        "mlflow.source.name": f"src/{stage}.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": baseline,
    }
    found = Contents(stage, folder, name, baseline, params, tags)
    outputs = lock.outputs(lock.read(folder)) if (folder / lock.FILE).exists() else {}  # none before the first run ends
    if "data/raw" in outputs:
        tags["data_md5"] = outputs["data/raw"]
    if upto is None:
        return found
    for tag, path in (("frozen_weights_md5", FROZEN), ("finetuned_weights_md5", TUNED)):
        if path == FROZEN or (stage == "finetune" and upto != "train_frozen"):
            here = folder / path
            tags[tag] = files.digest(here, "md5") if here.exists() else outputs.get(path.as_posix(), "")
    frozen = history.read("train_frozen", folder)
    found.points = points(frozen, fine_tuning=False)
    if stage == "finetune":
        params["fine_tuning_starts_at_epoch"] = str(int(frozen[-1]["epoch"]) + 1)
        if upto != "train_frozen":
            tuned = history.read("finetune", folder)
            trained = [row for row in tuned if row["epoch"] > frozen[-1]["epoch"]]  # without what it starts from
            found.points += points(trained, fine_tuning=True)
    if upto == "evaluate":
        found.whole = True
        _add_results(found)
    return found


def of(results: Results) -> Contents:
    """What the run of an experiment holds, once its results are whole."""
    name, baseline = results.name, results.baseline
    return read("finetune", "evaluate", folder=results.folder, name=name, baseline=baseline)


def points(rows: list[dict[str, float]], *, fine_tuning: bool) -> list[Point]:
    """Metric points of rows of a history, at the step of their epoch."""
    named = [(name, float(row[column]), int(row["epoch"])) for row in rows for column, name in CURVES.items()]
    return named + [(PHASE, float(fine_tuning), int(row["epoch"])) for row in rows]


def _add_results(found: Contents) -> None:
    if found.stage == "train_frozen":
        found.files = {FROZEN_FIGURE: "figures/frozen"}
        return
    metrics = json.loads((found.folder / "reports/test/metrics.json").read_text())
    reasons = caveats.of_run(lambda path: (found.folder / path).read_text())
    found.tags |= {"caveats": "; ".join(reasons)} if reasons else {}
    found.test = {f"test/{key}": float(value) for key, value in metrics.items()}
    kept = json.loads((found.folder / "reports/finetune/metrics.json").read_text())  # of the epoch that was kept
    found.test |= {f"val/{key.removeprefix('val_')}": float(kept[key]) for key in ("val_accuracy", "val_loss")}
    found.test |= {f"probe/{key}": float(value) for key, value in baseline.in_folder(found.folder).items()}
    for entry in settings.read_yaml(found.folder / "dvc.yaml")["stages"]["evaluate"]["plots"]:
        path = Path(next(iter(entry)) if isinstance(entry, dict) else entry)
        table = "predictions/probe" if path.parent.name == "probe" else "predictions"
        found.files[path.as_posix()] = f"figures/{path.parent.name}" if path.suffix == ".png" else table
