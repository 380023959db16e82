"""dvc.lock, and its one reader: what DVC has recorded of every stage, and how two of them differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaml import YAMLError

from transfer_learning.core import files
from transfer_learning.core.errors import UserError
from transfer_learning.core.workspace import STAGES
from transfer_learning.experiments import revisions, yaml_reader
from transfer_learning.settings import params
from transfer_learning.stage import environment

FILE = "dvc.lock"
CODE = "src/"  # begins the paths of the dependencies that are in git
RESULTS = {"train_frozen", "finetune", "evaluate"}  # the stages whose outputs under reports/ are in git
BASELINE = "probe"  # one more; results of before there was it have none
Stages = dict[str, dict[str, Any]]  # of a dvc.lock, by name
Facts = dict[str, dict[str, str]]  # of reports/environment.json: by stage, by name


def parse(text: str | None, where: str) -> Stages:
    """The stages of a dvc.lock.

    Args:
        text: None where there is no such file.
        where: whose it is, for people.

    Raises:
        UserError: there is none, or it is broken.
    """
    if text is None:
        raise UserError(f"{where} has no {FILE}: `dvc repro` writes it")
    try:
        stages = yaml_reader.load_by_part(text, "stages")
        whole = all(isinstance(out["path"], str) for stage in stages.values() for out in _entries(stage))
    except (YAMLError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"{FILE} of {where} cannot be read: `git checkout` a whole one, or name another revision")
    return dict(stages)


def _entries(stage: dict[str, Any]) -> list[dict[str, Any]]:
    return [*stage.get("deps", []), *stage.get("outs", [])]


def read(folder: Path = Path(), where: str = "the workspace") -> Stages:
    """The stages of a folder's dvc.lock; raises as `parse`."""
    path = folder / FILE
    return parse(path.read_text(errors="replace") if path.exists() else None, where)


def outputs(stages: Stages) -> dict[str, str]:
    """md5 of every output, by path."""
    return {out["path"]: out.get("md5", "") for stage in stages.values() for out in stage.get("outs", [])}


def by_stage(stages: Stages) -> dict[str, dict[str, str]]:
    """The same by stage."""
    return {name: outputs({name: stage}) for name, stage in stages.items()}


def fits(folder: Path = Path(), where: str = "the workspace") -> bool:
    """Whether the results in a folder are those of its settings, as its dvc.lock has them: evaluate ran last.

    Raises:
        UserError: dvc.lock is broken.
    """
    if not (folder / FILE).exists():
        return False
    return belongs(
        read(folder, where),
        params.read_yaml(folder / "params.yaml"),
        lambda path: files.digest(folder / path, "md5") if (folder / path).exists() else None,
    )


def belongs(
    stages: Stages, values: dict[str, Any], md5: Callable[[str], str | None], only: Container[str] | None = None
) -> bool:
    """Whether results are those of settings, as a dvc.lock has them: evaluate ran last.

    Args:
        stages: of the dvc.lock.
        values: all settings.
        md5: gives that of a file, None where there is none.
        only: the files below reports/ that are looked at; None for all.
    """
    if not set(stages) >= RESULTS:
        return False
    for stage in stages.values():
        for path, value in stage.get("params", {}).get("params.yaml", {}).items():
            here: Any = values
            for part in path.split("."):
                here = here.get(part) if isinstance(here, dict) else None
            if here != value:
                return False
    small = outputs({name: stages[name] for name in (RESULTS | {BASELINE}) & set(stages)})
    return all(
        md5(path) == recorded
        for path, recorded in small.items()
        if path.startswith("reports/") and (only is None or path in only)
    )


@dataclass(frozen=True)
class State:
    """What dvc.lock and reports/environment.json record of the workspace, a commit or another folder.

    Attributes:
        source: where the files of the code are: a folder, or a commit.
    """

    stages: Stages
    facts: Facts = field(default_factory=dict)
    source: Path | str = Path()


def state_of(source: Path | str, where: str) -> State:
    """The state of a folder or commit.

    Raises:
        UserError: it has no dvc.lock, or a file of it is broken.
    """
    names = (FILE, environment.FILE.as_posix())
    if isinstance(source, Path):
        texts = [(source / name).read_text() if (source / name).exists() else None for name in names]
    else:
        texts = [revisions.text(source, name) for name in names]
    return State(parse(texts[0], where), environment.parse(texts[1] or "{}"), source)


@dataclass
class Difference:
    """The first stage of the DAG with other outputs; where there is none, the first that differs in anything.

    Attributes:
        outputs: paths whose content differs, or that only one side has.
        inputs: the same of dependencies.
        files: of each of these that is a folder of code, the files that differ.
        settings: name, value there, value here.
        facts: of the environment, the same; None where one side has recorded none.
    """

    stage: str
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    settings: list[tuple[str, Any, Any]] = field(default_factory=list)
    facts: list[tuple[str, str, str]] | None = None

    @property
    def inputs_by_file(self) -> list[str]:
        """The inputs, each folder of code with those of its files that differ."""
        return [f"{path} ({', '.join(self.files[path])})" if path in self.files else path for path in self.inputs]

    @property
    def is_explained(self) -> bool:
        """Whether something that the outputs follow from differs too."""
        return bool(self.inputs or self.settings or self.facts)


def first_difference(there: State, here: State) -> Difference | None:
    """Find the first stage, in the order of the DAG, that differs; None where all are the same."""
    found = differences(there, here)
    return next((one for one in found if one.outputs), found[0] if found else None)


def differences(there: State, here: State) -> list[Difference]:
    """All stages that differ, in the order of the DAG."""
    found = []
    for stage in STAGES:
        one, other = there.stages.get(stage, {}), here.stages.get(stage, {})
        if one == other:
            continue
        difference = Difference(
            stage,
            outputs=_changed(one.get("outs", []), other.get("outs", [])),
            inputs=_changed(one.get("deps", []), other.get("deps", [])),
            settings=unequal({"cmd": one.get("cmd")} | _params(one), {"cmd": other.get("cmd")} | _params(other)),
        )
        for path in (path for path in difference.inputs if path.startswith(CODE)):
            first, second = _contents(there.source, path), _contents(here.source, path)
            if differing := sorted(name for name, *_ in unequal(first, second) if name != path):
                difference.files[path] = [name.removeprefix(f"{path}/") for name in differing]
        if stage in there.facts and stage in here.facts:
            difference.facts = unequal(there.facts[stage], here.facts[stage])
        found.append(difference)
    return found


def _contents(source: Path | str, path: str) -> dict[str, str]:
    """git's digest of every file below a folder of code, or of a file, by path."""
    if isinstance(source, str):
        listed = revisions.git("ls-tree", "-r", "-z", source, "--", path).split("\0")
        return {name: mode.split()[2] for mode, _, name in (line.partition("\t") for line in listed if line)}
    root = source / path
    found = sorted(root.rglob("*")) if root.is_dir() else [root]
    return {
        file.relative_to(source).as_posix(): _blob(file.read_bytes())
        for file in found
        if file.is_file() and file.parent.name != "__pycache__"
    }


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _changed(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    first, second = ({entry["path"]: entry.get("md5") for entry in entries} for entries in (one, other))
    return sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))


def _params(entry: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in entry.get("params", {}).get("params.yaml", {}).items():
        flat |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def unequal(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, sorted, with both values; None where a side lacks one."""
    keys = sorted(one.keys() | other.keys())
    return [(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]
