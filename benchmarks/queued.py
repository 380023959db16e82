"""Whether every queued experiment reaches the MLflow store: rounds of demo trials by two workers, in a clone.

    python benchmarks/queued.py --rounds 10 --trials 8        about a quarter of an hour on two cores

Writes benchmarks/queued.json: of each round how many trials DVC ran to their end, how many are in the store once,
finished, with all points, test result and model, and the wall seconds. Ends with 1 where one is missing.
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
JOBS = 2
POINTS = 13  # of the demo's curve: the untrained model, six frozen epochs, six of fine-tuning
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=8)
    arguments = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as aside:
        clone = demo(Path(aside) / "clone")
        for number in range(arguments.rounds):
            rounds.append(one_round(clone, number, arguments.trials))
            print(rounds[-1], flush=True)
    result = {"jobs": JOBS, "trials": arguments.trials, "cores": os.cpu_count(), "rounds": rounds}
    (ROOT / "benchmarks/queued.json").write_text(json.dumps(result, indent=1) + "\n")
    stored, wanted = sum(one["stored"] for one in rounds), arguments.rounds * arguments.trials
    print(f"{stored} of {wanted} in the store")
    sys.exit(stored != wanted)


def demo(clone: Path) -> Path:
    """A clone with the demo's results committed."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    run(clone, "git", "config", "user.name", "benchmark")
    run(clone, "git", "config", "user.email", "benchmark@example.com")
    run(clone, "python", "src/cli.py", "params", "+experiment=demo")
    run(clone, "dvc", "repro")
    run(clone, "git", "commit", "--quiet", "--all", "--message", "demo")
    return clone


def one_round(clone: Path, number: int, trials: int) -> dict[str, float]:
    """Queue trials that nothing has run before, let the workers run them, and look into the store."""
    started = time.monotonic()
    rates = ",".join(f"{0.001 + 0.00001 * (number * trials + trial):.5f}" for trial in range(1, trials + 1))
    name = f"round{number}"
    settings = ["-S", "+experiment=demo", "-S", f"finetune.learning_rate={rates}"]
    run(clone, "dvc", "exp", "run", "--queue", "--name", name, *settings)
    run(clone, "dvc", "queue", "start", "--jobs", str(JOBS))
    while True:
        time.sleep(2)
        rows = [line.split() for line in run(clone, "dvc", "queue", "status").splitlines() if f"{name}-" in line]
        if not any(state in row for row in rows for state in ("Queued", "Running")):
            break
    done = [row for row in rows if "Success" in row]
    return {"succeeded": len(done), "stored": stored(clone, name), "seconds": round(time.monotonic() - started, 1)}


def stored(clone: Path, name: str) -> int:
    """Trials of a round that are in the store whole and once."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    experiment = client.get_experiment_by_name("drawn").experiment_id
    runs = client.search_runs([experiment], f"tags.stage = 'finetune' and attributes.run_name LIKE '{name}-%'")
    names = [run.info.run_name for run in runs]
    models = {model.source_run_id for model in client.search_logged_models([experiment], max_results=1000)}
    return sum(
        names.count(run.info.run_name) == 1
        and run.info.status == "FINISHED"
        and len(client.get_metric_history(run.info.run_id, "loss/val")) == POINTS
        and "test/accuracy" in run.data.metrics
        and run.info.run_id in models
        for run in runs
    )


def run(clone: Path, *command: str) -> str:
    """Run a command in the clone; what it prints."""
    with tempfile.TemporaryFile("w+") as output:  # not a pipe: the queue's workers would hold it open
        code = subprocess.run(command, cwd=clone, env=ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT, check=False)
        output.seek(0)
        text = output.read()
    if code.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{text[-3000:]}")
    return text


if __name__ == "__main__":
    main()
