"""What a result depends on besides its inputs: processor, versions, two variables. Kept: a difference has a reason.

reports/environment.json has these facts for each stage; git keeps it, and it is no output of DVC. An entry is of the
run that first put out its bytes. It holds their digest, and a later run that puts out the same leaves it alone, so that
a workspace stays clean where every result is the same. A stage out of the run cache keeps the entry that was there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import digest, written_aside
from transfer_learning.settings import params

FILE = Path("reports/environment.json")
OUTPUTS = "outputs"  # beside the facts of a stage: digest of what it has put out
PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow", "pandas", "scipy", "scikit-learn", "matplotlib")
# of the flags of /proc/cpuinfo those that choose another code path in TensorFlow, oneDNN or Eigen
INSTRUCTION_SETS = ("amx_int8", "amx_bf16", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "avx2", "fma", "avx")

# which choose other code in the C library or in place of it, before Python starts; the others are shut out
VARIABLES = ("GLIBC_TUNABLES", "LD_PRELOAD")


def facts() -> dict[str, str]:
    """What this machine computes with, by name; no number of threads or cores, which move no byte."""
    found = {f"version.{package}": version(package) for package in PACKAGES}
    found["version.python"] = platform.python_version()
    found["platform"] = f"{sys.platform} {platform.machine()} {' '.join(platform.libc_ver())}".strip()
    found["cpu"] = cpu()
    found["instruction_sets"] = " ".join(instruction_sets())
    return found | {f"variable.{name}": os.environ[name] for name in VARIABLES if name in os.environ}


def cpu() -> str:
    """Name of the processor."""
    return _cpuinfo().get("model name", platform.processor() or platform.machine())


def instruction_sets() -> list[str]:
    """Those of INSTRUCTION_SETS that the processor has; empty where the system does not say."""
    flags = _cpuinfo().get("flags", "").split()
    return [name for name in INSTRUCTION_SETS if name in flags]


def _cpuinfo() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n\n")[0].splitlines() if info.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def record(stage: str) -> None:
    """Write the facts of a stage that has run into reports/environment.json, if it has put out other bytes than those
    that its entry is of."""
    entries, put_out = _entries(FILE.read_text()) if FILE.exists() else {}, _outputs_digest(stage)
    if entries.get(stage, {}).get(OUTPUTS) == put_out:
        return
    entries[stage] = facts() | {OUTPUTS: put_out}
    with written_aside(FILE) as aside:
        aside.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


def _outputs_digest(stage: str) -> str:
    """sha256 over path and content of every file that a stage has put out, as dvc.yaml declares them."""
    sha = hashlib.sha256()
    for path in map(Path, params.outputs(params.read_yaml(Path("dvc.yaml"))["stages"][stage])):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                sha.update(f"{digest(file, 'sha256')}  {file.as_posix()}\n".encode())
    return sha.hexdigest()


def read(path: Path) -> dict[str, dict[str, str]]:
    """Facts by stage; empty where there is no such file."""
    return parse(path.read_text()) if path.exists() else {}


def parse(text: str) -> dict[str, dict[str, str]]:
    """Facts by stage, from the text of reports/environment.json.

    Raises:
        UserError: it holds none, as after a merge that is not resolved.
    """
    return {
        stage: {name: value for name, value in entry.items() if name != OUTPUTS}
        for stage, entry in _entries(text).items()
    }


def _entries(text: str) -> dict[str, dict[str, str]]:
    try:
        return {stage: dict(entry) for stage, entry in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError):
        raise UserError(f"{FILE} cannot be read: `git checkout {FILE}` brings a whole one") from None
