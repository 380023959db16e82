"""As many experiments as one wants, made from a real one by git alone: other settings, and metrics and weights of their
own, as dvc.lock has them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess

from support.clone import Clone

METRICS = "reports/finetune/metrics.json"


def add(clone: Clone, name: str, number: int) -> None:
    """Add trial-0, trial-1 ... beside an experiment; trial-N has the learning rate 0.01 + N / 1e6.

    Args:
        name: of the experiment. Its validation accuracy is made one that many trials have.
    """
    (line,) = (line for line in clone.run("git", "for-each-ref", "refs/exps").splitlines() if line.endswith(f"/{name}"))
    commit, _, ref = line.split()
    files = {path: clone.run("git", "show", f"{commit}:{path}") for path in ("params.yaml", "dvc.lock", METRICS)}
    weights = re.search(r"path: models/finetuned\.weights\.h5\n +hash: md5\n +md5: (\w+)", files["dvc.lock"])
    assert weights
    rates = {}  # where in a file the learning rate of finetune stands
    for path in ("params.yaml", "dvc.lock"):
        found = re.search(r"\n *finetune:\n(?:.+\n)*? +learning_rate: ([\d.e-]+)", files[path])
        assert found
        rates[path] = found.span(1)
    stream = b""
    for one in range(number):
        metrics = json.dumps(json.loads(files[METRICS]) | {"val_accuracy": one % 120 / 120, "val_loss": 1 / (one + 1)})
        texts = {METRICS: metrics}
        for path in ("params.yaml", "dvc.lock"):
            start, end = rates[path]
            text = f"{files[path][:start]}{0.01 + one / 1e6:.6f}{files[path][end:]}"
            texts[path] = text.replace(_md5(files[METRICS]), _md5(metrics)).replace(weights[1], _md5(str(one)))
        said = f"commit {ref.removesuffix(name)}trial-{one}\ncommitter tests <t@example.com> {one} +0000\n"
        stream += f"{said}data 0\nfrom {commit}\n".encode()
        for path, text in texts.items():
            stream += f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n".encode()
    command = ["git", "fast-import", "--quiet"]
    subprocess.run(command, cwd=clone.folder, env=clone.environment, input=stream, check=True)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
