"""The experiment against the tutorial as a plain Keras script: wall and CPU seconds, peak memory, accuracy.

    python benchmarks/bench.py               three rounds, interleaved, at the default settings; 25 minutes on two cores
    python benchmarks/bench.py --seeds 5     and the accuracy of both over five seeds
    python benchmarks/bench.py --quick       one round with one epoch a phase, on another file

Works in a clone of the last commit. Inputs come from the mirror folder or their URL; fetch and split are timed apart.
Writes benchmarks/bench.json, bench.md and bench.png (with --quick bench-quick.*).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT / "src"))

from transfer_learning.core import files, surroundings
from transfer_learning.experiments import lock
from transfer_learning.figures import drawing
from transfer_learning.ingest import downloads
from transfer_learning.settings import params
from transfer_learning.settings.backbones import BACKBONES
from transfer_learning.stage import environment, timing

SEED = 42
KINDS = {
    "plain": "the tutorial as a plain Keras script",
    "cold": "`dvc repro`, featurize to evaluate",
    "fine_tuning_trial": "`dvc exp run -S finetune.learning_rate=...`",
    "head_trial": "`dvc exp run -S train_frozen.learning_rate=... train_frozen`",
    "train_frozen": "of which the stage train_frozen",
    "nothing": "`dvc repro` with nothing to do",
}
Measured = dict[str, float]


class Bench:
    """A clone with its inputs in place, and the commands that are measured in it."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.clone, self.photos, self.log = folder / "clone", folder / "photos", folder / "log.txt"
        self.epochs = 1 if quick else 10
        self.overrides = ["train_frozen.epochs=1", "finetune.epochs=1"] if quick else []
        dropped = ("DVC_", "MLFLOW_", "GIT_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DATA_MIRROR": str(downloads.mirror_folder()),
            "DVC_NO_ANALYTICS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        self.clone.mkdir()
        self.run("git", "clone", "--quiet", str(ROOT), ".")
        for key, value in (("user.name", "bench"), ("user.email", "bench@example.com")):
            self.run("git", "config", key, value)

    def prepare(self, seed: int) -> Measured:
        """Fetch and split for a seed, and lay the photos out for the plain script; what fetch and split took."""
        self.run("python", "src/cli.py", "params", f"seed={seed}", *self.overrides)
        took = self.run("dvc", "repro", "split")
        shutil.rmtree(self.photos, ignore_errors=True)
        for path, label, part in pd.read_csv(self.clone / "data/split.csv", dtype=str).itertuples(index=False):
            folder = self.photos / part / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / path.replace("/", "_")).symlink_to(self.clone / "data/raw" / path)
        return took

    def plain(self, seed: int) -> tuple[Measured, Measured]:
        """Run the plain script; what it took, and its accuracies."""
        values = params.flat()
        name = BACKBONES["mobilenet_v2"].published_file(1.0, int(values["model.pretrained_resolution"]))
        weights = downloads.locate(name, f"{values['model.url']}{name}")
        options = ["--epochs", str(self.epochs), "--seed", str(seed), "--figure", str(self.clone / "plain.png")]
        took = self.run("python", "benchmarks/plain.py", str(self.photos), str(weights.resolve()), *options)
        said = json.loads(self.log.read_text().splitlines()[-1])
        return took, {name: said[name] for name in ("frozen_validation", "validation", "test")}

    def cold(self) -> tuple[Measured, Measured]:
        """Compute everything but the inputs anew; what it took, and the accuracies."""
        return self.run("dvc", "repro", "--force", "--downstream", "featurize"), self.accuracies()

    def accuracies(self) -> Measured:
        """Accuracies of the results in the clone."""
        frozen, tuned, test = (
            json.loads((self.clone / f"reports/{of}/metrics.json").read_text()) for of in ("frozen", "finetune", "test")
        )
        return {
            "frozen_validation": frozen["val_accuracy"],
            "validation": tuned["val_accuracy"],
            "test": test["accuracy"],
        }

    def round(self, number: int) -> Iterator[tuple[str, Measured]]:
        """All kinds once; trials get values that no round had, so that nothing comes out of the run cache."""
        yield "cold", self.cold()[0]
        self.run("git", "commit", "--quiet", "--all", "--allow-empty", "--message", "cold")
        yield "nothing", self.run("dvc", "repro")
        for kind, section, rate, targets in (
            ("fine_tuning_trial", "finetune", 1.1e-5 + 1e-7 * number, []),
            ("head_trial", "train_frozen", 1.1e-4 + 1e-6 * number, ["train_frozen"]),
        ):
            changed = [f"{section}.learning_rate={rate:.3g}", *self.overrides]
            options = [word for value in changed for word in ("-S", value)]
            yield kind, self.run("dvc", "exp", "run", "--name", f"{kind}-{number}", *options, *targets)
            if targets:
                stages = lock.by_stage(lock.read(self.clone))
                yield "train_frozen", {"wall": timing.measured(stages, workspace=self.clone)["train_frozen"]}
            self.run("git", "checkout", "--quiet", "--", ".")
            self.run("dvc", "checkout", "--quiet")

    def run(self, *command: str) -> Measured:
        """Run a command in the clone: wall and CPU seconds, and the largest memory of a process, in MB."""
        with open(self.log, "w") as log:
            started = time.monotonic()
            process = subprocess.Popen(
                command, cwd=self.clone, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - started
        if status:
            sys.exit(f"{' '.join(command)} failed:\n{self.log.read_text()[-3000:]}")
        return {
            "wall": round(wall, 2),
            "cpu": round(used.ru_utime + used.ru_stime, 2),
            "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    name = "bench-quick" if arguments.quick else "bench"
    facts = environment.facts() | {"threads": str(params.flat()["runtime.threads"] or surroundings.cores())}
    result: dict[str, object] = {"environment": facts, "epochs_of_each_phase": 1 if arguments.quick else 10}
    runs: dict[str, list[Measured]] = {kind: [] for kind in KINDS}
    accuracies: dict[str, list[Measured]] = {"plain": [], "ours": []}
    result |= {"runs": runs, "seeds": accuracies}
    with tempfile.TemporaryDirectory() as aside:
        bench = Bench(Path(aside), quick=arguments.quick)
        result["fetch_and_split"] = bench.prepare(SEED)
        for number in range(1 if arguments.quick else arguments.rounds):
            took, accuracy = bench.plain(SEED)
            runs["plain"].append(took)
            print(f"round {number + 1}: plain {took}", flush=True)
            for kind, took in bench.round(number):
                runs[kind].append(took)
                print(f"round {number + 1}: {kind} {took}", flush=True)
            if not number:
                accuracies["plain"].append({"seed": SEED} | accuracy)
                accuracies["ours"].append({"seed": SEED} | bench.accuracies())
            write(name, result)
        for seed in range(SEED + 1, SEED + arguments.seeds):
            bench.prepare(seed)
            for of, run in (("plain", lambda seed=seed: bench.plain(seed)), ("ours", bench.cold)):
                accuracies[of].append({"seed": seed} | run()[1])
                print(f"{of}: {accuracies[of][-1]}", flush=True)
            write(name, result)


def write(name: str, result: dict[str, object]) -> None:
    """Write the numbers, the table and the chart."""
    folder = ROOT / "benchmarks"
    with files.written_aside(folder / f"{name}.json") as aside:
        aside.write_text(json.dumps(result, indent=1) + "\n")
    with files.written_aside(folder / f"{name}.md") as aside:
        aside.write_text(table(result))
    draw(result, folder / f"{name}.png")


def table(result: dict[str, object]) -> str:
    """Medians with their range, ratios of the medians, and accuracies over the seeds, in Markdown."""
    runs, facts = result["runs"], result["environment"]
    plain = statistics.median(run["wall"] for run in runs["plain"])
    lines = [
        f"{facts['cores']} cores, {facts['instruction_sets']}; TensorFlow {facts['version.tensorflow']}; "
        f"{result['epochs_of_each_phase']} + {result['epochs_of_each_phase']} epochs; "
        f"medians of {len(runs['plain'])} interleaved rounds (lowest to highest).",
        "",
        "| | wall seconds | CPU seconds | peak MB of a process | times faster than the plain script |",
        "|---|---|---|---|---|",
    ]
    for kind, name in KINDS.items():
        wall = [run["wall"] for run in runs[kind]]
        spread = f"{statistics.median(wall):.1f} ({min(wall):.1f} to {max(wall):.1f})"
        measured = [of for of in ("cpu", "peak_mb") if of in runs[kind][0]]
        used = [f"{statistics.median(run[of] for run in runs[kind]):,.0f}" for of in measured]
        ratio = plain / statistics.median(wall)
        lines.append(f"| {name} | {spread} | {' | '.join(used or ['', ''])} | {ratio:.1f} |")
    took = result["fetch_and_split"]
    lines += [
        "",
        f"Apart: fetch and split {took['wall']:.1f} s, the same for both.",
        "",
        *accuracy_table(result["seeds"]),
    ]
    return "\n".join(lines) + "\n"


def accuracy_table(seeds: dict[str, list[Measured]]) -> list[str]:
    """Accuracy of both by seed, in percent, with the mean."""
    parts = {"frozen_validation": "validation, frozen", "validation": "validation, fine-tuned", "test": "test"}
    heads = [f"seed {row['seed']:.0f}" for row in seeds["plain"]]
    lines = [f"| | {' | '.join(heads)} | mean |"]
    lines.append("|---" * (len(seeds["plain"]) + 2) + "|")
    for part, title in parts.items():
        for of, rows in seeds.items():
            shares = [100 * row[part] for row in rows]
            cells = " | ".join(f"{share:.1f}" for share in shares)
            lines.append(f"| {title}: {of} | {cells} | {statistics.mean(shares):.2f} |")
    return lines


def draw(result: dict[str, object], path: Path) -> None:
    """A bar a kind: median wall seconds, with every single run as a dot."""
    runs = result["runs"]
    with drawing.drawing(path, figsize=(8.5, 3.6)) as (_, axis):
        for position, kind in enumerate(KINDS):
            wall = [run["wall"] for run in runs[kind]]
            median = statistics.median(wall)
            axis.barh(position, median, color=drawing.GREY if kind == "plain" else drawing.TRAIN, height=0.6)
            axis.plot(wall, [position] * len(wall), ".", color="black", ms=4)
            axis.text(max(wall), position, f"  {median:.1f} s", va="center")
        axis.set_yticks(range(len(KINDS)), [name.replace("`", "") for name in KINDS.values()])
        axis.invert_yaxis()
        axis.grid(False)
        axis.set_xlim(right=1.15 * max(run["wall"] for run in runs["plain"]))
        axis.set(xlabel=f"wall seconds, median of {len(runs['plain'])}", title="Against the plain script")


if __name__ == "__main__":
    main()
