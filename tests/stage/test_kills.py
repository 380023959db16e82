"""`dvc repro` killed at random moments, again and again: the same dvc.lock as without. Part of `make test-full`."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from support.clone import ROOT, STAGES, Clone

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]
KILLS = 24


def start(clone: Clone) -> subprocess.Popen[bytes]:
    with open(clone.folder / "repro.log", "ab") as log:
        return subprocess.Popen(
            ["dvc", "repro"], cwd=clone.folder, env=clone.environment, stdout=log, stderr=log, start_new_session=True
        )


def stages_of(process: subprocess.Popen[bytes]) -> dict[psutil.Process, str]:
    """Processes that run a stage below this `dvc`, with its name."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            scripts = [Path(word).stem for word in child.cmdline() if word.startswith("src/")]
        except psutil.NoSuchProcess:
            continue
        if scripts and scripts[0] in STAGES:
            found[child] = scripts[0]
    return found


def kill(process: subprocess.Popen[bytes], whom: str) -> str:
    """Kill everything, `dvc` alone, whose stage goes on then, or the stage alone; the stage that was running."""
    running = stages_of(process)
    if whom == "all":
        os.killpg(process.pid, signal.SIGKILL)
    elif whom == "dvc":
        process.kill()
    else:
        for child in running:
            child.kill()
    process.wait(60)
    return next(iter(running.values()), "no stage")


def wipe(clone: Clone) -> None:
    """Forget every result, so that all stages run again."""
    for name in ("data", "models", ".dvc/cache"):
        shutil.rmtree(clone.folder / name, ignore_errors=True)
    (clone.folder / "dvc.lock").unlink()


def test_random_kills_leave_the_same_lock(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    reference = (clone.folder / "dvc.lock").read_text()
    generator = random.Random(42)
    hit: Counter[str] = Counter()
    whole = 0
    wipe(clone)
    while sum(hit.values()) < KILLS:
        process = start(clone)
        try:
            process.wait(generator.uniform(1, 12))
        except subprocess.TimeoutExpired:
            hit[kill(process, generator.choice(("all", "all", "dvc", "stage")))] += 1
        else:
            assert process.returncode == 0, (clone.folder / "repro.log").read_text()[-3000:]
            assert (clone.folder / "dvc.lock").read_text() == reference
            whole += 1
            wipe(clone)
    clone.run("dvc", "repro")
    assert (clone.folder / "dvc.lock").read_text() == reference
    assert clone.run("dvc", "status").strip() == "Data and pipelines are up to date."
    assert not list((clone.folder / "data").glob(".*.*-*"))
    said = (clone.folder / "repro.log").read_text()
    went_on, waited = said.count("going on"), said.count("waiting for")
    print(
        f"{KILLS} kills during {dict(hit)}: {went_on} times a stage went on, {waited} times one waited; {whole} whole"
    )
    assert "going on" in said


def test_real_photos_killed_twice_end_with_the_committed_lock(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.environment["DATA_MIRROR"] = os.environ.get("DATA_MIRROR", str(ROOT.parent / "shared" / "data"))
    reference = (clone.folder / "dvc.lock").read_text()
    for stage, seconds in (("featurize", 25), ("finetune", 35)):
        process = start(clone)
        while stage not in stages_of(process).values():
            assert process.poll() is None, (clone.folder / "repro.log").read_text()[-3000:]
            time.sleep(0.2)
        time.sleep(seconds)
        assert kill(process, "all") == stage
    clone.run("dvc", "repro")
    assert (clone.folder / "dvc.lock").read_text() == reference
    said = (clone.folder / "repro.log").read_text()
    assert "going on where an earlier run of the same was interrupted" in said
    clone.run("dvc", "exp", "run", "--temp", "--force", "--name", "forced")
    ref = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps/**/forced").strip()
    assert clone.run("git", "show", f"{ref}:dvc.lock") == reference
