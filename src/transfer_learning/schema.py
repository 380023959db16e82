"""The settings as a schema: every section of params.yaml, with types, ranges, and what must fit what."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from transfer_learning.backbones import BACKBONES

Fraction = Annotated[float, Field(gt=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern="^[^/:\\\\]+$")]  # of an experiment and a registered model in MLflow
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


def _without_password(url: str | None) -> str | None:
    if url and urlsplit(url).username is not None:
        raise ValueError(
            "holds a user name or password, and params.yaml is in git: put the file into the mirror folder"
        )
    return url


Url = Annotated[str | None, AfterValidator(_without_password)]


class Section(BaseModel):
    """Exact types (no "10" for 10), no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ArchiveData(Section):
    name: Name
    kind: Literal["archive"]
    archive: Annotated[str, Field(min_length=1)]
    url: Url
    digest: Digest
    max_unpacked_mb: Count
    watch: str


class FolderData(Section):
    name: Name
    kind: Literal["folder"]
    path: Annotated[str, Field(min_length=1), AfterValidator(_without_password)]
    copy_photos: bool
    skip_broken: bool
    digest: Digest
    max_files: Annotated[int, Field(ge=1, le=10_000_000)]
    max_unpacked_mb: Count
    watch: str


class DrawnData(Section):
    name: Name
    kind: Literal["drawn"]
    classes: Annotated[int, Field(ge=2, le=10)]
    photos_per_class: Annotated[int, Field(ge=4, le=100_000)]
    size: Annotated[int, Field(ge=16, le=1024)]
    seed: Seed
    watch: str


class Augment(Section):
    flip: bool
    vertical_flip: bool
    rotation: Annotated[float, Field(ge=0, le=0.5)]
    zoom: Annotated[float, Field(ge=0, le=0.9)]
    translation: Annotated[float, Field(ge=0, le=0.5)]
    crop: Annotated[float, Field(ge=0, le=0.95)]
    crop_aspect: Annotated[float, Field(ge=1, le=2)]
    brightness: Annotated[float, Field(ge=0, le=1)]
    contrast: Annotated[float, Field(ge=0, le=1)]
    saturation: Annotated[float, Field(ge=0, le=1)]
    hue: Annotated[float, Field(ge=0, le=0.5)]


class Model(Section):
    name: str
    alpha: float
    weights: str
    pretrained_resolution: int | None
    url: Url
    weights_digest: Annotated[str, Field(pattern="^(published|[0-9a-f]{64})$")] | None
    boundary: str
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise PydanticCustomError("not_allowed", "allowed are " + ", ".join(map(repr, BACKBONES)))
        return name

    @field_validator("alpha", "weights", "pretrained_resolution", "boundary")
    @classmethod
    def _of_this_backbone(cls, value: Any, info: ValidationInfo) -> Any:
        key, given = str(info.field_name), info.data | {str(info.field_name): value}
        if "name" not in given or "alpha" not in given:
            return value  # the one that is missing is what is wrong
        name, alpha = given["name"], given["alpha"]
        allowed = BACKBONES[name].allowed(key, alpha)
        if value not in allowed:
            of = f"{name} with alpha {alpha}" if key == "pretrained_resolution" else name
            choices = ", ".join("null" if choice is None else str(choice) for choice in allowed)
            raise PydanticCustomError("not_allowed", f"allowed for {of} are {choices}")
        return value


class Images(Section):
    size: Annotated[int, Field(ge=32, le=1024)]
    max_megapixels: Annotated[int, Field(ge=1, le=1000)]


class Split(Section):
    test_fraction: Fraction
    validation_fraction: Fraction
    fraction: Annotated[float, Field(gt=0, le=1)]


class Features(Section):
    views: Annotated[int, Field(ge=1, le=1000)]


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


class Evaluate(Section):
    threshold: Fraction
    confidence: Fraction
    calibration_bins: Annotated[int, Field(ge=2, le=100)]


class Guarded(Section):
    better: Literal["higher", "lower"]
    tolerance: Annotated[float, Field(ge=0)]


class Gate(Section):
    accuracy_tolerance: Annotated[float, Field(ge=0, lt=1)]
    significance: Fraction
    metrics: dict[Annotated[str, Field(pattern="^(frozen|finetune|test)/[a-z0-9_]+$")], Guarded]


class Runtime(Section):
    threads: Annotated[int, Field(ge=0, le=1024)]


class Settings(Section):
    """The whole of params.yaml; conf/ explains each key."""

    seed: Seed
    data: Annotated[ArchiveData | FolderData | DrawnData, Field(discriminator="kind")]
    augment: Augment
    model: Model
    images: Images
    split: Split
    features: Features
    train_frozen: TrainFrozen
    finetune: Finetune
    evaluate: Evaluate
    gate: Gate
    runtime: Runtime

    @model_validator(mode="after")
    def _fit_each_other(self) -> Settings:
        backbone = BACKBONES[self.model.name]
        steps = {f"steps.{number}.": step.fine_tune_at for number, step in enumerate(self.finetune.steps)}
        for place, at in {"": self.finetune.fine_tune_at, **steps}.items():
            if at > backbone.layers:
                raise ValueError(
                    f"finetune.{place}fine_tune_at = {at}: allowed are 0 to {backbone.layers}, "
                    f"the layers of {self.model.name}"
                )
        if self.finetune.layer_decay != 1 and self.finetune.plan[-1].fine_tune_at == backbone.layers:
            raise ValueError(
                f"finetune.layer_decay = {self.finetune.layer_decay}: allowed is 1 where the head alone is trained"
            )
        return self
