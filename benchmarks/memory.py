"""Peak memory of featurize, train_frozen, finetune and evaluate against the number of photos: drawn ones, 1, 4 and 16
times.

    python benchmarks/memory.py        about four minutes on two cores

evaluate has as many test photos as there are validation photos, a quarter of the training photos, and decodes them at
224 x 224 pixels, where all of the largest set would be 180 MB; its network is the one that was trained at 64 x 64.
Memory is what the kernel cannot take back (RssAnon in /proc, sampled); pages of mapped feature files are a cache.
Writes benchmarks/memory.json and memory.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMES = (1, 4, 16)
PHOTOS_PER_CLASS = 150
STAGES = ("featurize", "train_frozen", "finetune", "evaluate")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    peaks: dict[str, list[int]] = {stage: [] for stage in STAGES}
    photos, features = [], []
    for times in TIMES:
        with tempfile.TemporaryDirectory() as aside:
            clone = Path(aside) / "clone"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            number = PHOTOS_PER_CLASS * times
            settings = [
                "+experiment=demo", f"data.photos_per_class={number}", "finetune.epochs=2", "split.test_fraction=0.5",
            ]  # fmt: skip
            compose = ["src/params.py", "params.yaml", *settings]
            for command in (compose, ["src/fetch.py"], ["src/split.py"]):
                subprocess.run([sys.executable, *command], cwd=clone, env=ENVIRONMENT, check=True, capture_output=True)
            for stage in STAGES:
                if stage == "evaluate":
                    command = [sys.executable, *compose, "images.size=224"]
                    subprocess.run(command, cwd=clone, env=ENVIRONMENT, check=True, capture_output=True)
                peaks[stage].append(peak_megabytes(clone, stage))
                print(f"{2 * number} training photos, {stage}: {peaks[stage][-1]} MB", flush=True)
            photos.append(2 * number)
            features.append(sum(path.stat().st_size for path in (clone / "data/features").iterdir()) // 10**6)
    result = {"training_photos": photos, "features_mb": features, "peak_mb": peaks}
    (ROOT / "benchmarks/memory.json").write_text(json.dumps(result, indent=1) + "\n")
    draw(result, ROOT / "benchmarks/memory.png")


def peak_megabytes(clone: Path, stage: str) -> int:
    """Run a stage; the largest RssAnon of its process, in MB."""
    process = subprocess.Popen(
        [sys.executable, f"src/{stage}.py"],
        cwd=clone,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            break
        found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
        peak = max(peak, *found, 0)
        time.sleep(0.02)
    if process.wait():
        sys.exit(f"{stage} failed")
    return peak * 1024 // 10**6


def draw(result: dict[str, object], path: Path) -> None:
    """A line a stage over the number of photos."""
    sys.path.insert(0, str(ROOT / "src"))
    os.chdir(ROOT)
    from transfer_learning import figures

    with figures.drawing(path, figsize=(6.5, 4)) as (_, axis):
        for stage, peaks in result["peak_mb"].items():  # type: ignore[attr-defined]
            axis.plot(result["training_photos"], peaks, marker="o", label=stage)
        axis.plot(result["training_photos"], result["features_mb"], color="grey", ls="--", label="features on disk")
        axis.set(xscale="log", xlabel="training photos (drawn)", ylabel="peak memory in MB", title="Peak memory")
        axis.set_ylim(bottom=0)
        axis.set_xticks(result["training_photos"], result["training_photos"])
        axis.minorticks_off()
        axis.legend(frameon=False)


if __name__ == "__main__":
    main()
