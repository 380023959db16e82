"""The settings of the two phases of training, and what must fit what in them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from transfer_learning.section import Count, Epochs, LearningRate, Section


class Phase(Section):
    """What both phases of training share."""

    learning_rate: LearningRate
    epochs: Epochs
    batch_size: Count
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    mixup: Annotated[float, Field(ge=0, le=10)]
    balance: Literal["none", "class_weights", "sampling"]
    early_stopping: Annotated[int, Field(ge=0, le=10_000)]
    ema: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> Phase:
        for name, optimizer in (("momentum", "sgd"), ("weight_decay", "adamw")):
            value = getattr(self, name)
            if value and self.optimizer != optimizer:
                raise ValueError(
                    f"{name} = {value}: allowed with optimizer {self.optimizer} is 0, {optimizer} takes it"
                )
        return self

    def _check_warmup(self, epochs: int, key: str) -> None:
        if self.warmup_epochs >= epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs}: must be less than {key}, which is {epochs}; 0 is no warm-up"
            )


class TrainFrozen(Phase):
    @model_validator(mode="after")
    def _fits(self) -> TrainFrozen:
        self._check_warmup(self.epochs, "epochs")
        return self


class Step(Section):
    """A part of fine-tuning, from one layer on."""

    fine_tune_at: Annotated[int, Field(ge=0)]
    epochs: Epochs
    learning_rate: LearningRate


class Finetune(Phase):
    fine_tune_at: Annotated[int, Field(ge=0)]
    layer_decay: Annotated[float, Field(gt=0, le=1)]
    steps: list[Step]

    @property
    def plan(self) -> list[Step]:
        """The steps; without any, the phase as one."""
        whole = Step(fine_tune_at=self.fine_tune_at, epochs=self.epochs, learning_rate=self.learning_rate)
        return self.steps or [whole]

    @model_validator(mode="after")
    def _fits(self) -> Finetune:
        for number, step in enumerate(self.plan):
            self._check_warmup(step.epochs, f"steps.{number}.epochs" if self.steps else "epochs")
        for number, (before, after) in enumerate(pairwise(self.steps), start=1):
            if after.fine_tune_at > before.fine_tune_at:
                raise ValueError(
                    f"steps.{number}.fine_tune_at = {after.fine_tune_at}: must not be above that of the step before, "
                    f"{before.fine_tune_at}"
                )
        return self
