"""The workspace is kept as a DVC experiment before something writes over it, and brought back to what is committed."""

from __future__ import annotations

from transfer_learning.core.errors import UserError
from transfer_learning.experiments import lock, revisions

KEPT = "kept-"  # begins the names of these experiments
REPORTS, FILES = "reports/", ("params.yaml", lock.FILE)  # what commands and stages write; people write the rest


def edited() -> list[str]:
    """Files of HEAD that the workspace has otherwise, or no more."""
    return list(
        filter(None, revisions.git("diff", "--name-only", "--no-renames", "-z", "--diff-filter=a", "HEAD").split("\0"))
    )


def by_hand(names: list[str]) -> list[str]:
    """Of these files those that are no results."""
    return [name for name in names if name not in FILES and not name.startswith(REPORTS)]


def keep(why: str) -> str | None:
    """Keep every file that git has and the workspace has otherwise than HEAD, as a DVC experiment of HEAD.

    `dvc exp save` is not for it: where settings were changed and nothing has run, it would write into dvc.lock that the
    results are of these settings. The outputs that dvc.lock names are in DVC's cache.

    Args:
        why: message of the commit.

    Returns:
        Name of the experiment, an earlier one if it has the same files; None where all is as in HEAD.
    """
    made = revisions.git("stash", "create")  # writes a commit, and neither files nor the list of stashes
    if not made:
        return None
    tree = revisions.git("rev-parse", f"{made}^{{tree}}")
    head = revisions.head()
    for one in revisions.experiments(head):
        if revisions.git("rev-parse", f"{one.commit}^{{tree}}") == tree:
            return one.name
    name = f"{KEPT}{tree[:7]}"
    commit = revisions.git("commit-tree", tree, "-p", head, "-m", why)
    revisions.git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", commit)
    return name


def restore(names: list[str]) -> None:
    """Let files be as in HEAD, in the index too."""
    for start in range(0, len(names), 500):  # a command line has an end
        revisions.git("checkout", "--quiet", "HEAD", "--", *names[start : start + 500])


def check_out() -> str | None:
    """Let data and models be those of dvc.lock; what DVC says where it cannot, None where it can.

    What is in the workspace and not in DVC's cache stays: DVC asks before it removes that, and nobody answers.
    """
    code, printed, errors = revisions.dvc_tried("checkout")
    if not code:
        return None
    lines = [line.strip() for line in f"{printed}\n{errors}".splitlines() if line.strip()]
    wrong = next((number for number, line in enumerate(lines) if line.startswith("ERROR")), 0)
    return " ".join(lines[wrong : wrong + 4])[:400] or "it failed"


def name_a_few(names: list[str]) -> str:
    """A few names for one line, of files or experiments."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def refuse_unmerged() -> None:
    """Refuse to begin in a merge that is not resolved, of which git keeps no one state.

    Raises:
        UserError: it is so.
    """
    if found := revisions.unmerged():
        raise UserError(f"{found[0]} is in a merge that is not resolved: resolve it, or `git merge --abort`")
