"""DVC's private Python API, all of ours that calls it: what another version of DVC may break is in this file."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import DISK_FULL
from transfer_learning.core.workspace import main_workspace
from transfer_learning.experiments.passwords import without_passwords

if TYPE_CHECKING:
    from dvc.repo import Repo


COMPOSES = ContextVar("COMPOSES", default=False)  # we do, not DVC for an experiment: see hydra_plugins/checked.py


def compose(target: Path, overrides: list[str], folder: Path = Path("conf")) -> None:
    """Write the composition of conf/, or of another folder, to a .yaml file.

    Raises:
        hydra.errors.HydraException: Hydra does not take conf/ or an override.
    """
    from dvc.utils.hydra import compose_and_dump

    conf, plugins = str(folder.resolve()), str(Path("src").resolve())
    token = COMPOSES.set(True)
    try:
        compose_and_dump(str(target), conf, None, "config", plugins, overrides)
    finally:
        COMPOSES.reset(token)


def combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of overrides with several values, as `dvc exp run --queue` makes them; raises as `compose`."""
    from dvc.utils.hydra import get_hydra_sweeps

    return [one["params.yaml"] for one in get_hydra_sweeps({"params.yaml": overrides})]


def queue_states() -> dict[str, str]:
    """State of every task in DVC's queue by experiment name: Queued, Running, Success or Failed."""
    from dvc.repo import Repo

    with Repo() as repo:
        return {row["name"]: row["status"] for row in reversed(repo.experiments.celery_queue.status()) if row["name"]}


def fetch(path: Path, folder: Path, commit: str | None) -> bool:
    """Bring an output of a commit (None: of the workspace's dvc.lock) from DVC's cache or remote into a folder.

    Returns:
        Whether DVC has it.

    Raises:
        UserError: the remote cannot be used.
    """
    from dvc.api import DVCFileSystem

    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        DVCFileSystem(str(main_workspace()), rev=commit).get_file(path.as_posix(), str(target))
    except FileNotFoundError:  # neither in the cache nor in a remote
        target.unlink(missing_ok=True)
        return False
    except Exception as error:  # whatever the driver of a remote raises: there are a dozen kinds
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        raise UserError(f"DVC cannot bring {path}: {without_passwords(' '.join(str(error).split()))[:300]}") from None
    return True


def cache_folder() -> Path:
    """Where DVC keeps the objects of this repository, by the digest of their content."""
    from dvc.repo import Repo

    with Repo() as repo:
        return Path(repo.cache.local.path)


def push_runs() -> tuple[int, int, int]:
    """Push what every run in the run cache has put out.

    Returns:
        How many files were pushed, how many runs the remote has all outputs of, and how many were left out because
        their outputs are not all here.

    Raises:
        UserError: some could not be pushed.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        runs = [_outputs(repo, entry) for entry in sorted(Path(repo.stage_cache.cache_dir).glob("*/*/*"))]
        names = set().union(*runs)
        result = repo.cloud.push(names) if names else None
    if result and result.failed:
        raise UserError(f"{len(result.failed)} files could not be pushed")
    gone = runs.count(set())
    return len(result.transferred) if result else 0, len(runs) - gone, gone


def _outputs(repo: Repo, entry: Path) -> set[Any]:
    """What a run in the run cache has put out, in DVC's names; empty unless all of it is in the cache."""
    cache = repo.cache.local
    # asked first: for a folder that is not there DVC would ask the user
    if not all(cache.exists(out["md5"]) for out in yaml.safe_load(entry.read_text())["outs"]):
        return set()
    used = repo.stage_cache.get_used_objs([(entry.parent.name, entry.name)])
    names = set().union(*used.values())
    return names if all(cache.exists(name.value) for name in names) else set()
