"""Section `v2x`: what is said on the air, as whom, in which message set."""

from typing import Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive


class RsmOptions(Options):
    """T/CSAE 53-2020 roadside safety message."""

    enabled: bool = True
    rate_hz: float = Field(
        10.0, gt=0, le=10.0, description="Highest rate, Hz (T/CSAE 159-2020 cl. 5.4: 100 ms)."
    )
    aid: int = Field(
        3623, ge=0, le=0x407F, description="Application id (YD/T 3707 carries 0..0x407F)."
    )
    priority: int = Field(208, ge=0, le=255, description="T/CSAE 159-2020 cl. 5.5.")
    max_evidence_age_s: Positive = Field(
        0.5, description="A participant whose last measurement is older is withheld, s."
    )
    silence_s: Positive = Field(
        1.0, description="With no participant at all the unit still states itself this often, s."
    )


class V2xOptions(Options):
    """Identity and message classes of this unit."""

    profile: Literal["csae53_2020"] = Field(
        "csae53_2020", description="Message set; configured, never guessed."
    )
    rsu_id: str = Field(
        pattern=r"^[0-9a-fA-F]{16}$", description="RSU id, 8 octets as 16 hex digits."
    )
    antenna_height: NonNegative = Field(5.0, description="Height of the unit above the origin, m.")
    trust_clock: bool = Field(
        False, description="Send even when the operating system does not say its clock is "
        "synchronised (laboratory only)."
    )  # fmt: skip
    rsm: RsmOptions = RsmOptions()
