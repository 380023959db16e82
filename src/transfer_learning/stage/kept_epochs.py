"""The state of a training after each of its epochs, kept for every later training that begins in the same way.

The states lie beside DVC's temporary files of the main workspace, so that an experiment run aside or in the queue finds
them too. Each is found by a digest of all that its epoch follows from, so it is never an input of its own: without any
of them every output has the same bytes. The number of epochs is not among that (see Phase.beginning), so that a killed
training, a repeated one, a longer and a shorter one all take over what has been computed.

Several processes need no lock: a state appears whole, by a rename, under a name that its content gives, and one that
another process has removed meanwhile is one that there is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from transfer_learning.core.errors import UserError
from transfer_learning.core.files import digest, is_being_written, put, remove
from transfer_learning.core.workspace import main_workspace
from transfer_learning.settings import params
from transfer_learning.settings.schema import Settings
from transfer_learning.stage import at_work, unfinished

VARIABLE, USUAL = "TL_EPOCHS_MB", 2000  # megabytes; no setting, since it moves no byte of a result
MOST = 10_000  # states, which can be small: looking through so many takes less than 0.1 s
SLACK = 20  # room is made for this part of all at a time
SCARCE = 10  # where the disk has room for so many states only, the latest one alone is kept
State = TypeVar("State")


class KeptEpochs:
    """The states of one training, in a folder that many share.

    Args:
        folder: of all states.
        key: digest of what every epoch follows from.
        megabytes: bound on the folder; the states used longest ago are removed. 0: nothing is kept or taken.
        anew: take no state; those that are computed are kept all the same.
    """

    def __init__(self, folder: Path, key: str = "", *, megabytes: int = USUAL, anew: bool = False) -> None:
        self.folder, self.key, self.megabytes, self.anew = folder, key, megabytes, anew
        self._since_looked = self._bytes  # written by this process since it has last made room: looks at once
        self._said = False

    @property
    def _bytes(self) -> int:
        return self.megabytes * 10**6

    def beginning(self, *follows_from: Any) -> KeptEpochs:
        """The states of a training that follows from this too: anything that JSON can hold."""
        text = json.dumps([self.key, *follows_from], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return KeptEpochs(self.folder, key, megabytes=self.megabytes, anew=self.anew)

    def latest(self, last: int, read: Callable[[Path], State]) -> State | None:
        """Read the state after the latest epoch that is kept and not after `last`; None where there is none.

        A damaged one is removed, and the one before it taken.
        """
        if self.anew or not self.megabytes:
            return None
        numbers = {path: int(path.stem.split("-")[1]) for path in self.folder.glob(f"{self.key}-*.npz")}
        found = None
        for path in sorted((one for one in numbers if numbers[one] <= last), key=lambda one: numbers[one])[::-1]:
            try:
                if digest(path, "sha256").startswith(path.stem.split("-")[2]):
                    found = read(path)
                    os.utime(path)  # used now: it is removed after the others
                else:
                    print(f"the state kept of epoch {numbers[path]} is damaged: what it would spare is computed anew")
                    remove(path)
            except FileNotFoundError:  # another process has made room meanwhile
                continue
            except OSError as error:
                self._warn(error)
            if found is not None:
                return found
        return None

    def keep(self, epoch: int, write: Callable[[Path], None]) -> None:
        """Keep the state after an epoch; a folder that does not take it ends no training, and is said once.

        Args:
            write: fills the file that it is given.
        """
        if not self.megabytes:
            return
        aside = self.folder / f".{self.key}-{epoch}.partial-{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write(aside)
            size = aside.stat().st_size
            put(aside, self.folder / f"{self.key}-{epoch:05d}-{digest(aside, 'sha256')[:16]}.npz")
            self._since_looked += size
            if shutil.disk_usage(self.folder).free < SCARCE * size:  # which the outputs need
                self._make_room(0)
            elif self._since_looked > self._bytes // SLACK:
                self._make_room(self._bytes - self._bytes // SLACK)
        except OSError as error:
            self._warn(error)
        finally:
            with suppress(OSError):  # said above; what cannot be removed goes when room is made
                aside.unlink(missing_ok=True)

    def _make_room(self, left: int) -> None:
        """Remove what was used longest ago, never the state written last; what killed processes left goes like it.

        Args:
            left: bytes that may stay.
        """
        found = []
        for path in self.folder.iterdir():
            try:
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
            except FileNotFoundError:  # another process makes room too
                continue
        total = 0
        for number, (_, size, path) in enumerate(sorted(found, reverse=True)):
            total += size
            if number and (total > left or number >= MOST) and not is_being_written(path):
                remove(path)
        self._since_looked = 0

    def _warn(self, error: OSError) -> None:
        if not self._said:
            why = f"{self.folder} cannot be used ({error.strerror})"
            print(f"warning: epochs are not kept, {why}: training goes on, stopped it begins anew", file=sys.stderr)
        self._said = True


def of(stage: str, settings: Settings, *follows_from: Any) -> KeptEpochs:
    """The states of a stage's training, of which its own section of the settings is not considered yet: it differs
    from step to step, see Phase.beginning.

    Args:
        settings: that the stage declares, as it has loaded them.
        follows_from: what its epochs follow from beside what dvc.yaml declares and the facts of the environment.
    """
    others = {key: value for key, value in params.loaded(settings).items() if not key.startswith(f"{stage}.")}
    folder = main_workspace() / ".dvc" / "tmp" / "epochs"
    kept = KeptEpochs(folder, unfinished.key(stage, others), megabytes=_megabytes(), anew=at_work.is_forced())
    return kept.beginning(*follows_from)


def _megabytes() -> int:
    text = os.environ.get(VARIABLE) or str(USUAL)
    if not text.isdecimal():
        raise UserError(f"{VARIABLE} = {text!r} in the environment: must be a whole number of megabytes, 0 keeps none")
    return int(text)
