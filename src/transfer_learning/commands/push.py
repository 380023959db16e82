"""Push to DVC's remote every run that the run cache has, so that a colleague's `dvc exp run --pull` finds them.

    ./tl push    does `dvc push --run-cache`, then pushes what that leaves out

`dvc push` knows the outputs of the workspace and `dvc exp push` those of an experiment, both without the small files
that git keeps (`cache: false`). A run of which one file is missing is computed again.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> None:
    if subprocess.run(["dvc", "push", "--run-cache"], check=False).returncode:
        raise UserError("`dvc push --run-cache` has failed, for the reason above")
    from dvc.repo import Repo

    with Repo() as repo:
        runs = [outputs(repo, entry) for entry in sorted(Path(repo.stage_cache.cache_dir).glob("*/*/*"))]
        names = set().union(*runs)
        result = repo.cloud.push(names) if names else None
    if result and result.failed:
        raise UserError(f"{len(result.failed)} files could not be pushed")
    gone = runs.count(set())
    print(
        f"{len(result.transferred) if result else 0} more files pushed: the remote has all that {len(runs) - gone} "
        "runs of stages put out" + (f"; {gone} left out, whose outputs are not all here" if gone else "")
    )


def outputs(repo: Repo, entry: Path) -> set[HashInfo]:
    """What a run in the run cache has put out, in DVC's names; empty unless all of it is in the cache."""
    import yaml

    cache = repo.cache.local
    # asked first: for a folder that is not there DVC would ask the user
    if not all(cache.exists(out["md5"]) for out in yaml.safe_load(entry.read_text())["outs"]):
        return set()
    used = repo.stage_cache.get_used_objs([(entry.parent.name, entry.name)])
    names = set().union(*used.values())
    return names if all(cache.exists(name.value) for name in names) else set()
