"""What surrounds a process and must not change what it computes: variables, packages in the way, the text encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from transfer_learning.core.errors import UserError

# Variables that choose number types, bounds on epochs or other code paths in Keras, TensorFlow, NumPy, Matplotlib and
# the libraries below them begin so; these among them change no number.
MOVING = (
    "KERAS_", "TF_", "TF2_", "XLA_", "ONEDNN_", "DNNL_", "NVIDIA_TF32_", "NPY_", "OPENBLAS_CORETYPE", "MPLBACKEND",
    "MATPLOTLIBRC",
)  # fmt: skip
HARMLESS = ("TF_CPP_", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR")
JOBS = "TL_JOBS"  # a variable: number of experiments side by side on this machine, each with its share of the cores


def shut_out() -> None:
    """Make this process one that nothing around it changes; for a door, before it imports a package.

    File names and files are UTF-8 whatever the locale says: where that takes another start of Python, as the same
    process, this does not return.
    """
    drop_variables()
    named = {os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    door, *others = sys.path
    sys.path[:] = [door, *sorted(others, key=lambda entry: entry in named)]  # a yaml.py there must not be ours
    if sys.getfilesystemencoding() != "utf-8":
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def drop_variables() -> None:
    """Take away the variables that change numbers; the libraries read them when they are imported, or later."""
    for name in [name for name in os.environ if name.startswith(MOVING) and not name.startswith(HARMLESS)]:
        del os.environ[name]


def dvc_misreads(names: Iterable[str]) -> str | None:
    """The first of these names of files that the DVC which has started this stage would record as another one: where
    the locale is not UTF-8, DVC reads what is not ASCII wrongly, and nothing in a stage can mend that."""
    if "DVC_STAGE" not in os.environ or "utf8" not in sys._xoptions:
        return None
    return next((name for name in names if not name.isascii()), None)


def cores() -> int:
    """Cores that this process may use: taskset, a container or a batch system can allow fewer than there are, and
    experiments side by side share them.

    Raises:
        UserError: TL_JOBS is no number of experiments.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = os.environ.get(JOBS) or "1"
    if not (jobs.isdecimal() and int(jobs)):
        raise UserError(f"{JOBS} = {jobs!r} in the environment: must be a whole number of 1 or more")
    return max(1, allowed // int(jobs))
