"""Check what CI and pre-commit guard, without data, training or network.

    python src/check.py

A line for each check. The exit code is 1 where one is wrong.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from transfer_learning import contents, revisions, settings, stage
from transfer_learning.compose import compose
from transfer_learning.errors import UserError

MEGABYTE = 1_000_000


def main() -> None:
    wrong = False
    for what, check in CHECKS.items():
        try:
            problem = check()
        except UserError as error:
            problem = str(error)
        wrong = wrong or problem is not None
        print(f"ok     {what}" if problem is None else f"wrong  {what}: {problem}")
    if wrong:
        sys.exit(1)


def merged() -> str | None:
    """Find files of an unresolved merge."""
    found = revisions.unmerged()
    return f"{found[0]} is not: resolve it, `dvc repro`, `git add`" if found else None


def params() -> str | None:
    """Compare params.yaml with conf/."""
    with tempfile.TemporaryDirectory() as aside:
        composed = Path(aside) / "params.yaml"
        compose(composed, [])
        if composed.read_text() == Path("params.yaml").read_text():
            return None
        there, here = settings.flat(Path(aside)), settings.flat()
    keys = [key for key in there.keys() | here.keys() if there.get(key) != here.get(key)]
    return f"{min(keys, default='its form')} differs: edit conf/, then `make params`"


def lock() -> str | None:
    """Ask DVC what it would run; data that is not here does not count."""
    stages = re.findall(r"Running stage '(\w+)'", revisions.dvc("repro", "--dry", "--allow-missing"))
    return f"{stages[0]} would run again: `dvc repro`, then commit dvc.lock and reports/" if stages else None


def results() -> str | None:
    """Compare every file that stages leave in git with dvc.lock."""
    stages = settings.read_yaml(Path("dvc.lock"))["stages"]
    for name, entry in stages.items():
        for out in entry.get("outs", []):
            path = Path(out["path"])
            if path.parts[0] == "reports" and not (path.exists() and contents.md5(path) == out["md5"]):
                return f"{path} is not what {name} wrote: `dvc repro`, then commit dvc.lock and reports/ together"
    return None


def sizes() -> str | None:
    """Find large files that git has or is about to get."""
    for name in filter(None, revisions.git("ls-files", "-z", "--cached").split("\0")):
        path = Path(name)
        if path.is_file() and path.stat().st_size > MEGABYTE:
            return f"{name} has {path.stat().st_size / MEGABYTE:.1f} MB: large files are for DVC (`dvc add`)"
    return None


CHECKS: dict[str, Callable[[], str | None]] = {
    "every merge is resolved": merged,
    "params.yaml is the composition of conf/": params,
    "dvc.lock is of this code and these settings": lock,
    "reports/ is of dvc.lock": results,
    "no file in git is over 1 MB": sizes,
}

if __name__ == "__main__":
    stage.run("check", main)
