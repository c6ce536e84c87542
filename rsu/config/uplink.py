"""Section `uplink`: the broker, the durable outbox and what is reported."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from rsu.config.base import Options, Positive, misfit
from rsu.config.commands import CommandOptions
from rsu.config.platforms import DownlinkOptions, PlainProfile, Profile


class TlsOptions(Options):
    """Server check always; client certificate optional."""

    ca_file: Path | None = Field(None, description="CA bundle; none: the system's.")
    cert_file: Path | None = None
    key_file: Path | None = None


class OutboxOptions(Options):
    """Durable queue on disk."""

    path: Path = Field(Path("var/outbox.db"), description="Relative to the site file.")
    max_bytes: int = Field(
        64_000_000, ge=100_000, description="Quota; beyond it the oldest of the lowest priority go."
    )
    ballast_mb: int = Field(
        8, ge=0, le=1000, description="Kept back on its disk for events when others fill it, MB: "
        "8000 events. 0: nothing."
    )  # fmt: skip
    commit_s: Positive = Field(
        0.1, le=1.0, description="Group commit, s (50–200 ms: dependencies.md 1.3)."
    )


class UplinkOptions(Options):
    """One MQTT 5 session."""

    host: str = Field(min_length=1)
    port: int = Field(1883, ge=1, le=65535)
    client_id: str | None = Field(None, description="Default: rsu-<site id>.")
    username: str | None = None
    password_file: Path | None = Field(None, description="File with the password.")
    tls: TlsOptions | None = Field(None, description="None: plain TCP, for a broker on this box.")
    topic_prefix: str = Field("rsu/{site}", pattern=r"^[^#+\s]+$")
    keepalive_s: int = Field(15, ge=5, le=300, description="s (10–15: a half-open link is seen).")
    tracks_s: Positive = Field(1.0, description="Period of the tracks summary, s.")
    traffic_s: Positive = Field(10.0, description="Period of traffic counts, s.")
    parking_s: Positive = Field(60.0, description="Period of unchanged parking states, s.")
    health_s: Positive = Field(10.0, description="Period of health reports, s.")
    profiles: tuple[Profile, ...] = Field(
        (PlainProfile(kind="plain"),), max_length=8,
        description="In which platforms' words (docs/platforms/).",
    )  # fmt: skip
    downlink: DownlinkOptions = DownlinkOptions()
    backlog_per_s: Positive = Field(
        50.0, le=10_000.0, description="Reports of a backlog sent per second at most: ten minutes "
        "of everything (about 1300) in half a minute, at 25 kB/s."
    )  # fmt: skip
    commands: CommandOptions = CommandOptions()
    outbox: OutboxOptions = OutboxOptions()

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        if (
            self.password_file
            and not self.tls
            and self.host not in {"127.0.0.1", "localhost", "::1"}
        ):
            raise misfit("needs tls: it would cross the network readable", "password_file")
        return self

    @model_validator(mode="after")
    def _no_open_commands(self) -> Self:
        local = self.host in {"127.0.0.1", "localhost", "::1"}
        if not self.commands.require_signature and not self.tls and not local:
            raise misfit(
                "unsigned commands need tls: anybody on the way could give them",
                "commands", "require_signature",
            )  # fmt: skip
        return self
