"""What CI and pre-commit guard, without data, training or network: each check gives what is wrong, or None."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transfer_learning.core import files
from transfer_learning.experiments import lock, revisions
from transfer_learning.experiments.compose import compose
from transfer_learning.settings import params as settings

MEGABYTE = 1_000_000
MARKS = "^(<{7}|>{7}) "  # which git leaves around both sides of a conflict


def merged() -> str | None:
    """Find files of an unresolved merge: in the index, or committed with git's marks in them."""
    found = revisions.unmerged()
    found += revisions.git("grep", "-lIE", MARKS, codes=(0, 1)).splitlines()  # 1 where nothing is found
    return f"{found[0]} is not: resolve it, `dvc repro`, `git add`" if found else None


def params() -> str | None:
    """Compare params.yaml with conf/."""
    with tempfile.TemporaryDirectory() as aside:
        composed = Path(aside) / "params.yaml"
        compose(composed, [])
        there, here = settings.flat(Path(aside)), settings.flat()
        if composed.read_text() == Path("params.yaml").read_text():
            return None
    keys = [key for key in there.keys() | here.keys() if there.get(key) != here.get(key)]
    return f"{min(keys, default='its form')} differs: edit conf/, then `make params`"


def locked() -> str | None:
    """Ask DVC what it would run; data that is not here does not count.

    In a clone without data DVC fails at the first stage that it would run, if not at fetch: its inputs are missing.
    """
    recorded = lock.read() if Path(lock.FILE).exists() else {}
    code, printed, errors = revisions.dvc_tried("repro", "--dry", "--allow-missing")
    stages = re.findall(r"(?:Running stage|failed to reproduce) '(\w+)'", printed + errors)
    if stages:
        return f"{stages[0]} would run again: `dvc repro`, then commit dvc.lock and reports/"
    if code:
        return next(filter(None, errors.splitlines()), "DVC fails")
    written = lock.outputs(recorded)  # git may have merged two dvc.lock, of which DVC says nothing
    for name, entry in recorded.items():
        for read in entry.get("deps", []):
            if written.get(read["path"], read["md5"]) != read["md5"]:
                return (
                    f"{name} read another {read['path']} than the one in it: `dvc repro`, then commit it and reports/"
                )
    return None


def results() -> str | None:
    """Compare every file that stages leave in git with dvc.lock."""
    recorded = lock.read()
    for name, entry in settings.read_yaml(Path("dvc.yaml"))["stages"].items():
        digests = lock.outputs({name: recorded.get(name, {})})
        for path in kept_in_git(entry):
            if not Path(path).exists() or files.digest(Path(path), "md5") != digests.get(path):
                return f"{path} is not what {name} wrote: `dvc repro`, then commit dvc.lock and reports/ together"
    return None


def kept_in_git(entry: dict[str, Any]) -> list[str]:
    """Outputs of a stage of dvc.yaml that DVC's cache leaves to git."""
    return [path for path, options in settings.outputs(entry).items() if options.get("cache") is False]


def sizes() -> str | None:
    """Find large files that git has or is about to get; how large a figure is, the photos decide."""
    drawn = {path for entry in settings.read_yaml(Path("dvc.yaml"))["stages"].values() for path in kept_in_git(entry)}
    for name in filter(None, revisions.git("ls-files", "-z", "--cached").split("\0")):
        path = Path(name)
        if name not in drawn and path.is_file() and path.stat().st_size > MEGABYTE:
            return f"{name} has {path.stat().st_size / MEGABYTE:.1f} MB: large files are for DVC (`dvc add`)"
    return None


CHECKS: dict[str, Callable[[], str | None]] = {
    "every merge is resolved": merged,
    "params.yaml is the composition of conf/": params,
    "dvc.lock is of this code and these settings": locked,
    "reports/ is of dvc.lock": results,
    "no file in git is over 1 MB": sizes,
}
