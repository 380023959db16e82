"""A team's remote, a folder or an SSH server: what one has computed, nobody computes again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.clone import DEMO, Clone

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")  # Debian keeps it off PATH
FOLDER = pytest.param("folder", marks=pytest.mark.full if SSHD else ())  # what it can, the server can too
NEEDS_SSHD = pytest.mark.skipif(SSHD is None and "CI" not in os.environ, reason="the SSH server is not installed")
FASTER = (*DEMO, "-S", "finetune.learning_rate=0.003")  # the experiment that is shared; `swept` has run it
RUNS = 15  # in the run cache of `swept`: seven stages, two of each of three experiments, one of each of two
RESULTS = ("dvc.lock", "params.yaml", "models/model.keras", "models/finetuned.weights.h5", "reports/test/metrics.json")


@dataclass(frozen=True)
class Remote:
    """Where the data goes: what all share of its settings, and what each person adds."""

    folder: Path
    url: str
    personal: dict[str, str]


@contextmanager
def ssh_server(folder: Path) -> Iterator[dict[str, str]]:
    """Serve files to this user on the loopback, for the key that is made in `folder`; gives a client's settings."""
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = pwd.getpwuid(os.geteuid()).pw_name
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "key.pub",
        "AuthenticationMethods": "publickey",
        "AllowUsers": user,
        "StrictModes": "no",  # all may write to /tmp, which it would refuse above a key
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
        "ForceCommand": "internal-sftp",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd wants it; its service makes it at boot
    log = folder / "log"
    with open(log, "w") as output:
        server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(folder / "config")], stderr=output)
    try:
        started = time.monotonic()
        while "Server listening" not in log.read_text():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < started + 20, log.read_text()
            time.sleep(0.05)
        yield {"port": str(port), "user": user, "keyfile": str(folder / "key")}
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module", params=[FOLDER, pytest.param("ssh", marks=NEEDS_SSHD)])
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    storage = tmp_path_factory.mktemp("remote") / "storage"
    if request.param == "folder":
        yield Remote(storage, str(storage), {})
    else:
        with ssh_server(tmp_path_factory.mktemp("sshd")) as personal:
            yield Remote(storage, f"ssh://127.0.0.1{storage}", personal)


def connect(clone: Clone, personal: dict[str, str]) -> None:
    """Add what each person sets for the remote: git does not get it."""
    for name, value in personal.items():
        clone.run("dvc", "remote", "modify", "--local", "storage", name, value)


@pytest.fixture(scope="module")
def owner(swept: Clone, remote: Remote, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """One who has pushed the results of the demo, then run the experiment, which the run cache has, and pushed that."""
    clone = swept.copy(tmp_path_factory.mktemp("owner"))
    shared = str(tmp_path_factory.mktemp("git") / "shared.git")
    clone.run("git", "init", "--quiet", "--bare", "--initial-branch=main", shared)
    clone.run("git", "remote", "add", "origin", shared)
    clone.run("dvc", "remote", "add", "--default", "storage", remote.url)
    clone.run("dvc", "remote", "modify", "storage", "verify", "true")
    connect(clone, remote.personal)
    clone.run("git", "commit", "--quiet", "--message", "Remote for data and models", ".dvc/config")
    clone.run("git", "push", "--quiet", "origin", "main")
    clone.run("dvc", "push", "--run-cache")
    clone.run("dvc", "exp", "run", "--name", "faster", *FASTER)
    clone.run("dvc", "exp", "push", "origin", "faster")
    return clone


def colleague(owner: Clone, remote: Remote, folder: Path) -> Clone:
    """A fresh clone of what the owner has pushed to git, by somebody who can reach the remote."""
    owner.run("git", "clone", "--quiet", owner.run("git", "remote", "get-url", "origin").strip(), str(folder))
    clone = Clone.at(folder, owner.environment)
    clone.run("git", "config", "user.email", "colleague@example.com")
    clone.run("git", "config", "user.name", "colleague")
    connect(clone, remote.personal)
    return clone


def results(clone: Clone) -> list[bytes]:
    return [(clone.folder / name).read_bytes() for name in RESULTS]


def test_pull_brings_everything_and_repro_has_nothing_to_do(owner: Clone, remote: Remote, tmp_path: Path) -> None:
    clone = colleague(owner, remote, tmp_path / "clone")
    clone.run("dvc", "pull")
    assert clone.stages_run(clone.run("dvc", "repro")) == []
    assert "up to date" in clone.run("dvc", "status")
    assert clone.run("git", "status", "--porcelain") == ""


@pytest.mark.full  # of an experiment, test_settings_that_somebody_has_run_before shows it
def test_repro_with_pull_brings_what_is_missing_and_runs_no_stage(owner: Clone, remote: Remote, tmp_path: Path) -> None:
    clone = colleague(owner, remote, tmp_path / "clone")
    assert clone.stages_run(clone.run("dvc", "repro", "--pull")) == []
    assert "up to date" in clone.run("dvc", "status")
    assert clone.run("git", "status", "--porcelain") == ""
    assert len(list((clone.folder / "data/raw").rglob("*.png"))) == 450


@pytest.mark.full  # test_an_experiment_pulled_from_a_remote_is_recorded shows most of it
def test_a_shared_experiment_is_listed_applied_and_recorded(owner: Clone, remote: Remote, tmp_path: Path) -> None:
    clone = colleague(owner, remote, tmp_path / "clone")
    assert "faster" in clone.run("dvc", "exp", "list", "origin")
    clone.run("dvc", "exp", "pull", "origin", "faster")
    assert "faster" in clone.run("dvc", "exp", "show", "--only-changed")
    said = clone.run("python", "src/cli.py", "record", "faster")
    assert "faster finetune: run, 13 epochs, 16 files, model, test results" in said
    clone.run("dvc", "exp", "apply", "faster")
    assert results(clone) == results(owner)


def test_settings_that_somebody_has_run_before_train_nothing(owner: Clone, remote: Remote, tmp_path: Path) -> None:
    assert f"the remote has all that {RUNS} runs of stages put out\n" in owner.run("python", "src/cli.py", "push")
    clone = colleague(owner, remote, tmp_path / "clone")
    assert clone.stages_run(clone.run("dvc", "exp", "run", "--pull", *FASTER)) == []
    assert results(clone) == results(owner)
    shutil.rmtree(clone.folder / ".dvc/cache/files")  # as `dvc gc` does with what no commit refers to
    said = clone.run("python", "src/cli.py", "push")
    assert f"0 more files pushed: the remote has all that 0 runs of stages put out; {RUNS} left out, whose" in said


@pytest.mark.full  # of DVC's own doing
def test_a_file_that_was_changed_in_the_remote_is_refused(owner: Clone, remote: Remote, tmp_path: Path) -> None:
    clone = colleague(owner, remote, tmp_path / "clone")
    lock = yaml.safe_load((clone.folder / "dvc.lock").read_text())
    (digest,) = [out["md5"] for out in lock["stages"]["evaluate"]["outs"] if out["path"] == "models/model.keras"]
    kept = remote.folder / "files/md5" / digest[:2] / digest[2:]
    whole, mode = kept.read_bytes(), kept.stat().st_mode
    kept.unlink()
    kept.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    kept.chmod(mode)  # DVC believes the content of a file that may not be written to
    said = clone.run("dvc", "pull", code=1)
    assert "models/model.keras" in said
    assert "Traceback" not in said
    assert not (clone.folder / "models/model.keras").exists()
    kept.unlink()
    owner.run("dvc", "push", "--all-commits")
    clone.run("dvc", "pull")
    assert (clone.folder / "models/model.keras").read_bytes() == whole


@NEEDS_SSHD
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        pytest.param("port", "Connect call failed ('127.0.0.1', 1)", marks=pytest.mark.full),
        ("keyfile", "Permission denied for user"),
    ],
)
def test_a_server_that_does_not_let_one_in_is_named(demo_clone: Clone, tmp_path: Path, wrong: str, reason: str) -> None:
    clone = demo_clone.copy(tmp_path / "clone")
    clone.run("dvc", "remote", "add", "--default", "storage", f"ssh://127.0.0.1{tmp_path}/storage")
    (tmp_path / "sshd").mkdir()
    with ssh_server(tmp_path / "sshd") as personal:
        connect(clone, personal | {wrong: {"port": "1", "keyfile": str(tmp_path / "sshd/host")}[wrong]})
        for command, code in (("dvc pull", 1), ("python src/cli.py push", 2)):
            said = clone.run(*command.split(), code=code)
            assert reason in said
            assert "Traceback" not in said
