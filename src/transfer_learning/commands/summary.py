"""Print the results of the workspace, or of a DVC experiment by name, as a short table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a DVC experiment; the workspace by default")


def read(experiment: str | None, path: str) -> str:
    """Read a file of the workspace or of an experiment's commit."""
    if experiment is None:
        if not Path(path).exists():
            raise UserError(f"{path} is missing: `dvc repro` writes it")
        return Path(path).read_text()
    shown = revisions.text(revisions.experiment(experiment).commit, path)
    if shown is None:
        raise UserError(f"experiment {experiment} has no {path}")
    return shown


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from transfer_learning.core import workspace
    from transfer_learning.evaluation import caveats
    from transfer_learning.evaluation import metrics as evaluation
    from transfer_learning.stage import timing

    experiment: str | None = arguments.name
    frozen, tuned, test = (
        json.loads(read(experiment, f"reports/{phase}/metrics.json")) for phase in ("frozen", "finetune", "test")
    )
    ran = (experiment, revisions.experiment(experiment).baseline) if experiment else ("workspace", "")
    seconds = timing.read_seconds(timing.seconds_file(*ran))
    table = Table(title=f"Results of {experiment or 'the workspace'}", title_justify="left")
    for name, justify in (("", "left"), ("photos", "right"), ("loss", "right"), ("accuracy", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, metrics in (("validation, frozen base", frozen), ("validation, fine-tuned", tuned)):
        table.add_row(name, f"{metrics['photos']:.0f}", f"{metrics['val_loss']:.3f}", f"{metrics['val_accuracy']:.1%}")
    interval = f"{test['accuracy']:.1%} ({test['accuracy_low']:.1%} to {test['accuracy_high']:.1%})"
    table.add_row("test, fine-tuned", f"{test['photos']:.0f}", f"{test['loss']:.3f}", interval, style="bold")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    if sure := evaluation.sure_in_words(test):
        console.print(sure)
    for caveat in caveats.of_run(lambda path: read(experiment, path)):
        console.print(f"warning: {caveat}", style="bold yellow")
    if seconds:
        times = "  ".join(f"{name} {seconds[name]:.0f} s" for name in workspace.STAGES if name in seconds)
        console.print(f"time of each stage when it last ran: {times}", soft_wrap=True)
    if experiment is None:
        console.print("figures: reports/   model: models/model.keras   every run with its curves: make ui")
