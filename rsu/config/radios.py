"""Section `radios`: where frames go."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rsu.config.base import Identifier, Options, Positive

Port = Annotated[int, Field(ge=1, le=65535)]


class RadioBase(Options):
    """What every radio shares."""

    id: Identifier
    content: Literal["payload", "network"] = Field(
        "payload", description="Bare UPER message frame, or with its network header (DSMP)."
    )
    max_age_s: Positive = Field(
        0.5, description="A frame that waited longer than this for the radio is dropped, s."
    )


class UdpRadioOptions(RadioBase):
    """Raw datagrams: one frame each."""

    driver: Literal["udp"]
    host: str = Field(min_length=1, description="Name or address of the radio.")
    port: Port
    listen_port: Port | None = Field(None, description="Receive frames here; none: send only.")
    listen_host: str = "127.0.0.1"


class Rsu41RadioOptions(RadioBase):
    """RSU 4.1 immediate-forward text over UDP (facts: sae.md 4.1)."""

    driver: Literal["rsu41"]
    host: str = Field(min_length=1)
    port: Port = Field(1516, description="Default of the specification.")
    channel: int = Field(183, ge=0, le=255, description="TxChannel.")
    tx_mode: Literal["CONT", "ALT"] = "CONT"
    signature: bool = Field(False, description="True: the unit signs.")
    encryption: bool = False


class FileRadioOptions(RadioBase):
    """One JSON line per frame: `{"time", "message", "aid", "hex"}`."""

    driver: Literal["file"]
    path: Path = Field(description="File to append to, relative to the site file.")
    max_bytes: int = Field(
        100_000_000, gt=0, description="Started anew (old one kept as .1) beyond this size."
    )


Radio = Annotated[
    UdpRadioOptions | Rsu41RadioOptions | FileRadioOptions, Field(discriminator="driver")
]
