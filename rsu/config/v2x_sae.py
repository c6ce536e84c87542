"""Section `v2x.sae`: the messages of SAE J2735.

PSIDs: facts sae.md 4.1. Priorities follow the Chinese ones message by message: no public source
states a roadside unit's (sae.md §7), and the order is what matters.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import Options, misfit
from rsu.config.v2x_messages import (
    AnswerMessageOptions,
    CorrectionMessageOptions,
    EventMessageOptions,
    SignalMessageOptions,
    StandingMessageOptions,
    TrackMessageOptions,
)

PSID_MAX = 0x1020407F
_UNASSIGNED = 0


class SaeSdsmOptions(TrackMessageOptions):
    """Sensor data sharing message."""

    enabled: bool = True
    aid: int = Field(0x90, ge=0, le=PSID_MAX)
    priority: int = Field(208, ge=0, le=255)


class SaePsmOptions(TrackMessageOptions):
    """Personal safety message on behalf of people on foot and bicycle, one each."""

    aid: int = Field(0x27, ge=0, le=PSID_MAX)
    priority: int = Field(208, ge=0, le=255)
    rate_hz: float = Field(1.0, gt=0, le=10.0, description="For each person, Hz (sae.md §6: 1 s).")
    max_frames: int = Field(16, ge=1, le=64, description="People in one cycle; others take turns.")


class SaeSpatOptions(SignalMessageOptions):
    """Signal phase and timing; nothing is said before a controller has spoken."""

    enabled: bool = True
    aid: int = Field(0x82, ge=0, le=PSID_MAX)
    priority: int = Field(176, ge=0, le=255)


class SaeMapOptions(StandingMessageOptions):
    """The site's lanes."""

    aid: int = Field(
        0x204097, ge=0, le=PSID_MAX, description="Connected intersections guide; others use 0x82."
    )
    priority: int = Field(16, ge=0, le=255)


class SaeTimOptions(EventMessageOptions):
    """Traveller information: events and signs that have an ITIS code."""

    enabled: bool = True
    aid: int = Field(0x83, ge=0, le=PSID_MAX)
    priority: int = Field(112, ge=0, le=255)


class SaeRsmOptions(EventMessageOptions):
    """Road safety message: events that have a cause code."""

    operator: str = Field(
        "",
        pattern=r"^$|^[0-9]+(\.[0-9]+)+$",
        description="Object identifier of the road operator, e.g. 1.3.6.1.4.1.99999.",
    )
    aid: int = Field(_UNASSIGNED, ge=0, le=PSID_MAX)
    priority: int = Field(112, ge=0, le=255)


class SaeSsmOptions(AnswerMessageOptions):
    """Signal status: what became of requests for priority."""

    enabled: bool = True
    aid: int = Field(0x82, ge=0, le=PSID_MAX)
    priority: int = Field(176, ge=0, le=255)
    max_evidence_age_s: float = Field(2.0, gt=0, description="A state older than this ends it, s.")


class SaeRtcmOptions(CorrectionMessageOptions):
    """GNSS corrections."""

    enabled: bool = True
    aid: int = Field(0x80, ge=0, le=PSID_MAX)
    priority: int = Field(80, ge=0, le=255)


class SaeOptions(Options):
    """What is said in the SAE message set."""

    profile: Literal["j2735_2024"] = "j2735_2024"
    pc5: bool = Field(
        False, description="Network frames begin with the PC5 family octet (LTE-V2X), else 802.11p."
    )
    sdsm: SaeSdsmOptions = SaeSdsmOptions()
    psm: SaePsmOptions = SaePsmOptions()
    spat: SaeSpatOptions = SaeSpatOptions()
    map: SaeMapOptions = SaeMapOptions()
    tim: SaeTimOptions = SaeTimOptions()
    rsm: SaeRsmOptions = SaeRsmOptions()
    ssm: SaeSsmOptions = SaeSsmOptions()
    rtcm: SaeRtcmOptions = SaeRtcmOptions()

    @model_validator(mode="after")
    def _psids(self) -> Self:
        if self.rsm.enabled and self.rsm.aid == _UNASSIGNED:
            raise misfit("must be given: no public source assigns one", "rsm", "aid")
        if self.rsm.enabled and not self.rsm.operator:
            raise misfit("must be given: every event names its operator", "rsm", "operator")
        return self
