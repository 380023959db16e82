"""Check what CI and pre-commit guard, without data, training or network.

    python src/check.py

A line for each check. The exit code is 1 where one is wrong.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transfer_learning import files, revisions, settings, stage
from transfer_learning.compose import compose
from transfer_learning.errors import UserError

MEGABYTE = 1_000_000
MARKS = "^(<{7}|>{7}) "  # which git leaves around both sides of a conflict


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
    """Find files of an unresolved merge: in the index, or committed with git's marks in them."""
    found = revisions.unmerged()
    # it exits with 1 where nothing is found
    marked = subprocess.run(["git", "grep", "-lIE", MARKS], capture_output=True, text=True, check=False)
    found += marked.stdout.splitlines()
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


def lock() -> str | None:
    """Ask DVC what it would run; data that is not here does not count.

    In a clone without data DVC fails at the first stage that it would run, if not at fetch: its inputs are missing.
    """
    dvc = [sys.executable, "-m", "dvc"]  # git's hooks may run where no environment is on PATH
    done = subprocess.run([*dvc, "repro", "--dry", "--allow-missing"], capture_output=True, text=True, check=False)
    stages = re.findall(r"(?:Running stage|failed to reproduce) '(\w+)'", done.stdout + done.stderr)
    if stages:
        return f"{stages[0]} would run again: `dvc repro`, then commit dvc.lock and reports/"
    if done.returncode:
        return next(filter(None, done.stderr.splitlines()), "DVC fails")
    locked = settings.read_yaml(Path("dvc.lock"))["stages"]  # git may have merged two, of which DVC says nothing
    written = {out["path"]: out["md5"] for entry in locked.values() for out in entry.get("outs", [])}
    for name, entry in locked.items():
        for read in entry.get("deps", []):
            if written.get(read["path"], read["md5"]) != read["md5"]:
                return (
                    f"{name} read another {read['path']} than the one in it: `dvc repro`, then commit it and reports/"
                )
    return None


def results() -> str | None:
    """Compare every file that stages leave in git with dvc.lock."""
    if not Path("dvc.lock").exists():
        return "dvc.lock is missing: `dvc repro`, then commit it"
    locked = settings.read_yaml(Path("dvc.lock"))["stages"]
    for name, entry in settings.read_yaml(Path("dvc.yaml"))["stages"].items():
        digests = {out["path"]: out["md5"] for out in locked.get(name, {}).get("outs", [])}
        for path in kept_in_git(entry):
            if not Path(path).exists() or files.digest(Path(path), "md5") != digests.get(path):
                return f"{path} is not what {name} wrote: `dvc repro`, then commit dvc.lock and reports/ together"
    return None


def kept_in_git(entry: dict[str, Any]) -> list[str]:
    """Outputs of a stage of dvc.yaml that DVC's cache leaves to git."""
    outs = [out for kind in ("outs", "metrics", "plots") for out in entry.get(kind, []) if isinstance(out, dict)]
    return [path for out in outs for path, options in out.items() if options.get("cache") is False]


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
    "dvc.lock is of this code and these settings": lock,
    "reports/ is of dvc.lock": results,
    "no file in git is over 1 MB": sizes,
}

if __name__ == "__main__":
    stage.run("check", main)
