"""Record a training stage into MLflow while it runs; started by the stage, which writes to its standard input.

Each line is a JSON object: {"row": a row of the history} or {"end": status}. The end of the input without one means
that the stage was killed. What the store does not take is tried again with the next line and every few seconds.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import psutil

from transfer_learning.core import surroundings
from transfer_learning.core.errors import UserError
from transfer_learning.experiments import revisions
from transfer_learning.stage import environment
from transfer_learning.tracking import contents
from transfer_learning.tracking.address import hidden

RETRY = 5.0  # seconds
LAST_WAIT = 10.0  # seconds after the end of the stage


class Follow:
    """What has been heard of the stage, and the thread that writes it to the store."""

    def __init__(self, stage: str) -> None:
        self.stage, self.status, self.since = stage, "RUNNING", int(time.time() * 1000)
        name, baseline = revisions.current()
        self.where: dict[str, Any] = {"folder": Path(), "name": name, "baseline": baseline}
        self.contents = contents.read(stage, None if stage == "train_frozen" else "train_frozen", **self.where)
        self.tags = facts(self.contents.params)
        self.tags["code_changed"] = str(revisions.code_changed(baseline)).lower()
        self.changed = threading.Event()
        self.changed.set()
        self.stored = threading.Event()
        self.error: str | None = None

    def hear(self, lines: Iterator[str]) -> None:
        """Take in what the stage says, until it ends."""
        ended = "KILLED"
        for line in lines:
            message = json.loads(line)
            if "row" in message:
                self.contents.points += contents.points([message["row"]], fine_tuning=self.stage == "finetune")
            else:
                ended = message["end"]
            self.changed.set()
        if ended == "FINISHED":  # what the files say is the truth
            self.contents = contents.read(self.stage, self.stage, **self.where)
        self.status = ended
        self.changed.set()

    def write(self) -> None:
        """Write to the store whatever is new, until the stage has ended and all is written."""
        from transfer_learning.tracking import recorder as recording

        recorder: recording.Recorder | None = None
        while True:
            self.changed.wait(RETRY if self.error else None)
            self.changed.clear()
            status = self.status
            try:
                recorder = recorder or recording.Recorder()
                about: dict[str, Any] = {"live_tags": self.tags, "since": self.since}
                recorder.sync(self.contents, status=status, replace_files=False, **about)
                self.error = None
            except Exception as error:  # whatever it is: no record is worth a training
                recorder = None
                text = str(error) if isinstance(error, UserError) else f"recording into MLflow: {hidden(repr(error))}"
                if self.error is None:
                    say(text)
                self.error = text
            if status != "RUNNING" and self.error is None:
                self.stored.set()
                return


def say(error: str) -> None:
    """One line for a store that does not answer."""
    lasting = "training goes on, `./tl record` adds what is missing at the end"
    print(f"warning: {error}; {lasting}", file=sys.stderr, flush=True)


def facts(params: dict[str, str]) -> dict[str, str]:
    """Where and with what this runs, as tags."""
    tags = environment.facts() | {"cores": str(surroundings.cores())}
    tags["threads"] = str(int(params["runtime.threads"]) or tags["cores"])
    tags |= {f"version.{package}": version(package) for package in ("dvc", "mlflow")}
    tags["memory_gb"] = f"{psutil.virtual_memory().total / 2**30:.0f}"
    trainer = psutil.Process(os.getppid())
    tags["process"] = f"{platform.node()} {trainer.pid} {trainer.create_time():.0f}"
    return tags


def until_the_end(stage: str) -> NoReturn:
    """Record a stage from what standard input says of it; ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        follow = Follow(stage)
    except UserError as error:  # such as git's, on a disk that is full: the stage says by itself how that ends for it
        say(str(error))
        sys.exit(1)
    threading.Thread(target=follow.write, daemon=True).start()
    follow.hear(iter(sys.stdin.readline, ""))
    if not follow.stored.wait(LAST_WAIT) and follow.error is None:
        from transfer_learning.tracking import store

        say(f"MLflow store {store.shown()}: has not answered in time")
    os._exit(0 if follow.stored.is_set() else 1)  # a thread that waits for a silent server holds nothing up
