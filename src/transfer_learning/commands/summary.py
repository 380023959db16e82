"""Print the results of the workspace, or of a DVC experiment by name, as a short table.

It says which experiment and which photos they are of. Times are of the runs here that computed exactly these results.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions

if TYPE_CHECKING:
    from transfer_learning.experiments import results


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a DVC experiment; the workspace by default")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import lock, results

    experiment = revisions.experiment(arguments.name) if arguments.name else None
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside) if experiment else Path()
        if experiment:
            revisions.export(experiment.commit, folder, "params.yaml", lock.FILE, "reports")
            found = results.Results(folder, experiment.name, experiment.baseline)
        else:
            found = results.Results(folder, revisions.WORKSPACE, revisions.head())
        show(found, experiment)


def read(folder: Path, path: str, experiment: revisions.Experiment | None) -> str:
    """Read a file of the results.

    Raises:
        UserError: they lack it.
    """
    if not (folder / path).exists():
        where = f"experiment {experiment.name} has no {path}" if experiment else f"{path} is missing"
        raise UserError(where + ("" if experiment else ": `dvc repro` writes it"))
    return (folder / path).read_text()


def show(found: results.Results, experiment: revisions.Experiment | None) -> None:
    """Print the table, what it is about, and what must be known with it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from transfer_learning.evaluation import baseline, caveats
    from transfer_learning.evaluation import metrics as evaluation
    from transfer_learning.experiments import lock
    from transfer_learning.reporting import about

    frozen, tuned, test = (
        json.loads(read(found.folder, f"reports/{phase}/metrics.json", experiment))
        for phase in ("frozen", "finetune", "test")
    )
    stages = lock.read(found.folder, found.name)
    title = f"Results of {found.name}" if experiment else f"Results of the workspace, {about.whose(found.baseline)}"
    table = Table(title=Text(title), title_justify="left")
    for name, justify in (("", "left"), ("photos", "right"), ("loss", "right"), ("accuracy", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    probe = baseline.in_folder(found.folder)
    validation = [("validation, frozen base", frozen), ("validation, fine-tuned", tuned)]
    for name, metrics in [("validation, linear probe", probe), *validation] if probe else validation:
        table.add_row(name, f"{metrics['photos']:.0f}", f"{metrics['val_loss']:.3f}", f"{metrics['val_accuracy']:.1%}")
    if probe:
        cells = f"{probe['test_photos']:.0f}", f"{probe['test_loss']:.3f}", f"{probe['test_accuracy']:.1%}"
        table.add_row("test, linear probe", *cells)
    interval = f"{test['accuracy']:.1%} ({test['accuracy_low']:.1%} to {test['accuracy_high']:.1%})"
    table.add_row("test, fine-tuned", f"{test['photos']:.0f}", f"{test['loss']:.3f}", interval, style="bold")
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    if probe:
        console.print(baseline.verdict(probe))
    if sure := evaluation.sure_in_words(test):
        console.print(sure)
    console.print(about.photos(found, stages, experiment), soft_wrap=True)
    for caveat in caveats.of_run(lambda path: read(found.folder, path, experiment)):
        console.print(f"warning: {caveat}", style="bold yellow")
    if not lock.fits(found.folder, found.name):
        said = (
            "params.yaml and reports/ are not as dvc.lock has them: `dvc repro` computes the results of these settings"
        )
        console.print(f"warning: {said}", style="bold yellow", soft_wrap=True)
    console.print(about.times(stages), soft_wrap=True)
    if experiment is None:
        console.print("figures: reports/   model: models/model.keras   every run with its curves: make ui")
