"""The house: which room may import which, that dvc.yaml lists the rooms that a stage reaches, no more and no less, and
that an edit of a room runs what the room computes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from support.clone import ROOT, STAGES, Clone

PACKAGE = ROOT / "src" / "transfer_learning"
FLOORS = (  # a room imports itself and rooms of lower floors
    {"core", "announce"},
    {"settings"},
    {"photos"},
    {"network", "stage", "ingest"},
    {"training", "evaluation"},
    {"figures", "serving", "experiments"},
    {"tracking", "reporting"},
    {"commands"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NEVER_RETRAINS = ("evaluation", "figures", "serving", "experiments", "tracking", "reporting", "commands")


def imported(path: Path) -> set[Path]:
    """Modules of ours that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("transfer_learning.") for alias in node.names), path
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "transfer_learning":
            folder = PACKAGE.joinpath(*str(node.module).split(".")[1:])
            names = [folder / alias.name for alias in node.names] if folder.is_dir() else [folder]
            found |= {name.with_suffix(".py") for name in names}
    missing = [one for one in found if not one.exists()]
    assert not missing, f"{path} imports what is no module: {missing[0]}"
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def reached(path: Path) -> set[Path]:
    """The modules that a file imports, and those that they import."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        new = imported(waiting.pop()) - found
        found |= new
        waiting += new
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_its_own_room_and_lower_floors(path: Path) -> None:
    up = [other for other in imported(path) if room(other) != room(path) and FLOOR[room(other)] >= FLOOR[room(path)]]
    assert not up, f"{room(path)} (floor {FLOOR[room(path)]}) imports {[room(one) for one in up]}"
    assert path not in reached(path), f"{path} imports itself in a circle"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_its_door_and_exactly_the_rooms_that_it_reaches(stage: str) -> None:
    door = ROOT / "src" / f"{stage}.py"
    rooms = {room(path) for path in reached(door)}
    wanted = {f"src/transfer_learning/{name}{'' if (PACKAGE / name).is_dir() else '.py'}" for name in rooms}
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    assert {dep for dep in declared if dep.startswith("src/")} == wanted | {f"src/{stage}.py"}
    if stage != "evaluate":
        assert not rooms & set(NEVER_RETRAINS)


def test_every_door_of_dvc_is_short_and_dvc_yaml_too() -> None:
    for stage in STAGES:
        assert len((ROOT / "src" / f"{stage}.py").read_text().splitlines()) < 65, stage
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) < 260


@pytest.fixture(scope="module")
def clone(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return demo_clone.copy(tmp_path_factory.mktemp("house") / "clone")


@pytest.mark.parametrize("edited", [*NEVER_RETRAINS, "training"])
def test_an_edit_runs_what_the_room_computes(edited: str, clone: Clone) -> None:
    """How a model is saved, drawn, served, recorded or reported is changed without training anything again."""
    clone.run("git", "checkout", "--quiet", "src")
    for path in (clone.folder / "src" / "transfer_learning" / edited).glob("*.py"):
        path.write_text(path.read_text() + "\n# edited\n")
    would = clone.stages_run(clone.run("dvc", "repro", "--dry"))
    if edited == "training":
        assert would[:3] == ["probe", "train_frozen", "finetune"]
    else:
        assert would == (["evaluate"] if edited in ("evaluation", "figures") else [])
