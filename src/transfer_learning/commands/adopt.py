"""Make an experiment the default: its settings are written into conf/, its results into the workspace.

In conf/ the option of each group that is nearest to the experiment is chosen, and what still differs is set where it
stands; comments stay. Afterwards `./tl check` is green and `dvc status` clean: commit it, or `./tl restore --force`.
What was in the workspace and in no commit is kept as an experiment.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from transfer_learning.core.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a DVC experiment")


def run(arguments: argparse.Namespace) -> None:
    from transfer_learning.experiments import adopt, kept, undo
    from transfer_learning.reporting import checks, described

    with undo.alone(), tempfile.TemporaryDirectory() as aside:
        kept.refuse_unmerged()
        found = adopt.prepare(arguments.name, Path(aside))
        shutil.copy("README.md", aside)
        for path, text in described.texts(found.folder).items():
            path.write_text(text)
        found = replace(found, files=[*found.files, Path("README.md")])
        before = kept.keep(f"the workspace before ./tl adopt {arguments.name}")
        changed = found.differing()
        try:
            with undo.all_or_none(changed):
                found.write()
                missing = kept.check_out()  # DVC would call a stage to be run whose output is another one's
                for check in (checks.params, checks.locked, checks.results):
                    if problem := check():
                        raise UserError(f"{arguments.name} cannot be the default: {problem}")
        except UserError:
            kept.check_out()
            raise
    conf = [path.as_posix() for path in changed if path.parts[0] == "conf"]
    print(f"{arguments.name} is the default now: {kept.name_a_few(conf) or 'conf/ was so'}; `git diff conf` shows it")
    if before and before != arguments.name:
        print(f"what was here is the experiment {before}: `dvc exp apply {before}`")
    if missing:
        print(f"warning: data and models are not those of it: `dvc pull` or `dvc repro` (dvc checkout: {missing})")
    print("next: `git add -u && git commit`; or `./tl restore --force`, back to what is committed")
