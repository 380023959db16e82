"""Where the gigabytes of the workspace and of DVC's cache are, and whose they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import dvc_inside, lock, revisions

FEATURES = "data/features"
IN_GIT = "reports/"  # begins the outputs that git has: in the cache they are for the run cache, and `dvc gc` takes them
VARYING = ("images.size", "model.name", "model.boundary", "seed")


def size(path: Path, counted: set[tuple[int, int]]) -> int:
    """Bytes that a file or folder takes on the disk.

    Args:
        counted: (device, inode) of the files that count no more: with links, the workspace and DVC's cache share them.
            Those of this path are added.
    """
    total = 0
    for file in [path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)]:
        try:
            status = file.lstat()
        except FileNotFoundError:  # removed meanwhile
            continue
        if (status.st_dev, status.st_ino) not in counted:
            counted.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
    return total


@dataclass(frozen=True)
class Features:
    """One set of features in DVC's cache: what it follows from, its bytes, and the experiments that have it."""

    settings: dict[str, object]
    size: int
    names: list[str]


@dataclass(frozen=True)
class Cache:
    """DVC's cache, by whom its objects are wanted, in bytes.

    Attributes:
        here: of the workspace's results, and of those at branches and tags.
        experiments: what only DVC experiments want besides.
        nobody: what none of these want: of earlier commits, removed experiments and failed runs, and the copies of what
            git has in the run cache.
    """

    here: int
    experiments: int
    nobody: int
    features: list[Features]


def cache(experiments: Sequence[revisions.Experiment]) -> Cache:
    """Look through DVC's cache, for these experiments."""
    folder = dvc_inside.cache_folder()
    objects = {path.parent.name + path.name: path.lstat().st_blocks * 512 for path in folder.glob("??/*")}
    sets: dict[str, Features] = {}
    wanted: list[set[str]] = []
    for states in (_states(), _of_experiments(experiments)):
        digests: set[str] = set()
        for name, stages in states:
            for path, md5 in lock.outputs(stages).items():
                if path.startswith(IN_GIT):
                    continue
                parts = _objects(folder, md5) & objects.keys()
                digests |= parts
                if path == FEATURES and parts:
                    sets.setdefault(md5, Features(_settings(stages), _sum(objects, parts), [])).names.append(name)
        wanted.append(digests)
    here, others = wanted
    rest = objects.keys() - here - others
    found = sorted(sets.values(), key=lambda one: -one.size)
    return Cache(_sum(objects, here), _sum(objects, others - here), _sum(objects, rest), found)


def collect() -> None:
    """Let DVC remove from its cache what neither the workspace nor a branch, tag or experiment wants."""
    revisions.dvc("gc", "--quiet", "--force", "--workspace", "--all-branches", "--all-tags", "--all-experiments")


def _sum(objects: dict[str, int], digests: Iterable[str]) -> int:
    return sum(objects[digest] for digest in digests)


def _states() -> Iterator[tuple[str, lock.Stages]]:
    """What dvc.lock has in the workspace and at every branch and tag, by name."""
    if Path(lock.FILE).exists():
        yield revisions.WORKSPACE, lock.read()
    refs = revisions.git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines()
    yield from _at([ref.split("/", 2)[2] for ref in refs], refs)


def _of_experiments(experiments: Sequence[revisions.Experiment]) -> Iterator[tuple[str, lock.Stages]]:
    yield from _at([one.name for one in experiments], [one.commit for one in experiments])


def _at(names: Sequence[str], commits: Sequence[str]) -> Iterator[tuple[str, lock.Stages]]:
    """The same at commits; without those that have no dvc.lock."""
    for name, (text,) in zip(names, revisions.contents(commits, [lock.FILE]), strict=True):
        if text is not None:
            yield name, lock.parse(text.decode(errors="replace"), name)


def _objects(folder: Path, md5: str) -> set[str]:
    """Digests of the objects that an output is made of: itself, and the files of a folder."""
    listing = folder / md5[:2] / md5[2:]
    if not md5.endswith(".dir") or not listing.exists():
        return {md5}
    try:
        return {md5, *(entry["md5"] for entry in json.loads(listing.read_text()))}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{listing} is broken: `dvc fetch` brings it, or `dvc repro` makes it anew") from None


def _settings(stages: lock.Stages) -> dict[str, object]:
    """The settings that a set of features follows from, as far as people vary them."""
    values = stages.get("featurize", {}).get("params", {}).get("params.yaml", {})
    return {key: values.get(key) for key in VARYING} | {"features.views": (values.get("features") or {}).get("views")}
