"""Which commands there are and what each may be told: name → model of its arguments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from rsu.config.base import Options, UtcTime
from rsu.uplink.commands.envelope import Refused

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hex."""
Hex = Annotated[str, StringConstraints(pattern=r"^([0-9A-Fa-f]{2})*$", max_length=16_384)]
ConfigText = Annotated[str, StringConstraints(min_length=1, max_length=49_152)]
PART_BYTES = 36_000
"""Octets of a package in one command: in base64 within the 64 KiB of a message."""
MAX_PARTS = 4096
"""147 MB: the largest detector of the model list has 100."""


class Broadcast(Options):
    """A whole V2X message to put on the air; neither `payload_hex` nor `value`: take it off."""

    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    profile: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    message: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    payload_hex: Hex | None = None
    value: dict[str, Any] | None = None
    until_utc: UtcTime
    period_s: float = Field(0.0, ge=0.0, le=86_400.0)


class ConfigGet(Options):
    """The site file as it lies there."""


class ConfigDiff(Options):
    """What would change."""

    text: ConfigText


class ConfigApply(Options):
    """A new site file in place of the one with the digest `base`."""

    text: ConfigText
    base: Digest
    confirm_s: float = Field(120.0, ge=10.0, le=3600.0)


class ConfigConfirm(Options):
    """The change works: keep it."""

    change: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class LogLevel(Options):
    """How much every process logs."""

    level: Literal["debug", "info", "warning", "error"]


class LogExport(Options):
    """The newest lines of the log."""

    lines: int = Field(1000, ge=1, le=100_000)
    to: Literal["topic", "file"] = "topic"


class PackagePart(Options):
    """A piece of a package, named by the SHA-256 of the whole."""

    package: Digest
    part: int = Field(ge=0, lt=MAX_PARTS)
    parts: int = Field(ge=1, le=MAX_PARTS)
    data: Annotated[str, StringConstraints(max_length=PART_BYTES * 4 // 3 + 4)]


class PackageInstall(Options):
    """Verify and install what has come in."""

    package: Digest


class Restart(Options):
    """Restart the unit: first without `token`, then with the one from the answer."""

    token: Annotated[str, StringConstraints(max_length=64)] | None = None


COMMANDS: dict[str, type[Options]] = {
    "broadcast": Broadcast,
    "config.get": ConfigGet,
    "config.diff": ConfigDiff,
    "config.apply": ConfigApply,
    "config.confirm": ConfigConfirm,
    "log.level": LogLevel,
    "log.export": LogExport,
    "package.part": PackagePart,
    "package.install": PackageInstall,
    "restart": Restart,
}


def arguments_of(command: str, values: dict[str, Any]) -> Options:
    """Checked arguments; raises Refused."""
    model = COMMANDS.get(command)
    if model is None:
        raise Refused("unknown_command", command)
    try:
        return model.model_validate(values, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused("bad_arguments", f"{where}: {first['msg']}") from None
