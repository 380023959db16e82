"""DVC experiments and git revisions: which there are, and their files."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from transfer_learning.errors import UserError

WORKSPACE = "workspace"  # the name of what plain `dvc repro` makes
MADE_BY_RUNNING = ("params.yaml", "dvc.lock", "reports")  # what an experiment changes without any change of the code


@dataclass(frozen=True)
class Experiment:
    """A DVC experiment: its name, the commit that holds its files, and the commit that it started from."""

    name: str
    commit: str
    baseline: str


def git(*arguments: str, folder: Path = Path()) -> str:
    """What a git command prints.

    Raises:
        UserError: git fails; with its last line.
    """
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"git {' '.join(arguments[:2])}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout.strip()


def dvc(*command: str) -> str:
    """What a DVC command prints to standard output.

    Raises:
        UserError: it failed; with its last line.
    """
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as said:
        # files, not pipes: the queue's workers would hold those open
        code = subprocess.run(["dvc", *command], stdout=printed, stderr=said, check=False).returncode
        printed.seek(0)
        said.seek(0)
        text, errors = printed.read(), said.read()
    if code:
        lines = [line for line in errors.splitlines() if line.startswith("ERROR")] or [(errors or text).strip()[-300:]]
        raise UserError(f"dvc {' '.join(command[:3])}: {lines[-1]}")
    return text


def head(folder: Path = Path()) -> str:
    """The commit that is checked out."""
    return git("rev-parse", "HEAD", folder=folder)


def current(folder: Path = Path()) -> tuple[str, str]:
    """Name and baseline of the experiment that DVC is running in this process; else the workspace and its commit."""
    return os.environ.get("DVC_EXP_NAME") or WORKSPACE, os.environ.get("DVC_EXP_BASELINE_REV") or head(folder)


def experiments(baseline: str = "*") -> list[Experiment]:
    """Finished DVC experiments, oldest first: of one baseline commit, or of all."""
    pattern = f"refs/exps/{baseline[:2]}/{baseline[2:]}" if baseline != "*" else "refs/exps"
    listed = git("for-each-ref", "--sort=committerdate", "--format=%(refname) %(objectname)", pattern).splitlines()
    found = []
    for ref, commit in (line.split() for line in listed):
        parts = ref.split("/")
        if len(parts) == 5 and len(parts[2]) == 2 and len(parts[3]) == 38:  # others are DVC's stashes and notes
            found.append(Experiment(parts[4], commit, parts[2] + parts[3]))
    return found


def experiment(name: str) -> Experiment:
    """The newest experiment of this name, of the checked-out commit if it has one.

    Raises:
        UserError: there is none.
    """
    found = [one for one in experiments() if one.name == name]
    if not found:
        raise UserError(f"no experiment is named {name}: `dvc exp list --all` shows them")
    return max(found, key=lambda one: one.baseline == head())


def commit(name: str) -> str:
    """The commit of a git revision, or of a DVC experiment by its name.

    Raises:
        UserError: there is none; says what may bring it.
    """
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode == 0:
        return found.stdout.strip()
    if name in {one.name for one in experiments()}:
        return experiment(name).commit
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise UserError(f"{name} is not in this shallow clone: `git fetch --unshallow` (in CI: fetch the full history)")
    raise UserError(
        f"{name} is no git revision or DVC experiment here: `git fetch`, `git branch --all` shows those there are"
    )


def merge_base(commit: str) -> str:
    """The newest commit that HEAD and another one have in common.

    Raises:
        UserError: there is none, or the clone is too shallow to have it.
    """
    found = subprocess.run(["git", "merge-base", commit, "HEAD"], capture_output=True, text=True, check=False)
    if found.returncode:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
        remedy = "`git fetch --unshallow` brings the full history" if shallow else "name another base"
        raise UserError(f"HEAD and {commit[:7]} have no commit in common: {remedy}")
    return found.stdout.strip()


def unmerged() -> list[str]:
    """Files of a merge that is not resolved."""
    return git("diff", "--name-only", "--diff-filter=U").splitlines()


def changed() -> list[str]:
    """Files of the workspace that differ from HEAD, or that git does not have and does not ignore."""
    tracked = git("diff", "--name-only", "--no-renames", "-z", "HEAD").split("\0")
    others = git("ls-files", "--others", "--exclude-standard", "-z").split("\0")
    return sorted({*tracked, *others} - {""})


def in_workspace(among: list[Experiment]) -> Experiment | None:
    """The experiment whose results are in the workspace: `dvc exp run` and `apply` leave theirs there."""
    lock = Path("dvc.lock").read_text() if Path("dvc.lock").exists() else ""
    return next((one for one in reversed(among) if text(one.commit, "dvc.lock") == lock), None)


def text(commit: str, path: str) -> str | None:
    """A file of git's at a commit; None where it is not there."""
    shown = subprocess.run(["git", "show", f"{commit}:{path}"], capture_output=True, text=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


def export(commit: str, folder: Path, *paths: str) -> None:
    """Write files and folders of git's at a commit into `folder`; those that the commit lacks are left out."""
    there = [path for path in paths if git("ls-tree", "--name-only", commit, path)]
    if not there:  # git would pack everything
        return
    packed = subprocess.run(["git", "archive", commit, *there], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def code_changed(baseline: str, commit: str | None = None, folder: Path = Path()) -> bool:
    """Whether the files differ from the baseline in more than what running an experiment changes."""
    apart = [f":!{path}" for path in MADE_BY_RUNNING]
    to = [commit] if commit else []
    command = ["git", "diff", "--quiet", baseline, *to, "--", ".", *apart]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0
