"""DVC experiments and git revisions: which there are, and their files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from transfer_learning.core.errors import UserError
from transfer_learning.experiments.passwords import without_passwords

WORKSPACE = "workspace"  # the name of what plain `dvc repro` makes


@dataclass(frozen=True)
class Experiment:
    """A DVC experiment: its name, the commit that holds its files, and the commit that it started from."""

    name: str
    commit: str
    baseline: str


def _git(
    *arguments: str, folder: Path = Path(), codes: tuple[int, ...] = (0,), given: bytes | None = None
) -> tuple[int, bytes]:
    """Exit code and output of a git command.

    Args:
        given: to its standard input.

    Raises:
        UserError: the code is none of `codes`; with git's last line.
    """
    done = subprocess.run(["git", *arguments], cwd=folder, input=given, capture_output=True, check=False)
    if done.returncode not in codes:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"git {' '.join(arguments[:2])}: {without_passwords((lines or ['failed'])[-1])}")
    return done.returncode, done.stdout


def git(*arguments: str, folder: Path = Path(), codes: tuple[int, ...] = (0,), given: str | None = None) -> str:
    """What a git command prints.

    Args:
        codes: exit codes that are no failure.
        given: what it reads from standard input.

    Raises:
        UserError: git fails; with its last line.
    """
    return os.fsdecode(
        _git(*arguments, folder=folder, codes=codes, given=None if given is None else os.fsencode(given))[1]
    ).strip()


def _dvc(*command: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment for the DVC of this Python: git's hooks, and people without an active environment, have
    none on PATH, where DVC finds the `python` of the stages and its queue the `dvc` of the workers."""
    programs = Path(sys.executable).parent
    path = os.pathsep.join([str(programs), *filter(None, [os.environ.get("PATH")])])
    return [str(programs / "dvc"), *command], os.environ | {"PATH": path}


def dvc_tried(*command: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a DVC command."""
    words, environment = _dvc(*command)
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as said:
        # files, not pipes: the queue's workers would hold those open
        code = subprocess.run(words, stdout=printed, stderr=said, env=environment, check=False).returncode
        printed.seek(0)
        said.seek(0)
        return code, printed.read(), said.read()


def dvc(*command: str) -> str:
    """What a DVC command prints to standard output.

    Raises:
        UserError: it failed; with its last line.
    """
    code, text, errors = dvc_tried(*command)
    if code:
        lines = [line for line in errors.splitlines() if line.startswith("ERROR")] or [(errors or text).strip()[-300:]]
        raise UserError(f"dvc {' '.join(command[:3])}: {without_passwords(lines[-1])}")
    return text


def dvc_shown(*command: str) -> bool:
    """Run a DVC command whose output people see; whether it succeeds."""
    words, environment = _dvc(*command)
    return subprocess.run(words, env=environment, check=False).returncode == 0


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
    wanted = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found := git(*wanted, codes=(0, 1)):
        return found
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
    found = git("merge-base", commit, "HEAD", codes=(0, 1))
    if not found:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
        remedy = "`git fetch --unshallow` brings the full history" if shallow else "name another base"
        raise UserError(f"HEAD and {commit[:7]} have no commit in common: {remedy}")
    return found


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
    lock = Path("dvc.lock").read_bytes() if Path("dvc.lock").exists() else b""
    there = contents([one.commit for one in among], ["dvc.lock"])
    return next((one for one, (found,) in reversed(list(zip(among, there, strict=True))) if found == lock), None)


def text(commit: str, path: str) -> str | None:
    """A file of git's at a commit; None where it is not there."""
    there = git("ls-tree", "--name-only", commit, path)
    return _git("show", f"{commit}:{path}")[1].decode(errors="replace") if there else None


def contents(commits: Sequence[str], paths: Sequence[str]) -> list[list[bytes | None]]:
    """Files of git's at many commits, by one process for all.

    Returns:
        For each commit its files in the order of `paths`; None where it has none of that name.
    """
    wanted = "".join(f"{commit}:{path}\n" for commit in commits for path in paths)
    printed = io.BytesIO(_git("cat-file", "--batch", given=wanted.encode())[1])

    def following() -> bytes | None:
        kind, size = printed.readline().split()[-2:]  # object, kind and size; else what was wanted, and `missing`
        return printed.read(int(size) + 1)[:-1] if kind == b"blob" else None

    return [[following() for _ in paths] for _ in commits]


def export(commit: str, folder: Path, *paths: str) -> None:
    """Write files and folders of git's at a commit into `folder`; those that the commit lacks are left out."""
    there = [path for path in paths if git("ls-tree", "--name-only", commit, path)]
    if not there:  # git would pack everything
        return
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, *there)[1])) as archive:
        try:
            archive.extractall(folder, filter="data")
        except tarfile.FilterError as error:  # a link out of the folder
            raise UserError(f"{commit[:7]} holds what is no file of results: {error}") from None


def code_changed(there: str, here: str | None = None, folder: Path = Path()) -> bool:
    """Whether the code that results follow from is another one in two commits: the stages of dvc.yaml, and what they
    name below src/.

    Args:
        there: a commit.
        here: another one; None for the files in `folder`.
    """
    before = _stages(text(there, "dvc.yaml") or "", there)
    after = _stages((text(here, "dvc.yaml") or "") if here else (folder / "dvc.yaml").read_text(), here or "dvc.yaml")
    if before != after:
        return True
    code = sorted({dep for stage in after.values() for dep in stage.get("deps", []) if dep.startswith("src/")})
    if _git("diff", "--quiet", there, *([here] if here else []), "--", *code, folder=folder, codes=(0, 1))[0]:
        return True
    return not here and bool(git("ls-files", "--others", "--exclude-standard", "--", *code, folder=folder))


def _stages(text: str, where: str) -> dict[str, Any]:
    """The stages of a dvc.yaml without their descriptions, which DVC does not compare either."""
    try:
        stages = (yaml.safe_load(text) or {}).get("stages", {})
        return {name: {key: value for key, value in stage.items() if key != "desc"} for name, stage in stages.items()}
    except (yaml.YAMLError, AttributeError):
        raise UserError(f"dvc.yaml of {where[:7]} cannot be read") from None
