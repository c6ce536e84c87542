"""Section `fusion`: how detections become tracks. Defaults are explained in docs/fusion.md."""

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive, Probability
from rsu.schema.sensing import ObjectClass


class MotionOptions(Options):
    """How a class of road users moves at this site, where it is unlike elsewhere."""

    first_speed_std: Positive | None = Field(
        None, description="1 σ of the speed of one seen for the first time, m/s (a car: 10; on a "
        "motorway 15 to 20)."
    )  # fmt: skip
    acceleration: Positive | None = Field(
        None, description="1 σ of the change of velocity within a second, m/s (a car: 1.4)."
    )


class FusionOptions(Options):
    """Filter, gate and existence parameters."""

    gate_probability: Probability = Field(
        0.997, description="Share of true measurements the Mahalanobis gate lets in (χ², 2 dof)."
    )
    buffer_s: NonNegative = Field(
        0.2, le=2.0, description="Out-of-sequence window, s: measurements are applied in capture "
        "order within it."
    )  # fmt: skip
    confirm_probability: Probability = Field(
        0.9, description="Existence at which a track is published."
    )
    delete_probability: Probability = Field(0.05, description="Existence at which it is deleted.")
    birth_probability: Probability = Field(
        0.2, description="Existence of a track born from one detection of score 1."
    )
    detection_probability: float = Field(
        0.5, gt=0.0, lt=1.0, description="Chance that one look of a sensor finds an object it "
        "was seeing; far objects flicker, so this is a low guess."
    )  # fmt: skip
    clutter_density: Positive = Field(
        1e-3, description="False detections per look and m²: 1 on a junction of 1000 m²."
    )
    survival_s: Positive = Field(
        3.0, description="Mean life of an unseen object, s: existence decays with it."
    )
    coast_s: Positive = Field(1.5, description="Longest time without a measurement, s.")
    hidden_s: Positive = Field(
        6.0,
        description="Longest time without a measurement while something nearer to the camera "
        "hides it, s: a bus that passes at walking speed. Never less than `coast_s`.",
    )
    motion: dict[ObjectClass, MotionOptions] = Field(
        {}, description="By class, what differs from how it moves elsewhere."
    )
    max_tracks: int = Field(512, ge=1, le=10_000, description="Bound on live tracks.")
    publish_hz: Positive = Field(
        30.0,
        description="Highest publishing rate, Hz; publishing follows the evidence. Above "
        "the sum of usual camera rates, so that a camera is not aliased.",
    )
