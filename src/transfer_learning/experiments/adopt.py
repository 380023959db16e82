"""An experiment becomes the default: its settings go into conf/, and its results into the workspace."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import defaults, kept, lock, results, revisions, yaml_text
from transfer_learning.settings import params
from transfer_learning.stage import environment

CONF, PARAMS = Path("conf"), Path("params.yaml")


@dataclass(frozen=True)
class Adopted:
    """A folder with the files that the workspace is to have.

    Attributes:
        files: relative to the folder and to the workspace.
    """

    folder: Path
    files: list[Path]

    def differing(self) -> list[Path]:
        """Files that the workspace has otherwise or not at all."""
        return [
            path for path in self.files if not path.exists() or path.read_bytes() != (self.folder / path).read_bytes()
        ]

    def write(self) -> None:
        """Write those that differ."""
        for path in self.differing():
            with files.written_aside(path) as aside:
                shutil.copy(self.folder / path, aside)


def prepare(name: str, folder: Path) -> Adopted:
    """Write into an empty folder what the workspace is to have: conf/, params.yaml, dvc.lock and what stages report.

    Raises:
        UserError: there is no such experiment, it has not run to its end or was made with other code, conf/ has edits
            that nobody has committed, or cannot be made to compose to its settings.
    """
    if dirty := [path for path in revisions.changed() if path.startswith(f"{CONF}/")]:
        raise UserError(
            f"{kept.name_a_few(dirty)}: edited and not committed; commit it, or `git checkout conf` drops it"
        )
    found, one = results.read(name, folder)
    assert one  # it has a name
    if revisions.code_changed(one.commit):
        raise UserError(f"{name} was made with other code than that of the workspace: `dvc exp run` makes it anew")
    shutil.copytree(CONF, folder / CONF)
    defaults.write(folder / CONF, params.read_yaml(folder / PARAMS), folder / PARAMS)
    _follow_conf(folder)
    stages = params.read_yaml(folder / "dvc.yaml")["stages"].values()
    small = [path for one in stages for path, how in params.outputs(one).items() if how.get("cache") is False]
    written = [PARAMS, Path(lock.FILE), environment.FILE, *map(Path, small)]
    conf = [path.relative_to(folder) for path in sorted((folder / CONF).rglob("*")) if path.is_file()]
    return Adopted(found.folder, [*conf, *(path for path in written if (folder / path).exists())])


def _follow_conf(folder: Path) -> None:
    """Let dvc.lock have the digests of the files of conf/ that a stage watches: `data.watch` names the option of the
    photos where there is no folder of them. Their settings are params of the stage, and are those that it ran with."""
    path = folder / lock.FILE
    text = path.read_text()
    for stage, entry in lock.read(folder, "the experiment").items():
        for number, dep in enumerate(entry.get("deps", [])):
            option = folder / dep["path"]
            if dep["path"].startswith(f"{CONF}/") and option.exists():
                where = ("stages", stage, "deps", number)
                text = yaml_text.set_value(text, (*where, "md5"), files.digest(option, "md5"))
                text = yaml_text.set_value(text, (*where, "size"), option.stat().st_size)
    path.write_text(text)
