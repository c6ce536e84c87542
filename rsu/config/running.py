"""Sections `recording`, `audit`, `runtime`: what is kept, where sockets lie, how processes
restart."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive


class RecordingOptions(Options):
    """MCAP files of every recorded topic."""

    folder: Path = Field(Path("var/recordings"), description="Relative to the site file.")
    split_s: Positive = Field(60.0, description="A new file this often, s.")
    split_bytes: int = Field(256_000_000, ge=100_000, description="… or at this size.")
    keep_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="Oldest files go beyond this total."
    )
    retention_h: float = Field(
        168.0, gt=0.0, le=87_600.0, description="Older files go, h: what was heard by radio names "
        "vehicles for a time (docs/privacy.md)."
    )  # fmt: skip


class AuditOptions(Options):
    """The log of what was taken out, changed and commanded (docs/privacy.md)."""

    path: Path = Field(
        Path("var/audit.jsonl"),
        description="Relative to the site file; $RSU_AUDIT, where set, goes before it.",
    )
    keep_days: float = Field(
        180.0, ge=7.0, le=3650.0, description="Older files go. 180: half a year of network logs is "
        "what China's Cybersecurity Law asks for (article 21)."
    )  # fmt: skip
    keep_bytes: int = Field(
        50_000_000,
        ge=4_000_000,
        description="Beyond this total files go earlier, but never within 7 days.",
    )


class RestartOptions(Options):
    """How a dead child comes back."""

    first_s: NonNegative = Field(0.2, description="First wait, s.")
    longest_s: Positive = Field(30.0, description="Longest wait, s.")
    breaker_count: int = Field(
        5, ge=1, description="This many deaths within breaker_s: given up until restart (row 26)."
    )
    breaker_s: Positive = Field(60.0, description="s.")


class ShedOptions(Options):
    """When the unit does less so that what it says stays fresh (docs/operation.md)."""

    enabled: bool = True
    age_ms: Positive = Field(
        500.0, description="Age of a safety message when it leaves the core, ms: half of the "
        "second after which evidence is stale."
    )  # fmt: skip
    load: Positive | None = Field(
        None, description="Load average of the last minute per core (2: twice as much to do as can "
        "be done); none: not looked at."
    )  # fmt: skip
    temperature: Positive | None = Field(
        85.0, description="Hottest thermal zone, °C: below the 95 to 105 at which processors slow "
        "down by themselves; none: not looked at."
    )  # fmt: skip
    worse_s: Positive = Field(3.0, description="Too much for this long: one step more is shed.")
    better_s: Positive = Field(30.0, description="Fine for this long: one step comes back.")


class RuntimeOptions(Options):
    """Processes and local sockets."""

    socket_folder: Path | None = Field(
        None, description="Folder of the bus and status sockets; default: a private one under "
        "$RUNTIME_DIRECTORY or /run/user, else the temporary folder."
    )  # fmt: skip
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Prometheus text on 127.0.0.1; none: off."
    )
    ready_s: Positive = Field(30.0, description="A child that is not ready by then is restarted.")
    stop_s: Positive = Field(4.0, le=30.0, description="Children still alive then are killed.")
    heartbeat_s: Positive = Field(5.0, description="A child silent for this long is restarted.")
    restart: RestartOptions = RestartOptions()
    shed: ShedOptions = ShedOptions()
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="From here on lines are logged; `rsu run --log-level` goes before it."
    )
    log_folder: Path | None = Field(
        None, description="Where logs go when they do not go to journald, relative to the site "
        "file; none: to standard error."
    )  # fmt: skip
    log_keep_days: float = Field(14.0, ge=7.0, le=3650.0, description="Older log files go.")
    log_keep_bytes: int = Field(
        500_000_000, ge=20_000_000, description="Beyond this total the oldest go earlier."
    )
