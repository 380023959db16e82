"""What a person sees while a sweep runs: how far it is, the best trial so far, and how long the rest may take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from transfer_learning.core.errors import printable
from transfer_learning.reporting import leaderboard, trials

WORDS = {"Running": "running", "Queued": "waiting", "Failed": "failed"}
LONGEST = 230  # characters of the best trial: of a recipe that changes a whole group many settings differ


class Pace:
    """How long the trials of a sweep take, as seen from outside, and so how long the rest may take.

    Args:
        jobs: trials at a time.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.began: dict[str, float] = {}  # of the running ones
        self.took: list[float] = []

    def update(self, states: Mapping[str, str], now: float) -> None:
        """Note who runs and who is done.

        Args:
            states: of DVC's queue, by name of the trial.
            now: seconds of a clock that only goes on.
        """
        for name, state in states.items():
            if state == "Running":
                self.began.setdefault(name, now)
            elif name in self.began:
                seconds = now - self.began.pop(name)
                self.took += [seconds] if state == "Success" else []

    def left(self, states: Mapping[str, str], now: float) -> float | None:
        """Seconds that the rest may take; None before a trial is done that was seen to run."""
        if not self.took:
            return None
        usual = sum(self.took) / len(self.took)
        running = [max(usual - (now - began), 0.0) for began in self.began.values()]
        waiting = list(states.values()).count("Queued")
        return max([(sum(running) + waiting * usual) / self.jobs, *running])


class View:
    """Lines that are drawn anew on a terminal; elsewhere a line where something has changed.

    Args:
        settings: of all trials of the sweep, flat.
        done: experiments of the trials that were done before.
        jobs: trials at a time.
        here: the settings of the workspace, flat.
        clock: gives seconds.
    """

    def __init__(
        self,
        settings: Sequence[Mapping[str, Any]],
        done: Sequence[str],
        *,
        jobs: int,
        here: Mapping[str, Any],
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.number, self.keys, self.here = len(settings), leaderboard.varying(settings), here
        self.before, self.pace, self.clock, self.began = list(done), Pace(jobs), clock, clock()
        self.console, self.live = console, Live(console=console, auto_refresh=False)
        self.said, self.done, self.best = "", -1, ""

    def shown(self) -> AbstractContextManager[object]:
        """While the lines are to be drawn."""
        return self.live if self.console.is_terminal else nullcontext()

    def queued(self, number: int) -> None:
        """Say how many trials have been put into the queue."""
        if self.console.is_terminal:
            self._draw(f"{number} of {self.number - len(self.before)} are in DVC's queue")

    def update(self, states: Mapping[str, str]) -> None:
        """Say how far the sweep is.

        Args:
            states: of DVC's queue, by name, of the trials that were not done before.
        """
        now = self.clock()
        self.pace.update(states, now)
        done = self.before + [name for name, state in states.items() if state == "Success"]
        if len(done) != self.done:  # git is asked for the results only then
            self.done, self.best = len(done), self._best(done)
        count = Counter(states.values())
        others = [f"{count[state]} {word}" for state, word in WORDS.items() if count[state]]
        counts = ", ".join([f"{len(done)} of {self.number} done", *others])
        left = self.pace.left(states, now) if count["Running"] or count["Queued"] else None
        times = [f"about {duration(left)} left"] if left else []  # 0: longer than usual
        if self.console.is_terminal:
            times = [f"{timedelta(seconds=int(now - self.began))} so far", *times]
            self._draw("\n".join(filter(None, [f"{counts}; {', '.join(times)}", self.best])))
        elif (said := f"{counts}; {self.best}") != self.said:
            self.said = said
            self.console.print("; ".join(filter(None, [counts, *times, self.best])), soft_wrap=True)

    def _draw(self, text: str) -> None:
        self.live.update(Text(text, overflow="fold"), refresh=True)

    def _best(self, names: Sequence[str]) -> str:
        """The best of these experiments, in words; empty where there is none."""
        found = trials.of_experiments(names)
        if not found:
            return ""
        best = leaderboard.best(leaderboard.sections(found, self.here)[0].trials)
        settings = [f"{key} = {value}" for key in self.keys if (value := best.settings.get(key)) is not None]
        accuracy = f"{best.results['finetune/val_accuracy']:.1%} on validation"
        text = f"best so far: {best.names[0]}, {', '.join([accuracy, *settings])}"
        return shorten(printable(text), LONGEST, placeholder=" …")


def duration(seconds: float) -> str:
    """A time in the units that matter: 50 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
