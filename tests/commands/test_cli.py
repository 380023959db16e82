"""The one door for people: every command is listed, none is imported before it is called, and ./tl needs nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.clone import ROOT, Clone

import cli

HEAVY = {"tensorflow", "keras", "mlflow", "pandas", "numpy", "matplotlib", "dvc", "hydra", "omegaconf", "pydantic"}
TOOLS = Path(sys.executable).parent


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone in a path with a space, without an environment, without one on PATH, and where none can be made."""
    clone = Clone(tmp_path / "a clone")
    clone.environment["PATH"] = os.pathsep.join(
        entry for entry in os.environ["PATH"].split(os.pathsep) if Path(entry) != TOOLS
    )
    clone.environment["PYTHON"] = "false"  # in place of the python that makes one: 3 GB
    return clone


def imported(*words: str) -> tuple[str, set[str]]:
    """What a command line of the door prints, and the modules that it imports."""
    code = f"import sys; sys.argv = ['cli.py', *{words!r}]; import cli\n"
    code += "try: cli.main(sys.argv[1:])\nfinally: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": "src"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, set(done.stderr.split())


def test_help_lists_every_command_and_imports_none() -> None:
    said, modules = imported("--help")
    files = {path.stem.replace("_", "-") for path in (ROOT / "src/transfer_learning/commands").glob("[a-z]*.py")}
    assert files == set(cli.COMMANDS)
    assert set(re.findall(r"^    ([a-z-]+)", said, re.MULTILINE)) == files - {"follow"}
    assert not any(name.startswith("transfer_learning") for name in modules)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_a_command_imports_it_alone_and_nothing_heavy(command: str) -> None:
    said, modules = imported(command, "--help")
    assert said.startswith(f"usage: ./tl {command} ")
    ours = {name for name in modules if name.startswith("transfer_learning.commands.")}
    assert ours == {f"transfer_learning.commands.{command.replace('-', '_')}"}
    assert not {name.split(".")[0] for name in modules} & HEAVY


def test_a_wrong_line_is_refused_and_a_mistyped_command_suggests_the_nearest(clone: Clone) -> None:
    door = (str(TOOLS / "python"), "src/cli.py")
    assert clone.run(*door, "leaderbord", code=2) == "error: no command is called leaderbord: leaderboard?\n"
    assert clone.run(*door, "xyz", code=2) == "error: no command is called xyz: `./tl --help` lists them\n"
    assert "unrecognized arguments: more" in clone.run(*door, "check", "more", code=2)
    assert "unrecognized arguments: --nosuch" in clone.run(*door, "sweep", "seeds", "--nosuch", code=2)
    assert "error: sweep: name a recipe, one of best, fine_tune_at" in clone.run(*door, "sweep", code=2)
    assert "best, fine_tune_at, fine_tuning, grid" in " ".join(clone.run(*door, "sweep", "--help").split())


def test_a_python_without_the_packages_is_one_line(clone: Clone) -> None:
    said = clone.run(str(TOOLS / "python"), "-S", "src/cli.py", "check", code=2)
    assert re.fullmatch(r"error: \S+ has no \w+: `\./tl check \.\.\.` takes the Python of the environment\n", said)


def test_the_launcher_lists_the_commands_before_there_is_an_environment(clone: Clone) -> None:
    assert "    sweep " in clone.run("./tl", "--help")
    assert clone.run("./tl") == clone.run("./tl", "-h")
    assert not (clone.folder / ".venv").exists()


def test_the_launcher_makes_the_environment_by_make_s_rule_and_goes_no_further_without(clone: Clone) -> None:
    said = clone.run("./tl", "params", "--out", "never.yaml", code=2)
    assert said.startswith("environment: .venv from requirements.lock")
    assert not (clone.folder / "never.yaml").exists()


def test_the_launcher_needs_no_active_environment(clone: Clone) -> None:
    clone.give_environment()
    (clone.folder / "a link").symlink_to("tl")
    for number, door in enumerate(("./tl", "./a link", str(clone.folder / "tl"))):
        assert clone.run(door, "params", "--out", f"{number}.yaml", "seed=7") == f"wrote {number}.yaml\n"
        assert "seed: 7\n" in (clone.folder / f"{number}.yaml").read_text()
    # `dvc` and `python` of DVC's queue and stages are found
    said = clone.run("sh", "-c", "./tl check || true")  # it fails where dvc.lock is of other code
    assert "ok     params.yaml is the composition of conf/" in said


def test_the_launcher_wants_the_repository_s_folder(clone: Clone) -> None:
    said = clone.run("sh", "-c", "cd src && ../tl check", code=2)
    assert said == "error: tl: run it from the folder that holds dvc.yaml\n"


@pytest.mark.parametrize("word", ["--out", "other.yaml", "seed"])
def test_params_takes_overrides_and_nothing_else(clone: Clone, word: str) -> None:
    before = (clone.folder / "params.yaml").read_bytes()
    said = clone.run(str(TOOLS / "python"), "src/cli.py", "params", word, code=2)
    assert "expected one argument" in said if word == "--out" else f"{word!r} is no override key=value" in said
    assert not (clone.folder / word).exists()
    assert (clone.folder / "params.yaml").read_bytes() == before


def test_every_command_that_the_documents_name_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named: set[str] = set()
    for path in (ROOT / name for name in listed.split("\0") if name.endswith((".md", ".py", ".yaml", ".toml", ".yml"))):
        if ROOT / "tests" in path.parents:
            continue
        text = path.read_text()
        found = set(re.findall(r"\./tl ([a-z]\S*?)(?=[\s`'\"),.:;]|$)", text))
        assert found <= set(cli.COMMANDS), (path, found - set(cli.COMMANDS))
        made = set(re.findall(r"`make ([a-z-]+)", text))
        assert made <= targets, (path, made - targets)
        named |= found
    assert named == set(cli.COMMANDS) - {"follow"}
