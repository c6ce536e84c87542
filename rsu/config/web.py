"""Section `web`: the dashboard, who may look at it and who may change something."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import Options, misfit

TOKEN_CHARACTERS = 16
"""Shortest login token: 16 random characters of 64 are 96 bits, out of reach of guessing."""


class WebTlsOptions(Options):
    """What the browser is shown: PEM files, relative to the site file."""

    certificate: Path
    key: Path


class WebOptions(Options):
    """One page that shows the unit. Without a token it can be looked at from this machine only, and
    nothing can be changed with it."""

    enabled: bool = Field(True, description="False: keep the section, serve nothing.")
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535)
    language: Literal["en", "zh"] = Field("en", description="First language; the page can switch.")
    token_file: Path | None = Field(
        None, description="File with the login token, at least 16 characters; whoever looks has to "
        "give it, and may then change the site file and save incidents.",
    )  # fmt: skip
    tls: WebTlsOptions | None = Field(None, description="None: plain HTTP, on loopback only.")
    incidents: Path = Field(
        Path("var/incidents"), description="Saved incidents, relative to the site file."
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        return is_loopback(self.host)

    @model_validator(mode="after")
    def _open_to_others_only_when_guarded(self) -> Self:
        if not self.loopback:
            if self.token_file is None:
                raise misfit("is reachable from other machines: set token_file", "host")
            if self.tls is None:
                raise misfit(
                    "is reachable from other machines: set tls, or the token crosses the network "
                    "readable", "host",
                )  # fmt: skip
        return self


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine and no other."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
