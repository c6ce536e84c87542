"""The 80 classes of the COCO detection task in their usual order, and what they are to us.

Almost every public detector is trained on COCO (Lin et al. 2014), so a card for one of them can be
made without asking for its classes.
"""

from __future__ import annotations

from rsu.schema.sensing import ObjectClass

COCO_CLASSES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

COCO_MAP: dict[str, ObjectClass] = {
    "person": ObjectClass.PEDESTRIAN,
    "bicycle": ObjectClass.BICYCLE,
    "motorcycle": ObjectClass.MOTORCYCLE,
    "car": ObjectClass.CAR,
    "bus": ObjectClass.BUS,
    "truck": ObjectClass.TRUCK,
    "cat": ObjectClass.ANIMAL,
    "dog": ObjectClass.ANIMAL,
    "horse": ObjectClass.ANIMAL,
    "sheep": ObjectClass.ANIMAL,
    "cow": ObjectClass.ANIMAL,
    "bear": ObjectClass.ANIMAL,
}
"""Birds and the animals of a zoo are left out: on a road they are other things mistaken."""
