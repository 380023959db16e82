"""Settings of a training phase for tests: the defaults, with changes."""

from __future__ import annotations

from typing import Any

from support.clone import ROOT
from transfer_learning.settings import params
from transfer_learning.settings.phases import Finetune, TrainFrozen

DEFAULTS = params.read_yaml(ROOT / "params.yaml")


def phase(**changes: Any) -> TrainFrozen:
    return TrainFrozen.model_validate(DEFAULTS["train_frozen"] | changes)


def fine_tuning(**changes: Any) -> Finetune:
    return Finetune.model_validate(DEFAULTS["finetune"] | changes)
