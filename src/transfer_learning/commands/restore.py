"""Go back to what is committed: params.yaml, dvc.lock and reports/, and with them data and models.

Nothing is lost: what the workspace has otherwise is kept as a DVC experiment first. Files that git does not have stay.
With edits of other files, such as code or conf/, it does nothing unless --force, which brings these back too.
"""

from __future__ import annotations

import argparse

from transfer_learning.core.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="edits of code, conf/ and other files too; they are kept")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import kept, revisions, undo

    with undo.alone():
        kept.refuse_unmerged()
        names = kept.edited()
        if (others := kept.by_hand(names)) and not arguments.force:
            raise UserError(
                f"{kept.name_a_few(others)}: edited by hand and not committed; commit it, or --force brings it back "
                "too and keeps the edit in an experiment"
            )
        before = kept.keep("the workspace before ./tl restore")
        kept.restore(names)
        missing = kept.check_out()
    if before:
        print(f"what was here is the experiment {before}: `dvc exp apply {before}` brings it back")
    what = "data and models too" if not missing else "but not data and models"
    print(f"the workspace is as committed in {revisions.head()[:7]}, {what}; {len(names)} files of git changed")
    if missing:
        raise UserError(f"dvc checkout: {missing}: `dvc pull` or `dvc repro` brings what is not in DVC's cache")
