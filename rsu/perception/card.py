"""The model card: a YAML file beside an ONNX file that says how to feed it and what it answers.

An ONNX file names its tensors but not its colours, padding, scaling, classes or licence; guessing
one of them wrongly gives a detector that runs and sees nothing. The card states them all, names
the file's sha256 so that a swapped model is noticed, and maps the model's classes to ours. Flows
in: a card file, or the facts given to `rsu models add`. Flows out: a checked `ModelCard`.
"""

from __future__ import annotations

import hashlib
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import YAMLError

from rsu.config.base import Options, Probability
from rsu.perception.errors import ModelError
from rsu.schema.sensing import ObjectClass

HeadName = Literal["yolox", "yolov8", "rtdetr"]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

# A card is a page of text; a file far beyond it is not one (an ONNX file given by mistake).
_LARGEST_CARD = 1_000_000


class InputCard(Options):
    """How the image goes in. Pixel → tensor: (value × scale − mean) / std, per channel."""

    name: str = Field(min_length=1, description="Name of the image input.")
    width: int = Field(ge=32, le=4096, description="px.")
    height: int = Field(ge=32, le=4096, description="px.")
    layout: Literal["nchw", "nhwc"] = "nchw"
    channels: Literal["bgr", "rgb"] = Field(description="Order of the colour channels.")
    scale: float = Field(gt=0.0, description="Applied to 0..255: 1 keeps it, 0.00392156862745098 "
                         "(1/255) gives 0..1.")  # fmt: skip
    mean: tuple[float, float, float] = Field((0.0, 0.0, 0.0), description="In channel order.")
    std: tuple[
        Annotated[float, Field(gt=0.0)],
        Annotated[float, Field(gt=0.0)],
        Annotated[float, Field(gt=0.0)],
    ] = Field((1.0, 1.0, 1.0), description="In channel order.")
    letterbox: Literal["top-left", "centre", "stretch"] = Field(
        description="Where the image lies in the input: padded right and below, padded on both "
        "sides, or stretched without padding."
    )
    fill: int = Field(114, ge=0, le=255, description="Grey level of the padding.")


class ModelCard(Options):
    """Everything about one model that its ONNX file does not say."""

    name: ModelName
    head: HeadName = Field(description="How the output is laid out.")
    input: InputCard
    classes: tuple[str, ...] = Field(
        min_length=1, max_length=10_000, description="The model's classes in its own order."
    )
    map: dict[str, ObjectClass] = Field(
        min_length=1, description="The model's class → ours; classes not named here are unmapped."
    )
    whitelist: tuple[ObjectClass, ...] = Field(
        (), description="Of our classes, only these are believed from this model; none: all."
    )
    score: Probability = Field(0.3, description="Detections below this score are dropped.")
    iou: Probability = Field(0.45, description="NMS: overlap from which two boxes are one object.")
    licence: str = Field(min_length=1, description="SPDX identifier of the weights' licence.")
    source: str = Field("", description="Where the model comes from, in words.")
    training_data: str = Field("", description="What it was trained on, in words.")
    measured: str = Field("", description="Accuracy and on what it was measured, in words.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Of the ONNX file."
    )

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        doubled = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if doubled:
            raise ValueError(f"classes: named twice: {', '.join(doubled)}")
        foreign = sorted(set(self.map) - set(self.classes))
        if foreign:
            raise ValueError(f"map: not among the model's classes: {', '.join(foreign)}")
        return self


def load_card(path: Path) -> ModelCard:
    """Read and check a card; raises ModelError naming the file and every wrong field."""
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise ModelError(f"{path}: too large for a model card", "name the .yaml, not the .onnx")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}", "check the path") from error
    try:
        values = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        message = " ".join(str(error).split())
        raise ModelError(f"{path}: not YAML: {message}", "correct the card") from error
    return card_from(values, str(path))


def card_from(values: Any, where: str) -> ModelCard:
    """A checked card from plain values; `where` opens the error's lines."""
    if not isinstance(values, dict):
        raise ModelError(f"{where}: a card is a mapping of fields", "see docs/perception.md")
    try:
        return ModelCard.model_validate(values)
    except ValidationError as error:
        lines = [
            f"{where}: {'.'.join(str(part) for part in item['loc']) or 'card'}: {item['msg']}"
            for item in error.errors()
        ]
        raise ModelError("\n".join(lines), "correct the card") from error


def card_text(card: ModelCard) -> str:
    """The card as YAML in its declared order, defaults included: a card should read complete."""
    values = card.model_dump(mode="json")
    for holder in (values, values["input"]):
        for key, value in holder.items():
            if isinstance(value, list):
                holder[key] = CommentedSeq(value)
                holder[key].fa.set_flow_style()
    out = StringIO()
    yaml = YAML()
    yaml.width = 96
    yaml.dump(values, out)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as hex; raises ModelError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error}", "check the path") from error
