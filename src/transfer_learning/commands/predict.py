"""Predict the class of photos with the model of the workspace, or of MLflow's registry.

    ./tl predict photo.jpg holiday/           a table; --json for one JSON object a line
    ./tl predict photo.jpg --model champion   by alias from MLflow's registry

A prediction less probable than evaluate.reject_below is marked as unsure; its class is shown all the same.
Photos that cannot be read are named, the others predicted, and the exit code is 2 then.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.core.errors import UserError, printable

if TYPE_CHECKING:
    from rich.text import Text

    from transfer_learning.serving.overlays import OverlayFolder
    from transfer_learning.serving.predictor import Predictor

BATCH = 64


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="photos, or folders of them")
    parser.add_argument("--model", help="a .keras file, or an alias such as champion; default: the workspace's model")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--overlay", type=Path, metavar="FOLDER", help="write photos with their Grad-CAM there")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import results
    from transfer_learning.network import runtime

    paths = list(_expand(arguments.photos))
    overlays = None
    if arguments.overlay:
        from transfer_learning.serving.overlays import OverlayFolder

        overlays = OverlayFolder(arguments.overlay, paths)
    runtime.setup(seed=0, threads=0)  # as evaluate does: the same photo, the same number
    from transfer_learning.serving.predictor import Predictor

    model = arguments.model or str(results.MODEL)
    predictor = Predictor(Path(model) if Path(model).suffix or "/" in model else registered(model))
    rows: list[dict[str, object]] = []
    problems = 0
    for start in range(0, len(paths), BATCH):
        found, broken = _predict(predictor, paths[start : start + BATCH], overlays)
        problems += broken
        rows += found
        if arguments.json:
            print("".join(f"{_json(row)}\n" for row in found), end="", flush=True)
    if rows and not arguments.json:
        _print_table(rows)
    if problems:
        others = "; the others are predicted" if rows else ""
        raise UserError(f"{problems} of {len(paths)} could not be read{others}")


def registered(alias: str) -> Path:
    """Fetch the model that has this alias in the registry, under the name of the data.

    Raises:
        UserError: there is none, or the store cannot be reached.
    """
    from transfer_learning.settings import params
    from transfer_learning.tracking import store

    name = str(params.flat()["data.name"])
    opened = store.Store()
    version = opened.registered(name, alias)
    if version is None:
        raise UserError(f"no model of {name} has the alias {alias}: `./tl promote` gives champion")
    return opened.fetch_model(version) / "artifacts/model.keras"


def _expand(given: list[Path]) -> list[Path]:
    from transfer_learning.photos import inventory, names

    paths: list[Path] = []
    for path in given:
        if not os.path.isdir(path):
            paths.append(path)
            continue
        inside, left_out = inventory.list_photos(path), inventory.left_out(path)
        said = f"{printable(str(path))}: {names.describe(left_out)}" if left_out else ""
        if not inside:
            raise UserError(f"folder {path} holds no photos ({names.KINDS}){said and '; '}{said}")
        if said:
            print(said, file=sys.stderr)
        paths += [path / name for name in inside]
    return paths


def _predict(
    predictor: Predictor, paths: list[Path], overlays: OverlayFolder | None
) -> tuple[list[dict[str, object]], int]:
    """Rows for the photos that can be read, and the number of those that cannot, each said in a line."""
    import numpy as np

    good, pixels = [], []
    for path in paths:
        try:
            pixels.append(predictor.pixels(path))
            good.append(path)
        except UserError as error:
            print(printable(f"{path} {error}"), file=sys.stderr)
        except OSError as error:
            print(printable(f"{path} cannot be opened: {error.strerror}"), file=sys.stderr)
    found = predictor.predict(np.stack(pixels)) if pixels else []
    rows: list[dict[str, object]] = [
        {"photo": str(path), "class": name, "probability": round(probability, 6)}
        for path, (name, probability) in zip(good, found, strict=True)
    ]
    if predictor.reject_below:
        for row, (_, probability) in zip(rows, found, strict=True):
            row["unsure"] = probability < predictor.reject_below
    if overlays and good:
        written = overlays.write(predictor, good, np.stack(pixels), [name for name, _ in found])
        for row, path in zip(rows, written, strict=True):
            row["overlay"] = str(path)
    return rows, len(paths) - len(good)


def _json(row: dict[str, object]) -> str:
    """One line, in ASCII alone where a name does not print; a byte that is not UTF-8 is \\udc80 to \\udcff then."""
    text = json.dumps(row, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(row)


def _cell(name: object) -> Text:
    from rich.text import Text

    return Text(printable(str(name)))  # no markup: [/a] is part of a name


def _print_table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column, justify in (("photo", "left"), ("class", "left"), ("probability", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    further = [name for name in ("unsure", "overlay") if name in rows[0]]
    for name in further:
        table.add_column(name, overflow="fold")
    for row in rows:
        more = [_cell("unsure" if row[name] is True else row[name] or "") for name in further]
        table.add_row(_cell(row["photo"]), _cell(row["class"]), f"{row['probability']:.1%}", *more)
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
