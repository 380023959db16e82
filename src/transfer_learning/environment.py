"""What a result depends on besides its inputs: processor, threads, versions. Kept, so that differences have a reason.

reports/environment.json has these facts for each stage as it last ran; git keeps it, and it is no output of DVC. A
stage that came out of the run cache keeps the entry that was there.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from transfer_learning import settings
from transfer_learning.files import written_aside

FILE = Path("reports/environment.json")
PACKAGES = ("tensorflow", "keras", "numpy", "h5py", "pillow", "pandas", "scipy", "scikit-learn", "matplotlib")
# of the flags of /proc/cpuinfo those that choose another code path in TensorFlow, oneDNN or Eigen
INSTRUCTION_SETS = ("amx_int8", "amx_bf16", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "avx2", "fma", "avx")


def facts(*, threads: int) -> dict[str, str]:
    """What this machine computes with, by name.

    Args:
        threads: `runtime.threads`; 0 is one per core.
    """
    found = {f"version.{package}": version(package) for package in PACKAGES}
    found["version.python"] = platform.python_version()
    found["platform"] = f"{sys.platform} {platform.machine()} {' '.join(platform.libc_ver())}".strip()
    found["cpu"] = cpu()
    found["instruction_sets"] = " ".join(instruction_sets())
    found["cores"] = str(os.cpu_count())
    found["threads"] = str(threads or os.cpu_count())
    return found


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
    """Write the facts of a stage that has run into reports/environment.json."""
    threads = int(settings.flat()["runtime.threads"])
    with written_aside(FILE) as aside:
        aside.write_text(json.dumps(read(FILE) | {stage: facts(threads=threads)}, indent=1, sort_keys=True) + "\n")


def read(path: Path) -> dict[str, dict[str, str]]:
    """Facts by stage; empty where there is no such file."""
    return json.loads(path.read_text()) if path.exists() else {}
