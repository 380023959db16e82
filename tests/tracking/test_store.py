"""The MLflow store as people share and break it: a team's server, two first uses at once, other versions of MLflow."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from support.clone import DEMO, ROOT, Clone, answer
from support.stores import everything, runs, store_of

from transfer_learning.core.errors import UserError
from transfer_learning.tracking import store

# Debian keeps these programs off PATH
POSTGRES = next((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")), Path("/usr/bin"))
PREDICT = "predict --model champion x.png"
FULL = pytest.mark.full  # the same of another command
HAS_POSTGRES = (POSTGRES / "initdb").exists()
UNPRIVILEGED = {"user": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}  # PostgreSQL refuses root


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of its own, reached through a socket in its folder."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as aside:
        folder = Path(aside)
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        if UNPRIVILEGED:
            shutil.chown(data, "postgres")
        quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/", **UNPRIVILEGED}
        subprocess.run([POSTGRES / "initdb", "--pgdata", str(data), "--auth", "trust", "--username", "team"], **quiet)
        options = f"-c listen_addresses= -c unix_socket_directories={data}"
        subprocess.run([POSTGRES / "pg_ctl", "--pgdata", str(data), "--wait", "-o", options, "start"], **quiet)
        try:
            yield f"postgresql+psycopg2://team@/postgres?host={data}"
        finally:
            subprocess.run([POSTGRES / "pg_ctl", "--pgdata", str(data), "--mode", "immediate", "stop"], **quiet)


@pytest.fixture(scope="module")
def team(demo_clone: Clone, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A copy of the demo whose .env names an MLflow server with PostgreSQL behind it and proxied artifacts."""
    clone = demo_clone.copy(tmp_path_factory.mktemp("team"))
    command = [
        "mlflow", "server", "--backend-store-uri", postgres, "--artifacts-destination", str(clone.folder / "served"),
        "--host", "127.0.0.1", "--port", "PORT", "--workers", "1",
    ]  # fmt: skip
    clone.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with clone.serving(command, "/health") as address:
        (clone.folder / ".env").write_text(f"MLFLOW_TRACKING_URI={address}\n")
        clone.server = MlflowClient(address)  # type: ignore[attr-defined]
        yield clone


@pytest.mark.skipif(not HAS_POSTGRES and "CI" not in os.environ, reason="PostgreSQL is not installed")
def test_a_team_s_server_holds_the_whole_run_and_the_champion(team: Clone) -> None:
    team.run("dvc", "exp", "run", "--temp", "--name", "shared", *DEMO, "-S", "finetune.fine_tune_at=9")
    client = team.server  # type: ignore[attr-defined]
    (run,) = runs(client, stage="finetune", dvc_experiment="shared")
    held = everything(client, run)
    assert (held["status"], [step for step, _ in held["curves"]["loss/val"]]) == ("FINISHED", list(range(13)))
    assert {"figures/finetune/learning_curves.png", "predictions/predictions.csv"} <= set(held["files"])
    assert dict(held["models"][0])["test/accuracy"] == run.data.metrics["test/accuracy"]
    assert not (team.folder / "mlflow.db").exists()
    assert "is the champion of drawn now, version 1" in team.run("python", "src/cli.py", "promote", "shared")
    photo = next((team.folder / "data/raw").rglob("*.png"))
    assert json.loads(team.run("python", "src/cli.py", "predict", "--model", "champion", "--json", str(photo)))["class"]


def test_two_first_runs_at_once_make_one_store(demo_clone: Clone, tmp_path: Path) -> None:
    root = demo_clone.copy(tmp_path)
    started = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        clone = demo_clone.copy(tmp_path / name)
        environment = clone.environment | {"DVC_ROOT": str(root.folder), "DVC_EXP_NAME": name}
        started.append(
            subprocess.Popen(["python", "src/finetune.py"], cwd=clone.folder, env=environment, stderr=subprocess.PIPE)
        )
    assert [process.communicate(timeout=120)[1].decode() for process in started] == ["", ""]
    found = runs(store_of(root.folder), stage="finetune")
    assert sorted((run.info.run_name, run.info.status) for run in found) == [("one", "FINISHED"), ("two", "FINISHED")]


@pytest.mark.parametrize(
    ("command", "kind"),
    [("record", "newer"), ("promote", "folder"), ("ui", "no database"), pytest.param(PREDICT, "folder", marks=FULL),
     pytest.param("ui", "newer", marks=FULL), pytest.param("record", "no database", marks=FULL)],
)  # fmt: skip
def test_a_store_that_cannot_be_used_is_one_line(demo_clone: Clone, tmp_path: Path, command: str, kind: str) -> None:
    database = tmp_path / "mlflow.db"
    if kind == "newer":
        shutil.copy(demo_clone.folder / "mlflow.db", database)
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'fffffffffff0'")
        connection.close()
    elif kind == "folder":
        database.mkdir()
    else:
        database.write_text("no database")
    clone = Clone.at(demo_clone.folder, demo_clone.environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{database}"})
    said = clone.run("python", "src/cli.py", *command.split(), code=2)
    reasons = {"newer": "written by another version of MLflow", "folder": "unable to open", "no database": "not a data"}
    assert said.count("\n") == 1
    assert said.startswith(f"error: {command.split()[0]}: MLflow store sqlite:///{database}: ")
    assert reasons[kind] in said


def test_a_database_whose_driver_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@127.0.0.1:9/mlflow")
    for name in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="needs the Python package psycopg") as refused:
        store.Store()
    assert "secret" not in str(refused.value)


def test_an_empty_store_has_no_champion_and_nothing_to_show_yet(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    said = clone.run("python", "src/cli.py", "predict", "--model", "champion", "x.png", code=2)
    assert said == "error: predict: no model of drawn has the alias champion: `./tl promote` gives champion\n"


def test_importing_sets_nothing_that_dotenv_could_still_set() -> None:
    code = "import os; before = dict(os.environ)\n"
    code += "from transfer_learning.tracking import follow, record, recorder, store\n"
    code += "assert dict(os.environ) == before, os.environ.keys() - before"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=True)


@pytest.mark.parametrize(
    "command",
    ["report", "promote", *(pytest.param(command, marks=FULL) for command in ("record", "ui", PREDICT))],
)
def test_settings_of_mlflow_in_dotenv_hold_for_every_command(demo_clone: Clone, tmp_path: Path, command: str) -> None:
    clone = demo_clone.copy(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (clone.folder / ".env").write_text(f"MLFLOW_TRACKING_URI={address}\nMLFLOW_HTTP_REQUEST_TIMEOUT=1\n")
        said = clone.run("python", "src/cli.py", *command.split(), code=0 if command == "report" else 2)
    assert f"MLflow store {address}: " in said
    assert "read timeout=1)" in said


def test_a_full_disk_is_no_fault_of_the_store(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.call("record")
    said = clone.run("bash", "-c", "PYTHONUNBUFFERED=1 python src/cli.py promote > /dev/full", code=2)
    assert said == f"error: promote: the disk of {clone.folder} is full: make room and run again\n"


def test_a_remote_that_does_not_answer_is_no_fault_of_the_store(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.run("dvc", "exp", "save", "--name", "saved")
    clone.run("rm", "-r", ".dvc/cache")
    clone.run("dvc", "remote", "add", "--local", "--default", "team", "ssh://127.0.0.1:9/nowhere")
    said = clone.run("python", "src/cli.py", "record", "saved")
    assert "saved finetune: run, 13 epochs, 16 files, test results\n" in said  # all but the model
    assert "saved: DVC cannot bring models/model.keras: [Errno 111]" in said


def encoded(photo: Image.Image, kind: str, **options: Any) -> str:
    """A photo as the base64 text of a file."""
    file = io.BytesIO()
    photo.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def test_the_served_champion_takes_files_of_any_size_and_orientation_and_pixels(
    demo_clone: Clone, tmp_path: Path
) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.call("record")
    clone.call("promote")
    path = sorted((clone.folder / "data/raw/validation").rglob("*.png"))[0]
    local = json.loads(clone.run("python", "src/cli.py", "predict", "--json", str(path)))
    photo = Image.open(path).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 8  # the camera lay on its side: shown turned by 90 degrees
    photos = [
        encoded(photo, "PNG"),
        encoded(photo.transpose(Image.Transpose.ROTATE_270), "JPEG", quality=95, exif=turned),
        encoded(photo.resize((701, 1103)), "JPEG", quality=95),
        np.asarray(photo).tolist(),
    ]
    command = "mlflow models serve -m models:/drawn@champion --env-manager local --host 127.0.0.1 --port PORT"
    clone.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{clone.folder}/mlflow.db"
    with clone.serving(command.split(), "/ping") as address:
        body = {"dataframe_split": {"columns": ["photo"], "data": [[one] for one in photos]}}
        rows = answer(f"{address}/invocations", body)["predictions"]
        assert [row["class"] for row in rows] == [local["class"]] * 4
        probabilities = [row["probability"] for row in rows]
        assert probabilities == pytest.approx([local["probability"]] * 4, abs=0.05)  # JPEG is lossy
        assert probabilities[::3] == pytest.approx([local["probability"]] * 2, abs=1e-5)
        with pytest.raises(urllib.error.HTTPError) as refused:
            answer(f"{address}/invocations", {"dataframe_split": {"columns": ["photo"], "data": [["no photo"]]}})
        assert refused.value.code == 400
        assert "photo 0 is text, but not base64" in refused.value.read().decode()
