"""Fixtures for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from filelock import FileLock

pytest.register_assert_rewrite("support")

from support.clone import Clone  # noqa: E402

# variables that change what our code does: those that somebody has exported are not for the tests
FOREIGN = ("DVC_ROOT", "DVC_EXP", "DVC_STAGE", "MLFLOW_TRACKING", "KERAS_")


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test begins with the same variables, folder and random numbers, whatever ran before it."""
    before, folder = dict(os.environ), os.getcwd()
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def demo_clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in a folder with a space in its name, after `dvc repro` of the demo settings; committed.

    It is made once for all workers and only read: a test that runs DVC in it, or changes anything, takes a copy.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers
    folder, printed = shared / "a clone/with space", shared / "a clone/printed"
    with FileLock(shared / "a clone.lock"):
        if not printed.exists():
            clone = Clone(folder)
            clone.run("python", "src/cli.py", "params", "+experiment=demo")
            output = clone.run("dvc", "repro")
            clone.commit("demo")
            printed.write_text(output)
    clone = Clone.at(folder)
    clone.first_output = printed.read_text()
    return clone


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test changes the clone that all share; the one that did is named at once, not a later one that counts."""
    if "demo_clone" not in request.fixturenames:
        yield
        return
    clone: Clone = request.getfixturevalue("demo_clone")
    variables, files = dict(clone.environment), clone.files()
    yield
    assert clone.environment == variables
    assert clone.files() == files, "the shared clone was changed: take a copy"
