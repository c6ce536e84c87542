"""The ONNX detector: a self-tested onnxruntime session between a letterbox and a head.

Loading checks, in this order, what can be wrong: the card, the file's sha256, the execution
providers, the graph, its inputs, and with a dry run its outputs. Each failure is a ModelError that
says what to do next. Per frame: every region of interest goes through the model as its own image,
boxes are mapped back and merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from rsu.config.cameras import OnnxDetectorOptions, Region
from rsu.perception.card import InputCard, ModelCard, file_sha256, load_card
from rsu.perception.errors import ModelError
from rsu.perception.heads import Floats, make_head
from rsu.perception.letterbox import prepare
from rsu.perception.nms import CLASS_ORDER, UNKNOWN_INDEX, suppress
from rsu.perception.regions import crops
from rsu.perception.registry import ModelFiles
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import Box

# Second input of the RT-DETR exports that scale boxes themselves: (width, height), int64.
_TARGET_SIZE = "orig_target_sizes"

_FATAL_ONLY = 4  # onnxruntime's log level: what matters comes to us as an exception


class OnnxDetector:
    """One model for one camera. Stateless: one session may serve several threads at once."""

    stateless = True

    def __init__(
        self, files: ModelFiles, options: OnnxDetectorOptions, reference: tuple[int, int]
    ) -> None:
        self.card = load_card(files.card)
        self._reference = reference
        wanted = self.card.score if options.score_threshold is None else options.score_threshold
        # As the model's own numbers are: what passes here passes everywhere.
        self.threshold = float(np.float32(wanted))
        self._where = str(files.onnx)
        found = file_sha256(files.onnx)
        if found != self.card.sha256:
            raise ModelError(
                f"{files.onnx}: sha256 {found} is not the {self.card.sha256} that {files.card} "
                "was written for",
                "the file is damaged or another model: get the right one, or make a new card "
                f"with `rsu models add {files.onnx}`",
            )
        self._session = _open(self._where, options)
        self._head = make_head(self.card)
        self._to_class = _class_table(self.card, believed=options.classes_from == "label")
        self.names = frozenset(CLASS_ORDER[i] for i in self._to_class.tolist() if i >= 0)
        self._check_inputs()
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._dry_run()

    def detect(
        self, image: npt.NDArray[np.uint8], regions: Sequence[Region]
    ) -> tuple[ImageDetection, ...]:
        """Objects in a BGR image (H, W, 3), best first, boxes in the full image's pixels."""
        return self.detect_down_to(image, regions, self.threshold)

    def detect_down_to(
        self, image: npt.NDArray[np.uint8], regions: Sequence[Region], least: float
    ) -> tuple[ImageDetection, ...]:
        """The same down to a score of `least`: more boxes follow, none before them changes, since
        a box is only ever suppressed by a better one."""
        height, width = image.shape[:2]
        parts = [
            self._look(image[top:bottom, left:right], left, top, number, least)
            for number, (left, top, right, bottom) in enumerate(
                crops(regions, self._reference, width, height)
            )
        ]
        boxes, scores, classes, crop = (
            np.concatenate(columns) for columns in zip(*parts, strict=True)
        )
        kept = suppress(boxes, scores, classes, crop, self.card.iou)
        return tuple(
            ImageDetection(
                object_class=CLASS_ORDER[classes[i]],
                score=float(scores[i]),
                box=_box(boxes[i]),
            )
            for i in kept
        )

    def _look(
        self, image: npt.NDArray[np.uint8], left: int, top: int, number: int, least: float
    ) -> tuple[
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
    ]:
        """One crop through the model: boxes in full-image pixels, scores, our classes, crop."""
        tensor, placement = prepare(image, self.card.input)
        found = self._head.decode(self._run(tensor), least)
        classes = self._to_class[found.labels]
        boxes = placement.to_image(found.boxes)
        # Also drops what a broken model may emit: NaN compares false.
        usable = (
            (classes >= 0)
            & (found.scores <= 1.0)
            & (boxes[:, 2] - boxes[:, 0] >= 1.0)
            & (boxes[:, 3] - boxes[:, 1] >= 1.0)
        )
        boxes, classes = boxes[usable], classes[usable]
        boxes += np.array([left, top, left, top])
        scores = found.scores[usable].astype(np.float64)
        return boxes, scores, classes, np.full(len(boxes), number, dtype=np.int64)

    def _run(self, tensor: Floats) -> Mapping[str, Floats]:
        feed: dict[str, npt.NDArray[np.generic]] = {self.card.input.name: tensor}
        if self._needs_size:
            size = (self.card.input.width, self.card.input.height)
            feed[_TARGET_SIZE] = np.array([size], dtype=np.int64)
        return dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))

    def _check_inputs(self) -> None:
        card, where = self.card.input, self._where
        inputs = {item.name: item for item in self._session.get_inputs()}
        self._needs_size = _TARGET_SIZE in inputs
        others = sorted(set(inputs) - {card.name, _TARGET_SIZE})
        if card.name not in inputs or others:
            raise ModelError(
                f"{where}: inputs are {', '.join(sorted(inputs))}, the card's input.name is "
                f"{card.name}",
                "correct input.name in the card",
            )
        item = inputs[card.name]
        if item.type != "tensor(float)":
            raise ModelError(
                f"{where}: input {item.name} is {item.type}, not float32",
                "export the model with float32 input (its inside may be quantised)",
            )
        wanted = _input_shape(card)
        # Symbolic dimensions (text or None) take any size.
        fits = len(item.shape) == 4 and all(
            not isinstance(have, int) or have == want
            for have, want in zip(item.shape, wanted, strict=True)
        )
        if not fits:
            raise ModelError(
                f"{where}: input {item.name} is {item.shape}, the card says {list(wanted)} "
                f"({card.layout})",
                "correct input.width, height or layout in the card",
            )

    def _dry_run(self) -> None:
        """One run on grey: the graph executes, its outputs fit the head, its numbers are finite."""
        grey = np.full((self.card.input.height, self.card.input.width, 3), 114, dtype=np.uint8)
        tensor, _ = prepare(grey, self.card.input)
        try:
            outputs = self._run(tensor)
        except Exception as error:  # onnxruntime's own classes, all directly below Exception
            raise ModelError(
                f"{self._where}: the model does not run: {_first_line(error)}",
                "export it again for onnxruntime",
            ) from error
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise ModelError(
                    f"{self._where}: output {name} is not finite on a grey image",
                    "check scale, mean and std in the card, or export the model again",
                )
        problem = self._head.misfit(outputs)
        if problem is not None:
            raise ModelError(
                f"{self._where}: {problem}",
                "correct head, input size or classes in the card, or take the model's own card",
            )


def _open(where: str, options: OnnxDetectorOptions) -> ort.InferenceSession:
    """A session that uses exactly the threads it was given and leaves the others' cores alone."""
    available = ort.get_available_providers()
    missing = [name for name in options.providers if name not in available]
    if missing:
        raise ModelError(
            f"execution provider {', '.join(missing)} is not in this onnxruntime",
            f"available: {', '.join(available)}; install another build or change `providers`",
        )
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.log_severity_level = _FATAL_ONLY
    # Spinning threads win microseconds and burn a core that another camera needs.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(where, settings, providers=list(options.providers))
    except Exception as error:  # onnxruntime's own classes, all directly below Exception
        raise ModelError(
            f"{where}: onnxruntime cannot load it: {_first_line(error)}",
            "the file is damaged, no ONNX model, or needs a newer onnxruntime",
        ) from error


def image_input(onnx: Path) -> tuple[str, int, int, Literal["nchw", "nhwc"]]:
    """(name, width, height, layout) of a model's image input, for making its card.

    Raises ModelError when the model does not state a fixed size.
    """
    session = _open(str(onnx), OnnxDetectorOptions(driver="onnx", model=onnx.stem))
    for item in session.get_inputs():
        shape = item.shape
        if len(shape) != 4 or item.name == _TARGET_SIZE:
            continue
        if shape[1] == 3 and isinstance(shape[2], int) and isinstance(shape[3], int):
            return item.name, shape[3], shape[2], "nchw"
        if shape[3] == 3 and isinstance(shape[1], int) and isinstance(shape[2], int):
            return item.name, shape[2], shape[1], "nhwc"
    stated = ", ".join(f"{item.name} {item.shape}" for item in session.get_inputs())
    raise ModelError(
        f"{onnx}: no image input of fixed size among: {stated}",
        "export it with a fixed size, or write its card by hand and give --card",
    )


def _class_table(card: ModelCard, *, believed: bool) -> npt.NDArray[np.int64]:
    """The model's class index → index into CLASS_ORDER, or −1: dropped.

    A model whose classes are not believed here gives unknown objects only.
    """
    if not believed:
        return np.full(len(card.classes), UNKNOWN_INDEX, dtype=np.int64)
    wanted = set(card.whitelist or ObjectClass)
    table = np.full(len(card.classes), -1, dtype=np.int64)
    for index, name in enumerate(card.classes):
        ours = card.map.get(name)
        if ours is not None:
            table[index] = CLASS_ORDER.index(ours) if ours in wanted else -1
    return table


def _input_shape(card: InputCard) -> tuple[int, int, int, int]:
    if card.layout == "nchw":
        return (1, 3, card.height, card.width)
    return (1, card.height, card.width, 3)


def _box(corners: npt.NDArray[np.float64]) -> Box:
    left, top, right, bottom = corners.tolist()
    return Box(left, top, right - left, bottom - top)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
