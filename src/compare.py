"""Compare the workspace with a revision, from what is in git, and say whether it is a regression.

    python src/compare.py main               the workspace against a git revision or a DVC experiment
    python src/compare.py main my-experiment one of those in place of the workspace
    python src/compare.py main --merge-base  against the commit where HEAD left main, as CI does
    python src/compare.py HEAD --reproduced  whether a new `dvc repro` has given the committed results again

Writes compare/compare.md, compare.json and pictures. What counts as worse is in conf/config.yaml under gate. The exit
code is 0 for no regression, 1 for one, 2 where the two cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from transfer_learning import comparison, comparison_report, files, revisions, stage
from transfer_learning.errors import UserError

RAW = Path("data/raw")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="a git revision or a DVC experiment")
    parser.add_argument("new", nargs="?", help="the same; the workspace by default")
    parser.add_argument("--merge-base", action="store_true", help="take the commit that HEAD and BASE have in common")
    parser.add_argument("--reproduced", action="store_true", help="any difference beyond the tolerances is wrong")
    parser.add_argument("--out", type=Path, default=Path("compare"), help="folder, replaced; compare by default")
    arguments = parser.parse_args()
    if arguments.out.exists() and not (arguments.out / "compare.json").exists():
        raise UserError(f"{arguments.out} is there and no earlier comparison: name a new folder with --out")
    with tempfile.TemporaryDirectory() as aside, files.written_aside(arguments.out) as folder:
        folder.mkdir()
        try:
            found = compare(arguments, Path(aside))
            comparison_report.write(found, folder, RAW)
        except UserError as error:
            comparison_report.write_failure(str(error), arguments.base, folder)
            files.put(folder, arguments.out)
            raise
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
    if unmerged := revisions.unmerged():
        raise UserError(f"a merge is unresolved in {unmerged[0]}: resolve it, `dvc repro`, `git add` and commit first")
    base = export(arguments.base, aside / "base", merge_base=arguments.merge_base)
    new = export(arguments.new, aside / "new") if arguments.new else comparison.read(Path(), "workspace")
    return comparison.compare(base, new, comparison.limits_of(base, new), reproduced=arguments.reproduced)


def export(name: str, folder: Path, *, merge_base: bool = False) -> comparison.State:
    """Read a revision or experiment."""
    commit = revisions.commit(name)
    if merge_base:
        commit = revisions.merge_base(commit)
    revisions.export(commit, folder, *comparison.FILES)
    label = commit[:7] if commit.startswith(name) else f"{name} ({commit[:7]})"
    return comparison.read(folder, label)


if __name__ == "__main__":
    stage.run("compare", main)
