"""Part `receive` of section `v2x`: what becomes of messages heard (docs/v2x-receive.md)."""

from typing import Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive

ReadProfile = Literal["csae53_2020", "csae157_2020", "legacy_20190724", "j2735_2024"]


class ReceiveOptions(Options):
    """Message sets by what frames are wrapped in, and what is believed of them."""

    enabled: bool = True
    dsmp: ReadProfile | None = Field(
        "csae157_2020", description="Message set behind DSMP headers (it reads all of phase one); "
        "none: refused."
    )  # fmt: skip
    wsmp: ReadProfile | None = Field(
        "j2735_2024", description="Message set behind WSMP headers and in RSU 4.1 text; none: "
        "refused."
    )  # fmt: skip
    bare: ReadProfile | None = Field(
        None, description="Message set of frames without a network header; none: refused, never "
        "guessed."
    )  # fmt: skip
    use_unverified: bool = Field(
        True, description="No signature is checked yet. False: messages are heard and recorded, "
        "but nothing is fused or asked of signals."
    )  # fmt: skip
    max_age_s: Positive = Field(
        1.0, le=20.0, description="A state older than this when heard is not fused, s: ten "
        "messages of a vehicle."
    )  # fmt: skip
    max_lead_s: NonNegative = Field(
        0.2, le=20.0, description="A state this far ahead of hearing is not fused, s (fusion "
        "refuses the same)."
    )  # fmt: skip
    range_m: Positive = Field(
        1000.0, description="Road users farther from the site's origin are not fused, m: beyond "
        "what radios of this power reach."
    )  # fmt: skip
    unstated_std_m: Positive | None = Field(
        None, description="Position 1 σ assumed where a message states none, m; none: not fused, "
        "since what is fused is said on."
    )  # fmt: skip
    margin_std_m: NonNegative = Field(
        0.5, description="1 σ added to every stated position, m: reference point, clocks, and "
        "that nobody vouches for the statement."
    )  # fmt: skip
    rate_hz: Positive = Field(
        20.0, description="Messages of one kind from one sender, highest average, Hz: twice the "
        "10 Hz of the standards."
    )  # fmt: skip
    frames_hz: Positive = Field(
        1000.0, description="Frames of one radio that are read, highest average, Hz: 100 vehicles "
        "at 10 Hz."
    )  # fmt: skip
    senders_max: int = Field(1024, ge=1, le=100_000, description="Senders followed at once.")
    echo_s: Positive = Field(
        10.0, description="How long frames sent are remembered, so that echoes are known, s."
    )
