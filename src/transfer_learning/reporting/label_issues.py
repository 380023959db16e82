"""Photos whose label looks wrong: confident learning (Northcutt, Jiang and Chuang 2021) with the linear probe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues

from transfer_learning.core import surroundings
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import lock
from transfer_learning.network import stored
from transfer_learning.network.head import PROBE_METRICS
from transfer_learning.photos.parts import SPLIT, read_split
from transfer_learning.settings.schema import Settings
from transfer_learning.stage import timing
from transfer_learning.training import linear_probe

LIKELY = 10  # classes of an issue that are named, the most probable ones


@dataclass(frozen=True)
class Issue:
    """A photo whose label looks wrong.

    Attributes:
        path: relative to the photos' folder.
        part: train, validation or test.
        label: the class that it counts as.
        likely: other classes, the most probable first, LIKELY at most; the first one is suggested.
        probability: of the class that is suggested.
    """

    path: Path
    part: str
    label: str
    likely: list[str]
    probability: float


@dataclass(frozen=True)
class Found:
    """The issues of the workspace's photos, the surest first; number of all photos; names of all classes."""

    issues: list[Issue]
    photos: int
    classes: list[str]


def in_workspace(settings: Settings) -> Found:
    """Find them among all photos of data/split.csv, of which each is judged by probes that were fitted to others.

    Raises:
        UserError: split, embeddings or the probe's metrics are missing, or not of one result.
    """
    check_results(settings.split.watch)
    classes, split = read_split(SPLIT)
    embeddings = np.concatenate([stored.embeddings(part) for part in split])
    labels = np.concatenate([one.labels for one in split.values()]).astype(int)
    strength = json.loads(PROBE_METRICS.read_text())["strength"]
    threads = settings.runtime.threads or surroundings.cores()
    order, probabilities = find(embeddings, labels, strength=strength, seed=settings.seed, threads=threads)
    photos = [(path, part) for part, one in split.items() for path in one.paths]
    issues = []
    for index in order:
        of_photo, label = probabilities[index], labels[index]
        others = [number for number in np.argsort(-of_photo, kind="stable") if number != label]
        likely = [classes[number] for number in others[:LIKELY]]
        path, part = photos[index]
        issues.append(Issue(path, part, classes[label], likely, float(of_photo[others[0]])))
    return Found(issues, len(photos), classes)


def find(
    embeddings: np.ndarray, labels: np.ndarray, *, strength: float, seed: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find photos whose label looks wrong.

    Args:
        embeddings: (n, channels).
        labels: (n,) indices, every class present.
        strength: of the probe's penalty.
        seed: of the folds.
        threads: fits side by side; no result depends on it.

    Returns:
        Indices of the photos, first where the probability of the most probable class is the furthest above that of the
        label; and probabilities (n, classes) of all photos.
    """
    probabilities = linear_probe.out_of_fold(embeddings, labels, (strength,), seed=seed, threads=threads)[0]
    order = find_label_issues(labels, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1)
    return order, probabilities


def check_results(corrections: str) -> None:
    """Refuse what is not of one result: split.csv, the corrections in it, embeddings and metrics of the probe."""
    stages = lock.read()
    recorded = {
        entry["path"]: entry["md5"]
        for stage, kinds in {"split": ("deps",), "probe": ("deps", "outs")}.items()
        for kind in kinds
        for entry in stages.get(stage, {}).get(kind, [])
    }
    for path in (Path(corrections), SPLIT, stored.EMBEDDINGS, PROBE_METRICS):
        if not path.exists():
            raise UserError(f"{path} is missing: `dvc repro probe` makes it")
        if timing.as_in_lock(path) != recorded.get(path.as_posix()):
            raise UserError(f"{path} is not that of the results in {lock.FILE}: `dvc repro probe` makes them anew")
