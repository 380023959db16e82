"""A training stage's line to MLflow: a process of its own writes to the store, so training never waits for it.

That process (follow.py) starts with the stage and is ready before the first epoch is; what it writes has no part in
any output of DVC, so its code is no dependency of the stages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

RECORDING = 60  # seconds for the results of evaluate; 3 are usual
PATIENCE = 15  # seconds that a stage waits at its end for the store to take what is left


class Follower:
    """The process that records this stage; when it dies, the stage says so once and goes on."""

    def __init__(self, stage: str) -> None:
        command = [sys.executable, "src/cli.py", "follow", stage]
        # in a session of its own: Ctrl-C is for the stage, which then tells how it ended
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        self.lost = False

    def epoch(self, row: dict[str, float]) -> None:
        """Hand over a row of the history."""
        self._send({"row": row})

    def end(self, status: str) -> None:
        """Say how the stage ended (an MLflow status) and give the process a moment to write it."""
        self._send({"end": status})
        try:
            assert self.process.stdin
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # said in _send
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _send(self, message: dict[str, object]) -> None:
        if self.lost:
            return
        try:
            assert self.process.stdin
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.lost = True
            print("warning: recording into MLflow has ended early; `./tl record` adds what is missing", file=sys.stderr)


@contextmanager
def followed(stage: str) -> Iterator[Follower]:
    """Record a training stage while it runs: FINISHED, KILLED by Ctrl-C or SIGTERM, or FAILED."""
    follower = Follower(stage)
    status = "FAILED"
    try:
        yield follower
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        follower.end(status)


@contextmanager
def recorded_after() -> Iterator[None]:
    """Bring the runs of this folder's experiment up to its files when the work in here is done: test results, figures,
    model. The process that does it starts now, so that it is ready then."""
    command = [sys.executable, "src/cli.py", "record", "--here"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin
    try:
        yield
        process.communicate(b"done\n", RECORDING)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        process.stdin.close()  # without a word before, nothing is recorded
    if process.wait():
        print("warning: MLflow lacks results of this experiment; `./tl record` adds them", file=sys.stderr)
