"""The settings of the two phases of training, and what must fit what in them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from transfer_learning.settings.fields import Count, Epochs, LearningRate, Section, in_words

FirstLayer = Annotated[
    int,
    Field(
        ge=0,
        description="The first layer of the backbone that is trained; 0 trains all of it, its number of layers only "
        "the head. Below model.boundary it works from the photos instead of the stored activations: slower, same "
        "result.",
    ),
]


class Phase(Section):
    """What both phases of training share."""

    learning_rate: Annotated[LearningRate, Field(description="Step size at its highest.")]
    epochs: Annotated[Epochs, Field(description="Passes over the training photos.")]
    batch_size: Annotated[Count, Field(description="Photos of one step.")]
    optimizer: Annotated[
        Literal["adam", "adamw", "rmsprop", "sgd"],
        Field(description="adamw is Adam with weight decay apart from the gradient; each with Keras's own constants."),
    ]
    momentum: Annotated[
        float,
        Field(ge=0, lt=1, description="Of sgd; 0.9 is usual. The others take 0 only."),
    ]
    weight_decay: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Of adamw: each step shrinks the kernels by this times the learning rate; 0.01 is usual. The"
            " others take 0 only.",
        ),
    ]
    schedule: Annotated[
        Literal["constant", "cosine"],
        Field(description="cosine: the learning rate goes down to 0 at the last step along half a cosine."),
    ]
    warmup_epochs: Annotated[
        int,
        Field(
            ge=0,
            description="Epochs in which the learning rate rises evenly from 0, fewer than epochs; 0 begins with all"
            " of it.",
        ),
    ]
    label_smoothing: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of each target that is spread over all classes; 0.1 is usual. Validation stays plain.",
        ),
    ]
    mixup: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Alpha of mixup; 0 is off, 0.2 is usual: pairs of inputs and their targets are mixed. The "
            "head's inputs are pooled features (manifold mixup), fine-tuning's the stored activations, or the photos"
            " where it works from these.",
        ),
    ]
    balance: Annotated[
        Literal["none", "class_weights", "sampling"],
        Field(
            description="Where classes have different numbers of photos: with class_weights a photo of a rare class "
            "counts more, with sampling every class gets the same number of places in each epoch."
        ),
    ]
    early_stopping: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="Epochs that are no better on validation after which to stop, or 0 for all epochs. Above 0 "
            "the weights of the best epoch are kept, or those that the phase starts from where none is better; "
            "reports/*/metrics.json are then of that epoch, `best_epoch`.",
        ),
    ]
    monitor: Annotated[
        Literal["loss", "accuracy"],
        Field(
            description="What early stopping takes for better on validation: a lower loss, or a higher accuracy, and "
            "between equal ones the lower loss."
        ),
    ]
    ema: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Momentum of a moving average of the weights; 0 is off. Validation and result are those of "
            "the average: 0.99 averages over about the last 100 steps.",
        ),
    ]

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> Phase:
        for name, optimizer in (("momentum", "sgd"), ("weight_decay", "adamw")):
            value = getattr(self, name)
            if value and self.optimizer != optimizer:
                raise ValueError(
                    f"{name} = {value}: allowed with optimizer {self.optimizer} is 0, {optimizer} takes it"
                )
        if self.monitor != "loss" and not self.early_stopping:
            raise ValueError(f"monitor = {self.monitor}: allowed without early_stopping is loss, nothing looks at it")
        return self

    def _check_warmup(self, epochs: int, key: str) -> None:
        if self.warmup_epochs >= epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs}: must be less than {key}, which is {epochs}; 0 is no warm-up"
            )


class TrainFrozen(Phase):
    start: Annotated[
        Literal["zeros", "probe"],
        Field(description="What the head starts from: zeros, or the linear probe, which the photos give in seconds."),
    ]

    def beginning(self) -> dict[str, Any]:
        """The settings that the state after each epoch follows from: the same in a longer and in a shorter phase with a
        constant rate, whose warm-up is counted in epochs of its own. Where validation ends the phase follows from all
        the others."""
        return self.model_dump(exclude={"epochs"} if self.schedule == "constant" else None)

    @model_validator(mode="after")
    def _fits(self) -> TrainFrozen:
        self._check_warmup(self.epochs, "epochs")
        return self


class Step(Section):
    """A part of fine-tuning, from one layer on."""

    fine_tune_at: FirstLayer
    epochs: Annotated[Epochs, Field(description="Passes over the training photos.")]
    learning_rate: Annotated[LearningRate, Field(description="Step size at its highest.")]


class Finetune(Phase):
    fine_tune_at: FirstLayer
    layer_decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Factor of the learning rate from each stage of the backbone to the one below it; 1 is off. "
            "The head has all of it; stages end at the layers that model.boundary may be.",
        ),
    ]
    steps: Annotated[
        list[Step],
        Field(
            description="Gradual unfreezing, one step after the other, which then replaces fine_tune_at, epochs and "
            "learning_rate; fine_tune_at must not rise. Optimizer, schedule and patience begin anew with each. Empty"
            " is off.",
            json_schema_extra=in_words("a list of {fine_tune_at, epochs, learning_rate}"),
        ),
    ]
    stop_after: Annotated[
        int,
        Field(
            ge=0,
            description="End after so many of the epochs, with the weights and the history up to there; the schedule "
            "is that of all of them. 0 is off.",
        ),
    ]

    @property
    def plan(self) -> list[Step]:
        """The steps; without any, the phase as one."""
        whole = Step(fine_tune_at=self.fine_tune_at, epochs=self.epochs, learning_rate=self.learning_rate)
        return self.steps or [whole]

    def beginning(self, number: int) -> dict[str, Any]:
        """The settings that the state after each epoch of a step of the plan follows from: of the steps after it, of
        its own length and of stop_after only as much as the schedule does.

        Args:
            number: of the step, counted from 1.
        """
        steps = [step.model_dump() for step in self.plan[:number]]
        if self.schedule == "constant":
            del steps[-1]["epochs"]
        of_the_plan = ("fine_tune_at", "epochs", "learning_rate", "steps", "stop_after")
        return self.model_dump(exclude={*of_the_plan}) | {"steps": steps}

    @model_validator(mode="after")
    def _fits(self) -> Finetune:
        for number, step in enumerate(self.plan):
            self._check_warmup(step.epochs, f"steps.{number}.epochs" if self.steps else "epochs")
        if self.stop_after and self.steps:
            raise ValueError(f"stop_after = {self.stop_after}: allowed with steps is 0; give them fewer epochs")
        if self.stop_after > self.epochs:
            raise ValueError(
                f"stop_after = {self.stop_after}: must not be more than epochs, which is {self.epochs}; 0 is all"
            )
        for number, (before, after) in enumerate(pairwise(self.steps), start=1):
            if after.fine_tune_at > before.fine_tune_at:
                raise ValueError(
                    f"steps.{number}.fine_tune_at = {after.fine_tune_at}: must not be above that of the step before, "
                    f"{before.fine_tune_at}"
                )
        return self
