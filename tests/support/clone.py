"""A temporary clone of the project, in which tests run the real commands."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from transfer_learning.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
DEMO = ("-S", "+experiment=demo")  # for dvc exp run
STORE = ("mlflow.db", "mlartifacts")
STAGES = ("fetch", "split", "featurize", "probe", "train_frozen", "finetune", "evaluate")


class Clone:
    """A git repository with the files of this one, made to run the small demo experiment."""

    printed = ""  # of a shared one: what DVC printed when it was made

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment(folder)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split("\0")  # fmt: skip
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.name_committer()
        self.commit("start")

    @classmethod
    def at(cls, folder: Path, variables: dict[str, str] | None = None) -> Clone:
        """A repository that is there already, run with a copy of these variables."""
        clone = object.__new__(cls)
        clone.folder, clone.environment = folder, dict(variables or environment(folder))
        return clone

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command in the clone; its exit code must be `code`; returns what it printed."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == code, f"{' '.join(command)} exited with {done.returncode}:\n{output[-6000:]}"
        return output

    def call(self, name: str, *words: str, code: int = 0) -> str:
        """Run one of our commands, or what a stage does, in this process; returns what it printed.

        It is this repository's code, and the variables are this process's, which it leaves as they were: for what a
        test asks often and another test asks of the real command.
        """
        if name in STAGES:
            work = import_module(name).main
        else:
            command, parser = import_module(f"transfer_learning.commands.{name}"), argparse.ArgumentParser()
            command.configure(parser)
            work = partial(command.run, parser.parse_args(words))
        said = io.StringIO()
        with contextlib.chdir(self.folder), redirect_stdout(said), redirect_stderr(said), own_variables():
            try:
                work()
                ended: str | int | None = 0
            except SystemExit as end:
                ended = end.code
            except UserError as error:
                print(f"error: {name}: {error}")
                ended = 2
        assert ended == code, f"{name} {' '.join(words)} ended with {ended}:\n{said.getvalue()}"
        return said.getvalue()

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def copy(self, folder: Path, *, store: bool = False, experiments: bool = False, data: bool = True) -> Clone:
        """A copy in an empty or new folder, as committed, with the MLflow store, DVC's experiments and what DVC keeps
        or without.

        Links what nobody writes to in place, git's objects, DVC's cache, photos and features: to copy the rest takes a
        tenth of the time.
        """
        subprocess.run(["git", "clone", "--quiet", "--local", "--no-checkout", self.folder, folder], check=True)
        subprocess.run(["cp", "-a", self.folder / "src", folder], check=True)  # with its bytecode
        other = Clone.at(folder, self.environment)
        if experiments:
            other.run("git", "fetch", "--quiet", "origin", "refs/exps/*:refs/exps/*")
        other.run("git", "remote", "remove", "origin")
        other.run("git", "reset", "--quiet")
        other.run("git", "checkout", "--quiet", "--force", "HEAD")
        other.name_committer()
        linked = (".dvc/cache", "data/raw", "data/features", "data/embeddings") if data else ()
        copied = (*(("data/pretrained", "data/split.csv", "models") if data else ()), *(STORE if store else ()))
        for names, how in ((linked, "-al"), (copied, "-a")):
            for name in names:
                if (self.folder / name).exists():
                    (folder / name).parent.mkdir(exist_ok=True)
                    subprocess.run(["cp", how, self.folder / name, folder / name], check=True)
        return other

    def back_to(self, commit: str) -> None:
        """Make everything as it was at a commit, on the only branch, main; what DVC and Python keep may stay.

        For a clone without data that the tests of a file share: a copy for each is half a second of the processor.
        """
        self.run("git", "checkout", "--quiet", "--force", "--detach", commit)
        for ref in self.run("git", "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines():
            self.run("git", "update-ref", "-d", ref)
        self.run("git", "checkout", "--quiet", "-b", "main")
        self.run("git", "clean", "-ffdxq", "--exclude=__pycache__", "--exclude=/.dvc")

    def name_committer(self) -> None:
        """Give git a name to commit under."""
        self.run("git", "config", "user.email", "tests@example.com")
        self.run("git", "config", "user.name", "tests")

    def files(self) -> dict[str, tuple[int, int]]:
        """Size and time of change of every file, without what reading changes too, the queue and git's objects: their
        name is their content, and git renews the time of one that it finds again."""
        found = {}
        for folder, names, files in os.walk(self.folder):
            names[:] = [name for name in names if name not in ("__pycache__", "celery", "objects")]
            for file in files:
                path = os.path.join(folder, file)
                if not path.endswith((".lock", "-journal", ".git/index")):
                    status = os.lstat(path)
                    found[os.path.relpath(path, self.folder)] = (status.st_size, status.st_mtime_ns)
        return found

    @contextmanager
    def serving(self, command: list[str], path: str, *, within: float = 90) -> Iterator[str]:
        """Start a server in the clone, `PORT` in the command replaced by a free port; gives its address.

        Args:
            path: of the page that answers when the server is ready, which must be so `within` as many seconds.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        log = self.folder.parent / f"server {port}.log"
        with open(log, "w") as output:
            process = subprocess.Popen(
                [word.replace("PORT", port) for word in command], cwd=self.folder, stdout=output,
                stderr=subprocess.STDOUT, env=self.environment | {"PORT": port}, start_new_session=True,
            )  # fmt: skip
        address, started = f"http://127.0.0.1:{port}", time.monotonic()
        try:
            while not is_up(address + path):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < started + within, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)

    def give_environment(self) -> None:
        """Let this environment be the clone's .venv, as make would have made it, and not be on PATH.

        Of links, one for each part: what clears .venv leaves what they lead to.
        """
        ours, theirs = Path(sys.executable).parent.parent, self.folder / ".venv"
        theirs.mkdir()
        for part in ours.iterdir():
            if part.name != ".from-lock":
                (theirs / part.name).symlink_to(part)
        (theirs / ".from-lock").touch()
        entries = self.environment["PATH"].split(os.pathsep)
        self.environment["PATH"] = os.pathsep.join(entry for entry in entries if Path(entry) != ours / "bin")

    def start_queue(self, jobs: int = 1) -> None:
        """Start DVC's queue. Its workers keep the output open, and one may stay when the queue is empty: a pipe would
        not end before it does."""
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = ["dvc", "queue", "start", "--jobs", str(jobs)]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True, **nowhere)

    def stages_run(self, output: str) -> list[str]:
        """The stages that DVC says it ran, in order."""
        return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


@contextmanager
def own_variables() -> Iterator[None]:
    """Forget afterwards what was put into the environment, and MLflow the store that it was told to take, and where it
    has found the files of runs: a copy of a store has them under the same ids elsewhere."""

    def forget() -> None:
        if known := sys.modules.get("mlflow.tracking._tracking_service.utils"):
            known._artifact_repos_cache.clear()
            known.set_tracking_uri(None)

    before = dict(os.environ)
    forget()
    try:
        yield
    finally:
        forget()
        os.environ.clear()
        os.environ.update(before)


def environment(folder: Path) -> dict[str, str]:
    """Variables for commands in a clone: ours without what is set for the workspace, DVC's and MLflow's."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "MLFLOW_", "GIT_", "KERAS_")) and name != "DATA_MIRROR"
    }
    return ours | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATA_MIRROR": str(folder / "no mirror"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,  # signatures, hooks and templates of whoever runs the tests
    }


def is_up(url: str) -> bool:
    """Whether a server answers there with a page."""
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def answer(url: str, body: Any = None) -> Any:
    """What a server answers; text, or JSON when a body was sent."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as page:
        return page.read().decode() if body is None else json.loads(page.read())
