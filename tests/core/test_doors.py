"""Every door without the environment: one line that says how."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.clone import ROOT, STAGES

BARE = (sys.executable, "-E", "-S")  # without the packages of this environment


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_without_the_environment_says_how(stage: str) -> None:
    done = subprocess.run([*BARE, f"src/{stage}.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {sys.executable} has no ")
    assert done.stderr.endswith(
        f": `make environment` makes .venv, and `.venv/bin/python src/{stage}.py` takes it, as `make repro` does\n"
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("error", ["KeyError('x')", "ModuleNotFoundError('none', name='transfer_learning.none')"])
def test_another_error_keeps_its_traceback(error: str) -> None:
    code = f"from transfer_learning.core import packages\npackages.say_what_is_missing()\nraise {error}"
    done = subprocess.run([*BARE, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_the_commands_without_the_environment_say_how() -> None:
    done = subprocess.run([*BARE, "src/cli.py", "summary"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"error: {sys.executable} has no yaml: `./tl summary ...` takes the Python of the environment\n"
    )
