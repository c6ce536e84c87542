"""What the unit says about itself when a connection begins: its birth message.

Options and identity in, one JSON document out (retained on `<prefix>/birth`, docs/uplink.md): what
software this is, which boot, what it reports where, how it takes commands. `connection` counts the
connections of this boot; the status document and the last will carry the same, so that birth and
death belong together, and every report of the connection has a number (user property `seq`) that
starts at 1: a gap means that something in between was lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsu import __version__
from rsu.config.uplink import UplinkOptions

REPORTS: tuple[tuple[str, str, str], ...] = (
    ("tracks", "rsu.tracks/1", "tracks_s"),
    ("traffic", "rsu.traffic/1", "traffic_s"),
    ("parking", "rsu.parking/1", "parking_s"),
    ("health", "rsu.health/1", "health_s"),
    ("alarm", "rsu.alarm/1", ""),
    ("event", "rsu.event/1", ""),
)
"""Our own documents: subject, schema, and the option that holds the period (none: when it is)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks: `boot_ns` is the UTC of this start of the uplink, ns."""

    site_id: str
    boot_ns: int

    @property
    def session(self) -> str:
        """What commands must name; also the beginning of every report's id."""
        return f"{self.site_id}-{self.boot_ns}"


def birth_document(
    options: UplinkOptions,
    identity: Identity,
    connection: int,
    prefix: str,
    *,
    profiles: Sequence[Mapping[str, Any]] = (),
    commands: Mapping[str, Any] | None = None,
) -> bytes:
    """The birth message; `profiles` and `commands` say more about themselves than options do."""
    kinds = [one.model_dump(mode="json") for one in options.profiles]
    document = {
        "schema": "rsu.birth/1",
        "site": identity.site_id,
        "session": identity.session,
        "boot_utc_ns": str(identity.boot_ns),
        "connection": connection,
        "software": {"name": "rsu", "version": __version__},
        "reports": _reports(options, identity, prefix),
        "profiles": [
            {"kind": one["kind"], "topic_prefix": one.get("topic_prefix")} for one in kinds
        ],
        "details": list(profiles),
        "commands": None if commands is None else dict(commands),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _reports(options: UplinkOptions, identity: Identity, prefix: str) -> list[dict[str, Any]]:
    prefixes = [
        (one.topic_prefix or prefix).replace("{site}", identity.site_id)
        for one in options.profiles
        if one.kind == "plain"
    ]
    return [
        {
            "topic": f"{where}/{subject}",
            "schema": schema,
            "period_s": getattr(options, period) if period else None,
        }
        for where in prefixes
        for subject, schema, period in REPORTS
    ]


def status_document(identity: Identity, connection: int, state: str, reason: str) -> bytes:
    """The retained document that says whether the unit is there."""
    document = {
        "schema": "rsu.status/1", "site": identity.site_id, "state": state, "reason": reason,
        "boot_utc_ns": str(identity.boot_ns), "session": identity.session,
        "connection": connection,
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
