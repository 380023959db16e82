"""Champions that are each not worse than the one before do not sink."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.clone import ROOT

from transfer_learning.commands.promote import ALIAS, BEST, PREDICTIONS, promote
from transfer_learning.settings import params

PHOTOS = 1000
LIMITS = params.check(params.read_yaml(ROOT / "params.yaml")).gate


class Registry:
    """What promote asks of a recorder and of MLflow's client, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.client = folder, self
        self.versions: list[Any] = []
        self.alias: dict[str, int] = {}

    def registered(self, name: str, alias: str) -> Any:
        return self.versions[self.alias[alias] - 1] if alias in self.alias else None

    def register(self, name: str, run_id: str, model_id: str, tags: dict[str, str]) -> int:
        version = len(self.versions) + 1
        self.versions.append(SimpleNamespace(version=version, name=name, run_id=run_id, tags=tags, aliases=[]))
        return version

    def set_registered_model_alias(self, name: str, alias: str, version: int) -> None:
        self.alias[alias] = int(version)

    def list_artifacts(self, run_id: str, folder: str) -> list[Any]:
        return [SimpleNamespace(path=PREDICTIONS)]

    def download_artifacts(self, run_id: str, path: str, to: str) -> str:
        return str(self.folder / run_id / "reports/test/predictions.csv")

    def challenge(self, name: str, wrong: range, *, force: bool = False) -> bool:
        """Promote a model that is wrong on these of PHOTOS photos."""
        path = self.folder / name / "reports/test/predictions.csv"
        path.parent.mkdir(parents=True)
        lines = ["path,sha256,label,probability,predicted"]
        for photo in range(PHOTOS):
            label = ("cats", "dogs")[photo % 2]
            second = (label == "dogs") != (photo in wrong)
            lines.append(f"{photo}.jpg,{photo:064x},{label},{0.9 if second else 0.1},{'dogs' if second else 'cats'}")
        path.write_text("\n".join(lines) + "\n")
        found: Any = SimpleNamespace(name=name, baseline="", experiment="drawn", folder=self.folder / name)
        run = SimpleNamespace(info=SimpleNamespace(run_id=name))
        recorder: Any = self
        return promote(recorder, found, run, SimpleNamespace(model_id=name), LIMITS, force=force)


def test_a_chain_of_challengers_each_not_worse_than_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each loses two of 1,000 photos: by chance in one of four cases, whatever the champion had lost before."""
    registry = Registry(tmp_path)
    taken = [registry.challenge(f"m{step}", range(20 + 2 * step)) for step in range(20)]
    assert taken[:3] == [True] * 3  # not worse than the best
    assert taken[8:] == [False] * 12
    assert registry.alias[BEST] == 1
    champion = registry.versions[registry.alias[ALIAS] - 1]
    assert float(champion.tags["accuracy_change"]) >= -LIMITS.accuracy_tolerance
    assert "against version 1: accuracy 98.0% -> " in capsys.readouterr().out


def test_the_best_moves_up_only_and_by_force(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for name, wrong, best in [("first", range(40), 1), ("lower", range(42), 1), ("equal", range(1, 41), 1),
                              ("higher", range(30), 4), ("lower still", range(31), 4)]:  # fmt: skip
        assert registry.challenge(name, wrong)
        assert (registry.alias[ALIAS], registry.alias[BEST]) == (len(registry.versions), best)
    assert not registry.challenge("bad", range(60))
    assert registry.challenge("forced", range(60), force=True)
    assert (registry.alias[ALIAS], registry.alias[BEST]) == (6, 6)


def test_a_champion_of_before_there_was_a_best_is_the_best(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.challenge("first", range(40))
    del registry.alias[BEST]
    assert registry.challenge("second", range(41))
    assert registry.alias[BEST] == 1
