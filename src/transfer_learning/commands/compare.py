"""Compare the workspace with a revision, from what is in git, and say whether it is a regression.

    ./tl compare main                the workspace against a git revision or a DVC experiment
    ./tl compare main my-experiment  one of those in place of the workspace
    ./tl compare main --merge-base   against the commit where HEAD left main, as CI does
    ./tl compare HEAD --reproduced   whether a new `dvc repro` has given the committed results again

Writes compare/compare.md, compare.json and pictures. What counts as worse is in conf/config.yaml under gate. The exit
code is 0 for no regression, 1 for one, 2 where the two cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions

if TYPE_CHECKING:
    from transfer_learning.reporting import comparison, state

RAW = Path("data/raw")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", help="a git revision or a DVC experiment")
    parser.add_argument("new", nargs="?", help="the same; the workspace by default")
    parser.add_argument("--merge-base", action="store_true", help="take the commit that HEAD and BASE have in common")
    parser.add_argument("--reproduced", action="store_true", help="any difference beyond the tolerances is wrong")
    parser.add_argument("--out", type=Path, default=Path("compare"), help="folder, replaced; compare by default")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.reporting import comparison_text

    if arguments.out.exists() and not (arguments.out / "compare.json").exists():
        raise UserError(f"{arguments.out} is there and no earlier comparison: name a new folder with --out")
    with tempfile.TemporaryDirectory() as aside, files.written_aside(arguments.out) as folder:
        folder.mkdir()
        try:
            found = compare(arguments, Path(aside))
            comparison_text.write(found, folder, RAW)
        except UserError as error:
            comparison_text.write_failure(str(error), arguments.base, folder)
            files.put(folder, arguments.out)
            raise
        except Exception as error:  # 1 is for a regression alone
            traceback.print_exc()
            comparison_text.write_failure(f"an error of the comparison itself: {error!r}", arguments.base, folder)
            files.put(folder, arguments.out)
            sys.exit(2)
    for verdict, message in found.problems:
        print(f"{verdict}: {message}", file=sys.stderr)
    print(f"{found.new.label} against {found.base.label}: {found.paired or 'not the same test photos'}")
    print(f"verdict: {found.verdict}; more in {arguments.out}/compare.md")
    sys.exit(found.exit_code)


def compare(arguments: argparse.Namespace, aside: Path) -> comparison.Comparison:
    """Read both states and compare them.

    Raises:
        UserError: one of them cannot be read.
    """
    from transfer_learning.reporting import comparison, state

    if unmerged := revisions.unmerged():
        raise UserError(f"a merge is unresolved in {unmerged[0]}: resolve it, `dvc repro`, `git add` and commit first")
    base = export(arguments.base, aside / "base", merge_base=arguments.merge_base)
    new = export(arguments.new, aside / "new") if arguments.new else state.read(Path(), "workspace")
    return comparison.compare(base, new, state.limits_of(base, new), reproduced=arguments.reproduced)


def export(name: str, folder: Path, *, merge_base: bool = False) -> state.State:
    """Read a revision or experiment."""
    from transfer_learning.reporting import state

    commit = revisions.commit(name)
    if merge_base:
        commit = revisions.merge_base(commit)
    revisions.export(commit, folder, *state.FILES)
    label = commit[:7] if commit.startswith(name) else f"{name} ({commit[:7]})"
    return state.read(folder, label, commit)
