"""Section `uplink.commands`: who may command the unit from the platform."""

from pathlib import Path

from pydantic import Field

from rsu.config.base import Identifier, Options


class CommandKey(Options):
    """One Ed25519 public key."""

    id: Identifier = Field(description="What commands name it by.")
    file: Path = Field(description="PEM, as `openssl pkey -pubout` writes it.")
    allow: tuple[str, ...] = Field(
        (), max_length=32, description="Commands that it may sign; none named: all."
    )


class CommandOptions(Options):
    """Without keys every command is refused, and says so."""

    keys: tuple[CommandKey, ...] = Field((), max_length=16)
    require_signature: bool = Field(
        True, description="False: whoever may write to the topic may command; for laboratories."
    )
    history: Path = Field(
        Path("var/commands.db"), description="Ids of commands seen. Relative to the site file."
    )
    folder: Path = Field(
        Path("var/commands"),
        description="Packages on their way in, logs on their way out. Relative to the site file.",
    )
    software: Path = Field(
        Path("var/software"),
        description="Slots of software packages: PYTHONPATH leads to `current` in it.",
    )
