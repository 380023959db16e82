"""Whether what `./tl new-data` proposes beats the linear probe, on sets cut from the real photos, by the real commands.

    python benchmarks/recipes.py            about half an hour on two cores; the photos must be there, `make repro`

Cats and dogs with 25 to 250 training photos a class, the same shrunk to 64 pixels, and six classes that ImageNet does
not tell apart, cats and dogs by how far they are turned. Validation is two fifths of the training photos, the test all
photos that are left, so that its numbers are sharper than those of anybody's own. Each set runs with the command that
new-data ends with, and with the tutorial's settings. `--sizes` measures only which image size suits small photos:
linear probes of 1,000 photos that are first shrunk, two minutes. Writes benchmarks/recipes.json and recipes.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT / "src"))

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "DATA_MIRROR": os.environ.get("DATA_MIRROR", str(ROOT.parent / "shared/data")),  # as for the repository itself
}
Change = Callable[[Image.Image], Image.Image] | None
MOST_TEST = 500  # photos of a class
SIDES, SIZES = (48, 64, 100, 150, 500), (96, 128, 160, 224)  # pixels: of photos, and of what the network takes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="measure the image sizes, keep the numbers of the sets")
    kept = ROOT / "benchmarks/recipes.json"
    photos = sorted((ROOT / "data/raw").rglob("*.jpg"))
    rows = json.loads(kept.read_text())["sets"] if parser.parse_args().sizes else of_sets(photos)
    result = {"sets": rows, "sizes": of_sizes(photos)}
    kept.write_text(json.dumps(result, indent=1) + "\n")
    (ROOT / "benchmarks/recipes.md").write_text(table(result["sets"], result["sizes"]))


def of_sets(photos: list[Path]) -> list[dict[str, object]]:
    """A row a set and command."""
    with tempfile.TemporaryDirectory() as aside:
        clone = Path(aside) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for name, value in (("name", "benchmark"), ("email", "benchmark@example.com")):
            run(clone, "git", "config", f"user.{name}", value)
        rows = []
        for name, classes in sets(photos).items():
            folder = write(Path(aside) / name.replace(", ", "_").replace(" ", "_"), classes)
            said = run(clone, "python", "src/cli.py", "new-data", str(folder))
            (proposed,) = [line.strip() for line in said.splitlines() if line.strip().startswith("dvc exp run ")]
            plain = f"dvc exp run -S data=folder -S data.path={folder}"
            for kind, command in (("tutorial", plain), ("proposed", proposed)):
                rows.append({"set": name, "kind": kind} | measured(clone, command, f"{folder.name}-{kind}"))
                print(rows[-1], flush=True)
    return rows


def of_sizes(photos: list[Path]) -> list[dict[str, float]]:
    """Accuracy of a linear probe on photos that it was not fitted to, by their side in pixels and the image size."""
    from transfer_learning.network import backbone, embeddings, runtime
    from transfer_learning.photos.inventory import Photos
    from transfer_learning.photos.parts import Part
    from transfer_learning.training import linear_probe

    runtime.setup(seed=0, threads=0)
    chosen = [photos[index] for index in np.random.default_rng(0).permutation(len(photos))[:1000]]
    labels = np.array([path.name.startswith("dog") for path in chosen]).astype(int)
    rows = []
    for side in SIDES:
        with tempfile.TemporaryDirectory() as aside:
            for number, path in enumerate(chosen):
                with Image.open(path) as image:
                    small = image.convert("RGB")
                    small.thumbnail((side, side))
                    small.save(Path(aside) / f"{number}.png")
            part = {"train": Part([Path(f"{number}.png") for number in range(len(chosen))], labels)}
            for size in SIZES:
                base = backbone.build("mobilenet_v2", size=size)
                backbone.load(base, ROOT / "data/pretrained/backbone.weights.h5")
                (found := Path(aside) / str(size)).mkdir()
                embeddings.compute(base, part, Photos(Path(aside)), found, size=size)
                (said,) = linear_probe.out_of_fold(np.load(found / "train.npy"), labels, [0.1], seed=0, threads=2)
                rows.append({"side": side, "size": size, "accuracy": float((said.argmax(axis=1) == labels).mean())})
                print(rows[-1], flush=True)
    return rows


def sets(photos: list[Path]) -> dict[str, dict[str, tuple[list[Path], int, Change]]]:
    """By set and class: its photos in random order, how many of them are for training, and what is done to each."""
    generator = np.random.default_rng(0)
    kinds = {name: [path for path in photos if path.name.startswith(name)] for name in ("cat", "dog")}
    kinds = {name: [paths[index] for index in generator.permutation(len(paths))] for name, paths in kinds.items()}
    found: dict[str, dict[str, tuple[list[Path], int, Change]]] = {}
    for number in (25, 50, 100, 250):
        found[f"{number} a class"] = {name: (paths, number, None) for name, paths in kinds.items()}
    found["100 a class, 64 pixels"] = {name: (paths, 100, fit(64, 0)) for name, paths in kinds.items()}
    found["six classes, turned"] = {
        f"{name} {90 * turn}": (paths[turn::3], 250, fit(150, turn))
        for name, paths in kinds.items()
        for turn in range(3)
    }
    return found


def fit(side: int, turns: int) -> Change:
    """Cut to a square of so many pixels and turn by quarters."""
    return lambda image: ImageOps.fit(image, (side, side)).rotate(90 * turns)


def write(folder: Path, classes: dict[str, tuple[list[Path], int, Change]]) -> Path:
    """A folder with parts, as people have them."""
    for label, (paths, number, change) in classes.items():
        held_out = number + number * 2 // 5
        parts = {"train": paths[:number], "validation": paths[number:held_out], "test": paths[held_out:][:MOST_TEST]}
        for part, chosen in parts.items():
            (folder / part / label).mkdir(parents=True)
            for path in chosen:
                target = folder / part / label / path.name
                if change:
                    with Image.open(path) as image:
                        change(image.convert("RGB")).save(target, quality=92)
                else:
                    shutil.copyfile(path, target)
    return folder


def measured(clone: Path, command: str, name: str) -> dict[str, object]:
    """Run an experiment aside; what it and the probe make of the photos."""
    started = time.monotonic()
    run(clone, *shlex.split(command), "--temp", "--name", name)
    seconds = time.monotonic() - started
    (ref,) = run(clone, "git", "for-each-ref", "--format=%(objectname)", f"refs/exps/**/{name}").split()
    paths = ("finetune/metrics.json", "test/metrics.json", "probe/metrics.json", "probe/test.json")
    tuned, test, probe, against = (json.loads(run(clone, "git", "show", f"{ref}:reports/{path}")) for path in paths)
    return {
        "validation": tuned["photos"], "test": test["photos"], "probe_validation": probe["val_accuracy"],
        "probe_test": against["test_accuracy"], "tuned_validation": tuned["val_accuracy"],
        "tuned_test": test["accuracy"], "gained": against["gained"], "lost": against["lost"],
        "p_value": against["p_value"], "best_epoch": tuned.get("best_epoch"), "seconds": round(seconds),
        "command": command.replace(f"{clone.parent}/", ""),
    }  # fmt: skip


def table(rows: list[dict[str, object]], sizes: list[dict[str, float]]) -> str:
    """The page."""
    lines = [
        "# Recipes",
        "",
        "Accuracy on validation, then on the test photos, of the linear probe at the same image size and of the",
        "trained model, and McNemar's p of the two on the test photos. `proposed` is the command that",
        "`./tl new-data` ends with, `tutorial` is `-S data=folder` alone.",
        "",
        "| set | settings | validation photos | test photos | probe | trained | p | time |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        probe, tuned = (f"{row[f'{kind}_validation']:.1%}, {row[f'{kind}_test']:.1%}" for kind in ("probe", "tuned"))
        lines.append(
            f"| {row['set']} | {row['kind']} | {row['validation']} | {row['test']} | {probe} | {tuned} "
            f"| {row['p_value'] or '< 1e-6'} | {row['seconds']} s |"
        )
    lines += [
        "",
        "Accuracy of linear probes on photos that they were not fitted to, 1,000 cats and dogs of which the longer",
        "side was shrunk to so many pixels, by the image size that the network takes:",
        "",
        f"| side | {' | '.join(map(str, SIZES))} |",
        f"|--:|{'--:|' * len(SIZES)}",
    ]
    for side in SIDES:
        cells = [f"{row['accuracy']:.1%}" for row in sizes if row["side"] == side]
        lines.append(f"| {side} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Made by `python benchmarks/recipes.py`."]) + "\n"


def run(folder: Path, *command: str) -> str:
    """What a command prints; one that fails ends the benchmark."""
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
