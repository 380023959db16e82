"""What surrounds a process: the share of the cores that an experiment among others has."""

from __future__ import annotations

import os

import pytest

from transfer_learning.core import surroundings
from transfer_learning.core.errors import UserError


@pytest.mark.parametrize(("jobs", "share"), [("", 4), ("1", 4), ("2", 2), ("3", 1), ("9", 1)])
def test_experiments_side_by_side_share_the_cores(jobs: str, share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv(surroundings.JOBS, jobs)
    assert surroundings.cores() == share


@pytest.mark.parametrize("jobs", ["two", "0", "-1", "1.5"])
def test_a_wrong_number_of_experiments_is_one_line(jobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(surroundings.JOBS, jobs)
    with pytest.raises(UserError, match=r"TL_JOBS = .* must be a whole number of 1 or more"):
        surroundings.cores()
