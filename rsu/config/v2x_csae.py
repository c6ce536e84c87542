"""Section `v2x.csae`: the messages of the Chinese sets."""

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

AID_MAX = 0x407F
"""YD/T 3707 carries application ids up to here in two octets."""
SECOND_PHASE = ("ssm", "pam", "rsc", "rtcm", "test")
"""Messages of T/CSAE 157-2020. No public source assigns their AIDs (facts: csae.md 5.1), so a
site file that enables one must give it."""
_UNASSIGNED = 0


class CsaeRsmOptions(TrackMessageOptions):
    """Roadside safety message."""

    enabled: bool = True
    aid: int = Field(3623, ge=0, le=AID_MAX)
    priority: int = Field(208, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")


class CsaeSpatOptions(SignalMessageOptions):
    """Signal phase and timing; nothing is said before a controller has spoken."""

    enabled: bool = True
    aid: int = Field(3619, ge=0, le=AID_MAX)
    priority: int = Field(176, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")


class CsaeMapOptions(StandingMessageOptions):
    """The site's lanes."""

    aid: int = Field(3618, ge=0, le=AID_MAX)
    priority: int = Field(16, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")


class RsiStaticOptions(EventMessageOptions):
    """Traffic signs of the site."""

    enabled: bool = True
    aid: int = Field(3620, ge=0, le=AID_MAX)
    priority: int = Field(48, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")
    rate_hz: float = Field(1.0, gt=0, le=10.0, description="T/CSAE 159-2020 cl. 5.4: 1 s.")


class RsiSemiStaticOptions(EventMessageOptions):
    """Events that others know of: police, government, weather service, internet."""

    enabled: bool = True
    aid: int = Field(3621, ge=0, le=AID_MAX)
    priority: int = Field(80, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")
    rate_hz: float = Field(2.0, gt=0, le=10.0, description="T/CSAE 159-2020 cl. 5.4: 500 ms.")


class RsiDynamicOptions(EventMessageOptions):
    """Events that this unit detects."""

    enabled: bool = True
    aid: int = Field(3622, ge=0, le=AID_MAX)
    priority: int = Field(112, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")
    rate_hz: float = Field(10.0, gt=0, le=10.0, description="T/CSAE 159-2020 cl. 5.4: 100 ms.")


class CsaeRsiOptions(Options):
    """Road side information, by how fast it changes."""

    static: RsiStaticOptions = RsiStaticOptions()
    semi_static: RsiSemiStaticOptions = RsiSemiStaticOptions()
    dynamic: RsiDynamicOptions = RsiDynamicOptions()


class CsaeSsmOptions(TrackMessageOptions):
    """Sensor sharing message (second phase)."""

    aid: int = Field(_UNASSIGNED, ge=0, le=AID_MAX)
    priority: int = Field(208, ge=0, le=255, description="As RSM: the same facts.")


class CsaePamOptions(AnswerMessageOptions):
    """Parking area message (second phase)."""

    aid: int = Field(_UNASSIGNED, ge=0, le=AID_MAX)
    priority: int = Field(80, ge=0, le=255, description="As semi-static RSI.")
    lot: str = Field("", description="The lot to speak of; empty: the only one of the map.")


class CsaeRscOptions(AnswerMessageOptions):
    """Roadside coordination (second phase)."""

    aid: int = Field(_UNASSIGNED, ge=0, le=AID_MAX)
    priority: int = Field(176, ge=0, le=255, description="As SPAT: it governs passage.")
    rate_hz: float = Field(2.0, gt=0, le=10.0)
    max_evidence_age_s: float = Field(1.0, gt=0, description="Advice ages fast, s.")


class CsaeRtcmOptions(CorrectionMessageOptions):
    """GNSS corrections (second phase)."""

    aid: int = Field(_UNASSIGNED, ge=0, le=AID_MAX)
    priority: int = Field(80, ge=0, le=255, description="As semi-static RSI.")


class CsaeTestOptions(StandingMessageOptions):
    """Test message (second phase): octets that mean nothing."""

    aid: int = Field(3625, ge=0, le=AID_MAX, description="3625 and 3626: test, roadside.")
    priority: int = Field(0, ge=0, le=255, description="Below everything that means something.")
    user_data: str = Field(
        "00", pattern=r"^([0-9a-fA-F]{2}){1,2048}$", description="1..2048 octets in hex."
    )


class CsaeOptions(Options):
    """What is said in the Chinese message set."""

    profile: Literal["csae53_2020", "csae157_2020"] = Field(
        "csae53_2020", description="Message set; configured, never guessed."
    )
    rsm: CsaeRsmOptions = CsaeRsmOptions()
    spat: CsaeSpatOptions = CsaeSpatOptions()
    map: CsaeMapOptions = CsaeMapOptions()
    rsi: CsaeRsiOptions = CsaeRsiOptions()
    ssm: CsaeSsmOptions = CsaeSsmOptions()
    pam: CsaePamOptions = CsaePamOptions()
    rsc: CsaeRscOptions = CsaeRscOptions()
    rtcm: CsaeRtcmOptions = CsaeRtcmOptions()
    test: CsaeTestOptions = CsaeTestOptions()

    @model_validator(mode="after")
    def _second_phase(self) -> Self:
        for name in SECOND_PHASE:
            options = getattr(self, name)
            if not options.enabled:
                continue
            if self.profile != "csae157_2020":
                raise misfit("is a message of csae157_2020: set profile", name, "enabled")
            if options.aid == _UNASSIGNED:
                raise misfit("must be given: no public source assigns one", name, "aid")
        return self
