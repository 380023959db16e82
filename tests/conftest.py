"""Fixtures for all tests."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

pytest.register_assert_rewrite("support")

from support.clone import DEMO, ROOT, Clone  # noqa: E402

CALLS_NOTHING = "evaluate.threshold=0.999999"  # the second class
SHARED = ("demo_clone", "swept")
LONG = {  # files that take half a minute or more: one of them at the end would keep a worker busy while others are done
    "test_record_faults", "test_store", "test_remote", "test_sweep", "test_record", "test_same_bytes",
    "test_own_folder", "test_resume", "test_promote", "test_full_disk",
}  # fmt: skip
# variables that change what our code does: those that somebody has exported are not for the tests
FOREIGN = ("DVC_ROOT", "DVC_EXP", "DVC_STAGE", "MLFLOW_TRACKING", "KERAS_")


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with one file that needs every shared clone, then those that need none: while a worker makes the clones,
    the others have work. Of those that need one, the long ones come first. Else the order is pytest-randomly's."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    needed = {path: {name for item in found for name in SHARED if name in item.fixturenames}  # type: ignore[attr-defined]
              for path, found in files.items()}  # fmt: skip
    first = next((path for path in files if needed[path] == set(SHARED)), None)
    order = sorted(files, key=lambda path: (path != first, bool(needed[path]), path.stem not in LONG))
    items[:] = [item for path in order for item in files[path]]


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test begins with the same variables, folder and random numbers, whatever ran before it."""
    before, folder = dict(os.environ), os.getcwd()
    os.chdir(ROOT)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], str]) -> Clone:
    """A clone that one of the workers makes for all of them; `make` returns what is kept in `printed`."""
    common = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent  # of all workers
    folder, printed = common / name / "with space", common / name / "printed"
    with FileLock(common / f"{name}.lock"):
        if not printed.exists():
            printed.write_text(make(folder))
    clone = Clone.at(folder)
    clone.printed = printed.read_text()
    return clone


@pytest.fixture(scope="session")
def demo_clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in a folder with a space in its name, after `dvc repro` of the demo settings; committed.

    It is only read: a test that runs DVC in it, or changes anything, takes a copy.
    """

    def make(folder: Path) -> str:
        clone = Clone(folder)
        clone.run("python", "src/cli.py", "params", "+experiment=demo")
        output = clone.run("dvc", "repro")
        clone.commit("demo")
        return output

    return shared(tmp_path_factory, "a clone", make)


@pytest.fixture(scope="session")
def swept(demo_clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The demo after an experiment of each kind, in DVC and in the store; only read, as `demo_clone` is.

    Run aside, in the queue and inside the workspace, which is as committed again; `bins` and `worse` differ in evaluate
    alone. `printed` is JSON: what DVC said of each that did not wait in the queue.
    """

    def make(folder: Path) -> str:
        clone = demo_clone.copy(folder, store=True)
        said = {"inside": clone.run("dvc", "exp", "run", "--name", "inside", *DEMO, "-S", "finetune.fine_tune_at=0")}
        clone.run("git", "checkout", "--quiet", ".")
        clone.run("dvc", "checkout", "--quiet")
        for name, change in (("bins", "evaluate.calibration_bins=5"), ("worse", CALLS_NOTHING)):
            said[name] = clone.run("dvc", "exp", "run", "--temp", "--name", name, *DEMO, "-S", change)
        clone.run("dvc", "exp", "run", "--queue", "--name", "q", *DEMO, "-S", "finetune.learning_rate=0.002,0.003")
        clone.start_queue(jobs=2)
        deadline = time.monotonic() + 240
        while clone.run("dvc", "queue", "status").count("Success") < 2:
            assert time.monotonic() < deadline, clone.run("dvc", "queue", "status")
            time.sleep(3)
        return json.dumps(said)

    return shared(tmp_path_factory, "swept", make)


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test changes a clone that others share; the one that did is named at once, not a later one that counts."""
    clones: list[Clone] = [request.getfixturevalue(name) for name in SHARED if name in request.fixturenames]
    before = [(dict(clone.environment), clone.files()) for clone in clones]
    yield
    for clone, (variables, files) in zip(clones, before, strict=True):
        assert clone.environment == variables
        assert clone.files() == files, "a shared clone was changed: take a copy"
