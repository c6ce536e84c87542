"""Section `uplink.commands`: who may command the unit from the platform."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from rsu.config.base import Identifier, Options, misfit

CommandName = Literal[
    "broadcast", "config.get", "config.diff", "config.apply", "config.confirm", "log.level",
    "log.export", "package.part", "package.install", "restart",
]  # fmt: skip


class CommandKey(Options):
    """One Ed25519 public key."""

    id: Identifier = Field(description="What commands name it by.")
    file: Path = Field(description="PEM, as `openssl pkey -pubout` writes it.")
    allow: tuple[CommandName, ...] = Field(
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

    @model_validator(mode="after")
    def _keys_are_told_apart(self) -> Self:
        seen: set[str] = set()
        for index, key in enumerate(self.keys):
            if key.id in seen:
                raise misfit(f"{key.id!r} is the id of an earlier key", "keys", index, "id")
            seen.add(key.id)
        return self
