"""What recording into MLflow costs: the process that records, by itself, and the finetune stage with it and without, in
turns, in a copy of the workspace.

    python benchmarks/tracking.py --rounds 5        after make repro; about ten minutes on two cores

On a machine that others use too, the seconds of the recorder by itself say more than the difference of two stages.

Writes benchmarks/tracking.json and prints a table. Wall and CPU seconds are of the whole process
with its children.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
WITH = "import runpy, sys; sys.path.insert(0, 'src'); runpy.run_path('src/finetune.py', run_name='__main__')"
WITHOUT = """
import sys; sys.path.insert(0, 'src')
from contextlib import nullcontext
from types import SimpleNamespace
from transfer_learning import announce
announce.followed = lambda stage: nullcontext(SimpleNamespace(epoch=lambda row: None))
""" + WITH.replace("; ", "\n")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory() as aside:
        copy = workspace(Path(aside) / "copy")
        for number in range(rounds):
            order = ("with", "without") if number % 2 == 0 else ("without", "with")
            for mode in order:
                seconds[mode].append(timed(copy, WITH if mode == "with" else WITHOUT))
                print(f"round {number + 1}, {mode}: {seconds[mode][-1]}", flush=True)
        alone = [recorder(copy) for _ in range(rounds)]
    wall, cpu = (
        {mode: median(one[kind] for one in several) for mode, several in seconds.items()} for kind in ("wall", "cpu")
    )
    result = {"rounds": rounds, "cores": os.cpu_count(), "recorder": alone, "finetune": seconds}
    (ROOT / "benchmarks/tracking.json").write_text(json.dumps(result, indent=1) + "\n")
    print("| median | wall | CPU |\n|---|---|---|")
    for mode in ("with", "without"):
        print(f"| finetune {mode} MLflow | {wall[mode]:.1f} s | {cpu[mode]:.1f} s |")
    waited, used = (median(one[kind] for one in alone) for kind in ("waited", "cpu"))
    print(f"| the recorder: what the stage waits for it, what it computes | {waited:.2f} s | {used:.2f} s |")


def workspace(copy: Path) -> Path:
    """A clone beside the data and the model of the frozen phase, with a store of its own."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    for path in ("data/features", "data/raw", "data/pretrained", "data/split.csv"):
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).symlink_to(ROOT / path)
    (copy / "models").mkdir()
    shutil.copy(ROOT / "models/frozen.weights.h5", copy / "models")
    return copy


def recorder(copy: Path) -> dict[str, float]:
    """Record the stage's history, an epoch a second: CPU seconds, and those that the stage would wait at its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "src/cli.py", "follow", "finetune"], cwd=copy, stdin=subprocess.PIPE, text=True
    )
    assert process.stdin
    with open(copy / "reports/finetune/history.csv", newline="") as file:
        for row in csv.DictReader(file):
            process.stdin.write(json.dumps({"row": {key: float(value) for key, value in row.items()}}) + "\n")
            process.stdin.flush()
            time.sleep(1)
    ended = time.monotonic()
    process.stdin.write(json.dumps({"end": "FINISHED"}) + "\n")
    process.stdin.close()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"waited": round(time.monotonic() - ended, 2), "cpu": round(cpu, 2)}


def timed(copy: Path, code: str) -> dict[str, float]:
    """Run the stage; wall seconds, and CPU seconds with those of its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    environment["TL_EPOCHS_MB"] = "0"  # every round trains
    subprocess.run([sys.executable, "-c", code], cwd=copy, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": round(time.monotonic() - started, 2), "cpu": round(cpu, 2)}


if __name__ == "__main__":
    main()
