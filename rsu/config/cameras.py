"""Section `cameras`: where frames come from, how they are placed on the ground, what looks at them.

A camera is a `source` (a driver, discriminated by `driver:`), a `calibration` and a `detector`.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import Identifier, NonNegative, Options, Positive, Probability, misfit

Pixel = tuple[float, float]
GroundPoint = tuple[float, float]


class ReconnectOptions(Options):
    """Back-off between attempts to open a device again."""

    first_s: Positive = Field(0.5, description="First wait, s.")
    longest_s: Positive = Field(10.0, description="Longest wait, s; waits double up to it.")


class SourceOptions(Options):
    """What every frame source shares."""

    late_s: Positive = Field(
        1.0, description="No frame for this long, s: the camera is `late` (operations row 19)."
    )
    frozen_s: Positive = Field(
        3.0, description="Identical images for this long, s: `frozen` (operations row 20)."
    )
    black_level: NonNegative = Field(
        6.0, description="Mean grey level (0..255) below which a frame counts as black."
    )
    blur_level: NonNegative = Field(
        3.0, description="Sharpness below which a picture says nothing, levels (0: never). "
        "Rendered by day 33, in fog of 60 m 11 (at night 2); blurred by 10 px 1 to 5."
    )  # fmt: skip
    reconnect: ReconnectOptions = ReconnectOptions()


class FileSourceOptions(SourceOptions):
    """A video file, played at the pace of its own timestamps."""

    driver: Literal["file"]
    path: Path = Field(description="Video file, relative to the site file.")
    start_utc: str | None = Field(
        None,
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$",
        description="UTC of the first frame, RFC 3339. Live runs use the present, replay this "
        "(default 2025-01-01T00:00:00Z).",
    )
    loop: bool = Field(False, description="Start again at the end (live only).")


class ImagesSourceOptions(SourceOptions):
    """A folder of images with timestamps."""

    driver: Literal["images"]
    path: Path = Field(description="Folder, relative to the site file.")
    rate_hz: Positive | None = Field(
        None, description="Frames per second where neither file names nor timestamps.csv say it."
    )
    start_utc: str | None = Field(
        None, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$",
        description="UTC of the first image where names carry no absolute time.",
    )  # fmt: skip


class RtspSourceOptions(SourceOptions):
    """An RTSP stream; credentials come from a file, never from the URL."""

    driver: Literal["rtsp"]
    url: str = Field(pattern=r"^rtsps?://[^@\s]+$", description="rtsp:// URL without credentials.")
    credentials_file: Path | None = Field(
        None, description="File with `user:password` in one line, readable by the daemon only."
    )
    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout_s: Positive = Field(5.0, description="s.")


class V4l2SourceOptions(SourceOptions):
    """A local video device."""

    driver: Literal["v4l2"]
    device: str = Field("/dev/video0", pattern=r"^(/dev/\S+|\d+)$", description="Device or index.")
    width: int | None = Field(None, ge=16, le=7680, description="px.")
    height: int | None = Field(None, ge=16, le=4320, description="px.")
    rate_hz: Positive | None = Field(None, description="Requested frames per second.")
    fourcc: str | None = Field(None, pattern=r"^[A-Z0-9]{4}$", description="e.g. MJPG.")


class SimSourceOptions(SourceOptions):
    """A camera of the simulator."""

    driver: Literal["sim"]
    rate_hz: Positive = Field(10.0, description="Frames per second.")
    width: int = Field(640, ge=16, le=7680, description="px.")
    height: int = Field(384, ge=16, le=4320, description="px.")


CameraSource = Annotated[
    FileSourceOptions
    | ImagesSourceOptions
    | RtspSourceOptions
    | V4l2SourceOptions
    | SimSourceOptions,
    Field(discriminator="driver"),
]


class LensOptions(Options):
    """Pinhole intrinsics with OpenCV's distortion model."""

    fx: Positive = Field(description="Focal length along x, px.")
    fy: Positive = Field(description="Focal length along y, px.")
    cx: float = Field(description="Principal point x, px.")
    cy: float = Field(description="Principal point y, px.")
    distortion: tuple[float, ...] = Field(
        (), max_length=8, description="k1, k2, p1, p2[, k3[, k4, k5, k6]] as OpenCV orders them."
    )


class PoseOptions(Options):
    """Where the camera hangs and where it looks, in the site frame."""

    x: float = Field(description="East of the origin, m.")
    y: float = Field(description="North of the origin, m.")
    z: float = Field(gt=0.0, description="Height above the road plane, m.")
    heading: float = Field(
        ge=0.0, lt=360.0, description="Optical axis, degrees clockwise from north."
    )
    tilt: float = Field(
        gt=-90.0, lt=90.0, description="Optical axis below the horizon, degrees (positive: down)."
    )
    roll: float = Field(
        0.0, ge=-180.0, le=180.0, description="Rotation about the axis, degrees clockwise."
    )


class CalibrationNoise(Options):
    """How well the calibration itself is known (1 σ)."""

    pixel: NonNegative = Field(
        2.0, description="Noise of a box's foot point, px at the image's own resolution."
    )
    angle: NonNegative = Field(0.1, description="Heading, tilt and roll, degrees.")
    position: NonNegative = Field(0.05, description="Camera position, m.")
    ground: NonNegative = Field(0.1, description="Surveyed ground points / road plane, m.")


class PoseCalibration(Options):
    """Full calibration: lens and pose."""

    kind: Literal["pose"]
    image_width: int = Field(gt=0, description="px of the image the lens values are for.")
    image_height: int = Field(gt=0, description="px.")
    lens: LensOptions
    pose: PoseOptions
    noise: CalibrationNoise = CalibrationNoise()


class GroundPair(Options):
    """One surveyed point: where it lies in the image and on the road."""

    image: Pixel = Field(description="x, y in px.")
    ground: GroundPoint = Field(description="east, north in m.")


class HomographyCalibration(Options):
    """Plane-to-plane mapping from at least four surveyed points."""

    kind: Literal["homography"]
    image_width: int = Field(gt=0, description="px of the image the points were taken in.")
    image_height: int = Field(gt=0, description="px.")
    points: tuple[GroundPair, ...] = Field(min_length=4, max_length=64)
    noise: CalibrationNoise = CalibrationNoise()


class RotationCalibration(Options):
    """Full calibration as a 3×4 extrinsic matrix, for calibrations made by other tools."""

    kind: Literal["matrix"]
    image_width: int = Field(gt=0, description="px.")
    image_height: int = Field(gt=0, description="px.")
    lens: LensOptions
    extrinsic: tuple[
        tuple[float, float, float, float],
        tuple[float, float, float, float],
        tuple[float, float, float, float],
    ] = Field(description="Site frame (m) → camera frame (x right, y down, z forward): [R | t].")
    noise: CalibrationNoise = CalibrationNoise()


Calibration = Annotated[
    PoseCalibration | HomographyCalibration | RotationCalibration, Field(discriminator="kind")
]


class Region(Options):
    """A part of the image that is given to the detector as a crop of its own."""

    left: float = Field(ge=0.0, description="px.")
    top: float = Field(ge=0.0, description="px.")
    width: float = Field(gt=0.0, description="px.")
    height: float = Field(gt=0.0, description="px.")


class OnnxDetectorOptions(Options):
    """An ONNX model with its card."""

    driver: Literal["onnx"]
    model: str = Field(
        description="Name of a model known to `rsu models list`, or path to an .onnx file that "
        "has its card (.yaml) beside it."
    )
    providers: tuple[str, ...] = Field(
        ("CPUExecutionProvider",), min_length=1, description="onnxruntime execution providers."
    )
    threads: int = Field(1, ge=1, le=64, description="Intra-op threads; 1 per camera by default.")
    score_threshold: Probability | None = Field(None, description="Overrides the card's threshold.")
    classes_from: Literal["label", "size"] = Field(
        "label", description="label: the model's classes as the card maps them. size: a view the "
        "model was not made for, its classes mean nothing; every box is an unknown object that "
        "only its size on the ground may name (docs/perception.md)."
    )  # fmt: skip


class MotionDetectorOptions(Options):
    """Background subtraction for fixed cameras where no model fits."""

    driver: Literal["motion"]
    history: int = Field(300, ge=10, le=100_000, description="Frames the background remembers.")
    variance_threshold: Positive = Field(25.0, description="Squared Mahalanobis distance.")
    min_area: Positive = Field(150.0, description="Smallest blob, px² at full resolution.")
    warm_up: int = Field(25, ge=0, description="Frames before the first detection is believed.")
    max_cover: Probability = Field(
        0.5, description="Share of the image in motion above which a frame says nothing (light)."
    )


class ModelledDetectorOptions(Options):
    """No pixels: the simulator hands over detections with modelled noise, misses and clutter."""

    driver: Literal["modelled"]


Detector = Annotated[
    OnnxDetectorOptions | MotionDetectorOptions | ModelledDetectorOptions,
    Field(discriminator="driver"),
]


class PreviewOptions(Options):
    """Small masked pictures for the dashboard (docs/privacy.md)."""

    rate_hz: float = Field(2.0, ge=0.0, le=2.0, description="Pictures per second; 0: none.")
    width: int = Field(
        640, ge=160, le=640, description="px. Wider could show what masking overlooked."
    )
    quality: int = Field(70, ge=20, le=90, description="JPEG quality.")


class CameraOptions(Options):
    """One camera with its detector and its place in the world."""

    id: Identifier
    source: CameraSource
    calibration: Calibration
    detector: Detector
    regions: tuple[Region, ...] = Field(
        (), max_length=16, description="Crops for the detector; none: the whole image."
    )
    max_range: Positive = Field(
        120.0, description="Objects farther from the camera than this, m, are rejected."
    )
    classes: tuple[str, ...] = Field(
        (), description="Only these of our classes occur here and are published; none: all."
    )
    preview: PreviewOptions = PreviewOptions()

    @model_validator(mode="after")
    def _regions_inside(self) -> Self:
        width, height = self.calibration.image_width, self.calibration.image_height
        for index, region in enumerate(self.regions):
            if region.left + region.width > width or region.top + region.height > height:
                raise misfit(f"reaches outside the {width}×{height} px image", "regions", index)
        return self
