"""The settings as a schema: every section of params.yaml, with types, ranges, and what must fit what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from transfer_learning.settings.backbones import BACKBONES
from transfer_learning.settings.data import ArchiveData, Augment, DrawnData, FolderData, Images, Split
from transfer_learning.settings.fields import Fraction, Section, Seed, Url, in_words
from transfer_learning.settings.phases import Finetune, TrainFrozen


class Model(Section):
    name: Annotated[
        str,
        Field(description="The backbone, an architecture of Keras.", json_schema_extra={"enum": [*BACKBONES]}),
    ]
    alpha: Annotated[
        float,
        Field(
            description="Width multiplier, one file of weights each.",
            json_schema_extra=in_words("a number that the network has, see conf/model"),
        ),
    ]
    weights: Annotated[
        str,
        Field(
            description="random: nothing is downloaded, and the network knows nothing.",
            json_schema_extra={"enum": ["imagenet", "random"]},
        ),
    ]
    pretrained_resolution: Annotated[
        int | None,
        Field(
            description="Resolution in pixels that the ImageNet weights were trained at, one file each; need not be "
            "images.size.",
            json_schema_extra=in_words("what the network has, see conf/model: a whole number or null"),
        ),
    ]
    url: Annotated[Url, Field(description="Folder that the weights file is fetched from when the mirror lacks it.")]
    weights_digest: Annotated[
        Annotated[
            str,
            Field(
                pattern="^(published|[0-9a-f]{64})$",
                json_schema_extra=in_words("published, 64 hexadecimal digits"),
            ),
        ]
        | None,
        Field(
            description="published: checked against the hash that Keras lists for the file. Or a sha256 over all "
            "arrays in order of layers as little-endian float32; null accepts any weights that fit."
        ),
    ]
    boundary: Annotated[
        str,
        Field(
            description="The last layer that no phase trains: featurize stores its activations.",
            json_schema_extra=in_words("a layer that the network has, see conf/model"),
        ),
    ]
    dropout: Annotated[
        float,
        Field(ge=0, lt=1, description="Share of the pooled features that is dropped while the head trains."),
    ]

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise PydanticCustomError("unknown", "unknown backbone")
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


class Features(Section):
    views: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Augmented copies of each training photo, computed once. Epoch e of a phase trains on copy e"
            " modulo views.",
        ),
    ]


class Evaluate(Section):
    threshold: Annotated[
        Fraction,
        Field(
            description="Of two classes: photos whose probability of the second class is at least this are predicted"
            " as the second class. The model keeps it. Of more classes the most probable one is predicted."
        ),
    ]
    temperature_scaling: Annotated[
        bool,
        Field(
            description="Divide the logits by the temperature that makes the labels of the validation photos the most"
            " probable (Guo et al. 2017). The model keeps it: all its probabilities, and threshold and reject_below,"
            " are the calibrated ones. The most probable class stays what it was."
        ),
    ]
    reject_below: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Predictions with a lower probability of the predicted class are unsure: marked by predict,"
            " when served and in the report, with the share of such test photos and the accuracy of the others in the"
            " metrics. The model keeps it. 0 is off, and so is, at threshold 0.5, all up to 1 / classes.",
        ),
    ]
    confidence: Annotated[Fraction, Field(description="Level of the Wilson interval around the test accuracy.")]
    calibration_bins: Annotated[
        int,
        Field(ge=2, le=100, description="Equally wide bins of the calibration error and the reliability diagram."),
    ]


class Guarded(Section):
    better: Annotated[Literal["higher", "lower"], Field(description="Which way the metric is better.")]
    tolerance: Annotated[float, Field(ge=0, description="How much worse the metric may be.")]


class Gate(Section):
    accuracy_tolerance: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="A model is worse when its accuracy on the same photos is lower by more than this, unless "
            "equal models would differ so much in more than `significance` of all cases.",
        ),
    ]
    significance: Annotated[
        Fraction,
        Field(
            description="In which share of all cases the gate may call one of two equal models worse, by all guarded"
            " metrics together. An accuracy lower by less than the tolerance counts, too, where chance does so in less"
            " than half of this."
        ),
    ]
    metrics: Annotated[
        dict[Annotated[str, Field(pattern="^(frozen|finetune|test)/[a-z0-9_]+$")], Guarded],
        Field(
            description="Further metrics of reports/, which CI guards: when they are worse by more than their "
            "tolerance and, where predictions give them photo by photo, than chance. The names have a slash, so they "
            "are edited in conf/config.yaml and cannot be given with -S.",
            json_schema_extra=in_words("metrics of frozen/, finetune/ and test/, each with better and tolerance"),
        ),
    ]


class Runtime(Section):
    threads: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="Operations that TensorFlow computes side by side; 0 takes one per core that the process may"
            " use. No byte of a result depends on it, and no stage runs again for it.",
        ),
    ]


class Settings(Section):
    """The whole of params.yaml. README's table, conf/'s comments and conf/schema.json are written from it."""

    seed: Annotated[
        Seed,
        Field(
            description="Everything drawn at random (test photos, views, shuffling, dropout, the new head) follows "
            "from this."
        ),
    ]
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


@cache
def as_json() -> dict[str, Any]:
    """The JSON schema of params.yaml."""
    return Settings.model_json_schema()


def at(path: Sequence[str], kind: str | None = None) -> dict[str, Any]:
    """The JSON schema of one setting or section.

    Args:
        path: names of sections and the key; a number for an item of a list.
        kind: that of `data`, whose keys depend on it.

    Returns:
        type, range, description; empty where there is no such setting.
    """
    here: dict[str, Any] = as_json()
    for name in path:
        by_pattern: list[dict[str, Any]] = [*here.get("patternProperties", {}).values()]
        here = here.get("properties", {}).get(name) or here.get("items") or (by_pattern or [{}])[0]
        if "discriminator" in here:
            here = {"$ref": here["discriminator"]["mapping"].get(kind, "")}
        here = as_json()["$defs"].get(here.get("$ref", "").rpartition("/")[2], {}) | here
    return here
