"""What is seen while a sweep runs: counts, the best trial so far, the time that is left; and no flood of lines."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any

import pytest
from rich.console import Console

from transfer_learning.reporting import sweep_view, trials
from transfer_learning.reporting.sweep_view import Pace, View

SETTINGS = [{"seed": 0, "split.fraction": 1.0, "finetune.epochs": epochs, "finetune.steps": None} for epochs in (5, 10)]
FOUND = {
    name: trials.Trial(
        names=(name, "also called so"),
        commit="c",
        settings=settings | {"evaluate.confidence": 0.95},
        results={f"finetune/{key}": value for key, value in
                 {"val_accuracy": accuracy, "val_loss": 0.1, "photos": 1000}.items()}
        | {f"test/{key}": 0.5 for key in ("accuracy", "accuracy_low", "accuracy_high")},
        seconds=None,
        photos="",
        split="",
    )
    for name, settings, accuracy in zip(("five", "ten"), SETTINGS, (0.975, 0.98), strict=True)
}  # fmt: skip


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> View:
    """Of two trials, on a terminal of 60 columns if the test says so."""

    def of_experiments(names: Collection[str]) -> list[trials.Trial]:
        return [trial for name, trial in FOUND.items() if name in names]

    monkeypatch.setattr(trials, "of_experiments", of_experiments)
    console = Console(
        file=io.StringIO(), width=60, force_terminal=getattr(request, "param", False), highlight=False, markup=False
    )
    return View(SETTINGS, [], jobs=2, here=SETTINGS[0], console=console, clock=Clock())


def tell(view: View, now: float, **states: str) -> None:
    view.clock.now = now  # type: ignore[attr-defined]
    view.update(states)


def printed(view: View) -> str:
    file: Any = view.console.file
    return str(file.getvalue())


def test_where_there_is_no_terminal_a_line_is_printed_when_something_has_changed(view: View) -> None:
    with view.shown():
        view.queued(1)
        for now in range(30):
            tell(view, now, five="Running", ten="Queued")
        tell(view, 100, five="Success", ten="Running")
        tell(view, 103, five="Success", ten="Running")
        tell(view, 200, five="Success", ten="Success")
    assert printed(view).splitlines() == [
        "0 of 2 done, 1 running, 1 waiting",
        "1 of 2 done, 1 running; about 2 min left; best so far: five, 97.5% on validation, finetune.epochs = 5",
        "2 of 2 done; best so far: ten, 98.0% on validation, finetune.epochs = 10",
    ]


@pytest.mark.parametrize("view", [True], indirect=True)
def test_on_a_terminal_the_same_lines_are_drawn_anew(view: View) -> None:
    with view.shown():
        view.queued(1)
        tell(view, 5, five="Failed", ten="Queued")
        tell(view, 3665, five="Failed", ten="Success")
    drawn = printed(view).split("\x1b[2K")  # which clears a line
    assert drawn[0].endswith("1 of 2 are in DVC's queue\r")
    assert drawn[1] == "0 of 2 done, 1 waiting, 1 failed; 0:00:05 so far\r"
    assert drawn[2].splitlines()[:2] == [
        "1 of 2 done, 1 failed; 1:01:05 so far",
        "best so far: ten, 98.0% on validation, finetune.epochs = 10",
    ]


def test_time_left_follows_from_the_trials_that_were_seen_to_run() -> None:
    pace = Pace(jobs=2)
    states = {
        "a": "Running",
        "b": "Running",
        "c": "Queued",
        "d": "Queued",
        "e": "Queued",
        "out of the cache": "Success",
    }
    pace.update(states, 0)
    assert pace.left(states, 0) is None
    states |= {"a": "Success", "b": "Failed", "c": "Running", "d": "Running"}
    pace.update(states, 100)  # a took 100 s; that b failed says nothing of the others
    assert pace.left(states, 100) == (100 + 100 + 100) / 2
    assert pace.left(states, 190) == (10 + 10 + 100) / 2
    states |= {"d": "Failed", "e": "Failed"}
    pace.update(states, 190)
    assert pace.left(states, 190) == 10  # alone: the second worker has nothing to do
    assert pace.left(states, 500) == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (100, "2 min"), (3500, "58 min"), (11_100, "3 h 5 min")]
)
def test_times_have_the_units_that_matter(seconds: float, words: str) -> None:
    assert sweep_view.duration(seconds) == words
