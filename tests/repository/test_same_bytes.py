"""Same input, same bytes: whoever runs it, wherever, and whatever else the machine is doing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.clone import DEMO, Clone

from transfer_learning.experiments import lock
from transfer_learning.stage import environment

ELSEWHERE = {
    "USER": "somebody", "LOGNAME": "somebody", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "4321", "TL_JOBS": "7",
    "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "PYTHONSAFEPATH": "1",
    # the text encoding is ASCII
    "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0",
    # each of these would change what is computed, or end it
    "KERAS_BACKEND": "torch", "KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "KERAS_NNX_ENABLED": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit", "XLA_FLAGS": "--none", "TF2_BEHAVIOR": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "SSE41", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    "OPENBLAS_CORETYPE": "Prescott", "MPLBACKEND": "none",
}  # fmt: skip
HOME = {  # so would these files in a home folder, two of which KERAS_HOME and MATPLOTLIBRC name
    ".keras/keras.json": '{"floatx": "float64", "image_data_format": "channels_first", "backend": "jax"}',
    ".config/matplotlib/matplotlibrc": "font.size: 20\nsavefig.dpi: 30\naxes.facecolor: red\n",
    **{f"modules/{name}.py": "exit('somebody else')" for name in ("keras", "numpy", "yaml", "transfer_learning")},
}

# takes a quarter of a core in turns, so that threads are stopped at any moment
OTHER_PROGRAM = """
import time
while True:
    end = time.monotonic() + 0.005
    while time.monotonic() < end:
        pass
    time.sleep(0.015)
"""


def hostile_home(folder: Path) -> dict[str, str]:
    """Make it; returns the variables that name what is in it."""
    for name, text in HOME.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    inside = {"KERAS_HOME": ".keras", "MATPLOTLIBRC": ".config/matplotlib/matplotlibrc", "PYTHONPATH": "modules"}
    return {"HOME": str(folder)} | {name: str(folder / path) for name, path in inside.items()}


def test_forced_repro_elsewhere_on_a_busy_machine_leaves_the_lock_as_it_was(demo_clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "ein anderer Ort").mkdir()
    clone = demo_clone.copy(tmp_path / "ein anderer Ort")
    before = (clone.folder / "dvc.lock").read_bytes()
    clone.environment |= ELSEWHERE | hostile_home(tmp_path / "home")
    one_core = {"preexec_fn": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})}
    busy = subprocess.Popen([sys.executable, "-c", OTHER_PROGRAM], **one_core)
    command = ["bash", "-c", "umask 077 && dvc repro --force"]
    try:
        first = subprocess.Popen(
            command, cwd=clone.folder, env=clone.environment, stdout=subprocess.DEVNULL, **one_core
        )
        while not list((clone.folder / "data").glob(".features.unfinished-*")):  # featurize is at work
            assert first.poll() is None
            time.sleep(0.05)
        second = clone.run("dvc", "repro", code=255)  # one in the same workspace at the same time says so
        assert first.wait() == 0
    finally:
        busy.kill()
        busy.wait()
    assert "is busy, it is being blocked by" in second or "Unable to acquire lock" in second
    assert (clone.folder / "dvc.lock").read_bytes() == before
    assert clone.run("git", "-c", "safe.directory=*", "status", "--porcelain") == ""


@pytest.mark.full  # every stage once more; with the real photos the test of kills does it too
def test_forced_temporary_experiment_has_the_same_lock(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    committed = clone.folder / "reports/environment.json"
    right = committed.read_text()
    elsewhere = json.loads(right.replace('"cpu": "', '"cpu": "9'))  # as of another machine
    elsewhere["train_frozen"]["outputs"] = elsewhere["split"]["outputs"]  # which has put out other bytes in one stage
    committed.write_text(json.dumps(elsewhere))
    clone.run("dvc", "exp", "run", "--temp", "--force", "--name", "forced", *DEMO)
    ref = clone.run("git", "for-each-ref", "--format=%(refname)", "refs/exps/**/forced").strip()
    assert clone.run("git", "show", f"{ref}:dvc.lock") == (clone.folder / "dvc.lock").read_text()
    facts = json.loads(clone.run("git", "show", f"{ref}:reports/environment.json"))
    assert facts == elsewhere | {"train_frozen": json.loads(right)["train_frozen"]}


@pytest.mark.parametrize(("stage", "setting"), [("fetch", "data.side=72"), ("split", "seed=7")])
def test_facts_of_the_machine_change_with_the_outputs_only(
    demo_clone: Clone, tmp_path: Path, stage: str, setting: str
) -> None:
    clone = demo_clone.copy(tmp_path)
    path = clone.folder / "reports/environment.json"
    ours = json.loads(path.read_text())[stage]
    path.write_text(path.read_text().replace('"cpu": "', '"cpu": "9'))
    clone.commit("computed elsewhere")
    clone.run("python", f"src/{stage}.py")
    assert clone.run("git", "status", "--porcelain") == ""
    clone.call("params", "+experiment=demo", setting)
    clone.run("python", f"src/{stage}.py")
    here = json.loads(path.read_text())[stage]
    assert here.pop("outputs") != ours.pop("outputs")
    assert here == ours == environment.read(path)[stage]


@pytest.mark.full  # four stages for each; the test of MobileNetV2 in tests/training is for every day
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads_gives_the_same_lock(demo_clone: Clone, tmp_path: Path, threads: int) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.call("params", "+experiment=demo", f"runtime.threads={threads}")
    assert clone.stages_run(clone.run("dvc", "repro")) == []
    clone.run("dvc", "repro", "--force", "--downstream", "featurize")
    assert clone.run("git", "status", "--porcelain").split() == ["M", "params.yaml"]


def test_lockdiff_names_the_stage_and_what_differs(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.call("params", "+experiment=demo", "seed=7")
    clone.environment["GLIBC_TUNABLES"] = "glibc.malloc.check=0"
    clone.run("dvc", "repro", "split")
    said = clone.run("python", "src/cli.py", "lockdiff", str(demo_clone.folder), code=1)
    assert said.startswith("split is the first stage with other bytes\n  output   data/split.csv\n")
    assert "  setting  seed: 42 -> 7\n" in said
    assert "  machine  variable.GLIBC_TUNABLES: None -> glibc.malloc.check=0\n" in said
    assert "the same: all 7 stages of HEAD and HEAD" in clone.run("python", "src/cli.py", "lockdiff", "HEAD", "HEAD")
    assert "nobody is no git revision or DVC experiment" in clone.run(
        "python", "src/cli.py", "lockdiff", "nobody", code=2
    )


LOCK = {
    "fetch": {"outs": [{"path": "data/raw", "md5": "1"}]},
    "split": {"deps": [{"path": "data/raw", "md5": "1"}], "outs": [{"path": "data/split.csv", "md5": "2"}]},
}
FACTS = {"fetch": {"cpu": "a"}, "split": {"cpu": "a", "version.numpy": "1"}}


@pytest.mark.parametrize(
    ("facts", "explained", "found"),
    [
        ({"split": {"cpu": "b", "version.numpy": "1"}}, True, [("cpu", "a", "b")]),
        ({"split": {"cpu": "a", "version.numpy": "1"}}, False, []),
        ({}, False, None),
    ],
)
def test_first_stage_with_other_bytes_is_named_with_what_differs(
    facts: lock.Facts, explained: bool, found: list[tuple[str, str, str]] | None
) -> None:
    other = LOCK | {"split": LOCK["split"] | {"outs": [{"path": "data/split.csv", "md5": "3"}]}}
    difference = lock.first_difference(lock.State(LOCK, FACTS), lock.State(other, facts))
    assert difference is not None
    assert (difference.stage, difference.outputs, difference.inputs) == ("split", ["data/split.csv"], [])
    assert (difference.is_explained, difference.facts) == (explained, found)
    assert lock.first_difference(lock.State(LOCK, FACTS), lock.State(LOCK, {})) is None


def test_facts_name_versions_and_instruction_sets_and_nothing_that_moves_no_byte() -> None:
    facts = environment.facts()
    assert not {"threads", "cores"} & set(facts)
    flags = subprocess.run(
        ["grep", "-m1", "^flags", "/proc/cpuinfo"], capture_output=True, text=True, check=False
    ).stdout
    assert facts["instruction_sets"].split() == [one for one in environment.INSTRUCTION_SETS if one in flags.split()]
    assert {"version.tensorflow", "version.keras", "version.numpy", "version.python", "cpu", "platform"} <= facts.keys()
