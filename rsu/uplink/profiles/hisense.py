"""Profile `hisense_binary`: frames of UPER messages and a JSON state (docs/platforms/hisense.md).

What is on the air goes up octet for octet, behind the unit's name and the time
(`rsu.schema.uplink_frame`). BSM that vehicles said are passed on only where the site file asks for
it, and never one that holds a plate: the id in them is the one the vehicle shows everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rsu.config.platforms import HisenseProfile
from rsu.schema.reports import BINARY, Priority
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.uplink_frame import UNIT_OCTETS, UplinkFrameError, build
from rsu.schema.v2x import ReceivedV2x, V2xFrame
from rsu.uplink.profiles.base import (
    LIVE_TTL_S,
    Channel,
    Due,
    News,
    Place,
    Profile,
    Statement,
)
from rsu.uplink.profiles.mapping import Document, group, json_schema, mapped, rows, text, whole
from rsu.uplink.profiles.rates import LIFE, Rates, of_china

STATE_TTL_OF_BEAT_S = 9.0  # three beats: older says nothing of the present
LAYOUT = (
    "octets 0-7 unit name in ASCII, NUL to the end; 8-15 ms since 1970 in UTC, little endian; "
    "{count}then length (2 octets, little endian) and the UPER MessageFrame"
)
STATE = (
    group("base", "", whole("tm", "time_s", "s since 1970, UTC", low=0), text("ID", "unit")),
    rows("errList", "errors", text("gps", each=False, optional=True)),
)
GPS_LOST = "255"
"""The published codes of `gps` are 11, 52, 53, 54 and 255, without their meaning; 255 is the one
that nothing more special is said by."""


class Hisense(Profile):
    """Frames by topic `V2X.RSU.<message>.UP`."""

    hears_frames = True

    def __init__(self, options: HisenseProfile, _place: Place, boot: Instant) -> None:
        self._name = options.rsu_id
        self._unit = options.rsu_id.encode("ascii").ljust(UNIT_OCTETS, b"\0")
        self._rates = Rates(options)
        self._beat = Due(options.state_s, boot)
        self._gnss_lost = False
        self.hears_vehicles = options.heard

    def news(self, news: News, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """Remember whether a GNSS receiver is without a fix; STATE says it."""
        if news.subject == "health":
            sensors = news.document["sensors"]
            self._gnss_lost = any(
                one["kind"] == "gnss" and one["state"] != "live" for one in sensors
            )
        return ()

    def frame(self, frame: V2xFrame, now: Instant) -> Iterable[Statement]:
        """The message as it is on the air."""
        if of_china(frame) and frame.message in LIFE and self._rates.pass_on(frame, now):
            yield from self._frame(frame.message, frame.payload, frame.time_ns, counted=False)

    def heard(self, heard: ReceivedV2x, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """A vehicle's BSM, unless it holds a plate."""
        china = heard.profile is not None and not heard.profile.startswith("j2735")
        if china and heard.message == "BSM" and not names_plate(heard.value):
            yield from self._frame("BSM", heard.payload, heard.capture_ns, counted=True)

    def tick(self, now: Instant) -> Iterable[Statement]:
        """STATE."""
        if self._beat.passed(now):
            errors = [{"gps": GPS_LOST}] if self._gnss_lost else []
            source = {"time_s": now.utc_ns // NS_PER_S, "unit": self._name, "errors": errors}
            yield Statement(
                topic="/V2X.RSU.STATE.UP", body=mapped(STATE, source), priority=Priority.STATE,
                ttl_s=STATE_TTL_OF_BEAT_S, capture_ns=now.utc_ns,
            )  # fmt: skip

    def _frame(
        self, message: str, payload: bytes, time_ns: int, *, counted: bool
    ) -> Iterable[Statement]:
        try:
            octets = build(self._unit, time_ns // 1_000_000, [payload], counted=counted)
        except UplinkFrameError:  # a clock outside 2010..2100: no frame of that format says it
            return
        priority, ttl_s = LIFE.get(message, (Priority.TELEMETRY, LIVE_TTL_S))
        yield Statement(
            topic=f"/V2X.RSU.{message}.UP", body=octets, priority=priority, ttl_s=ttl_s,
            capture_ns=time_ns, content_type=BINARY,
        )  # fmt: skip

    def channels(self) -> tuple[Channel, ...]:
        """One topic a message, and the state."""
        frames = [
            Channel(
                name=message, address=f"V2X.RSU.{message}.UP", summary=f"{message} on the air",
                layout=LAYOUT.format(count=""),
            )
            for message in LIFE
        ]  # fmt: skip
        bsm = Channel(
            name="BSM", address="V2X.RSU.BSM.UP", summary="BSM that vehicles said",
            layout=LAYOUT.format(count="16 how many messages follow; "),
        )  # fmt: skip
        schema: Document = json_schema(STATE)
        state = Channel(
            name="STATE", address="V2X.RSU.STATE.UP", summary="The unit is there", schema=schema
        )
        return (*frames, bsm, state)


def names_plate(value: Any) -> bool:
    """Whether a decoded message holds a plate anywhere."""
    if isinstance(value, dict):
        return any("plate" in key.lower() or names_plate(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(names_plate, value))
