"""Section `v2x`: as whom this unit speaks, in which message sets, and what it listens to.

Everything that all messages share is here; the messages are in `v2x_csae` and `v2x_sae`, what is
heard in `v2x_receive`.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from rsu.config.base import NonNegative, Options
from rsu.config.v2x_csae import CsaeOptions
from rsu.config.v2x_receive import ReceiveOptions
from rsu.config.v2x_sae import SaeOptions


class V2xOptions(Options):
    """Identity and message sets of this unit."""

    MOVED: ClassVar[Mapping[str, str]] = {"profile": "csae.profile", "rsm": "csae.rsm"}

    rsu_id: str = Field(
        pattern=r"^[0-9a-fA-F]{16}$", description="RSU id, 8 octets as 16 hex digits."
    )
    antenna_height: NonNegative = Field(5.0, description="Height of the unit above the origin, m.")
    trust_clock: bool = Field(
        False, description="Send even when the operating system does not say its clock is "
        "synchronised (laboratory only)."
    )  # fmt: skip
    packet_octets: int = Field(
        1400, ge=200, le=2302, description="Longest packet with all headers, octets (WsmMaxLength "
        "1400; a roadside unit takes at most 2302)."
    )  # fmt: skip
    security_octets: int = Field(
        240, ge=0, le=1000, description="Of these, what is kept free for the signature and "
        "certificate of a radio that signs: 100..240 octets."
    )  # fmt: skip
    csae: CsaeOptions | None = Field(
        CsaeOptions(), description="The Chinese message set; null: not spoken."
    )
    sae: SaeOptions | None = Field(None, description="SAE J2735; none: not spoken.")
    receive: ReceiveOptions = ReceiveOptions()
