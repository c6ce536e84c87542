"""The live downlink: what is on the air, once more by map tile, for vehicles on 5G Uu.

Frames in; for each the topics `<prefix>/<quadkey>/<message>` of the tiles that it matters in, with
the very same UPER octets as on PC5. A vehicle subscribes to the tile that it is on and to those
around. What cannot be sent at once is dropped: it is said anew a moment later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rsu.config.platforms import DownlinkOptions
from rsu.schema.message import Message
from rsu.schema.reports import LivePublication
from rsu.schema.topics import UPLINK_LIVE, V2X_TX, Topic
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.uplink.profiles.base import Place
from rsu.uplink.profiles.said import content_of
from rsu.uplink.quadkey import Tile, tile_at, tile_m, tiles_within

STEP = 1e-7  # degree
RADIUS_M = 0.1  # unit of RTEData.eventRadius (T/CSAE 53)


class DownlinkStage:
    """Deterministic; the sending is the session's (`publish_live`)."""

    name = "downlink"
    inputs: tuple[Topic, ...] = (V2X_TX,)
    outputs: tuple[Topic, ...] = (UPLINK_LIVE,)
    period_ns: int | None = None

    def __init__(self, options: DownlinkOptions, place: Place) -> None:
        self._options = options
        latitude, longitude = place.frame.latitude, place.frame.longitude
        near = tiles_within(latitude, longitude, options.radius_m, options.level)
        self._around = {tile: distance for distance, tile in near}
        self._own = tile_at(latitude, longitude, options.level)
        self._side = tile_m(latitude, options.level)
        self._least_ns = int(NS_PER_S / options.rate_hz)
        self._last: dict[str, tuple[int, int]] = {}  # message -> mono ns, moment spoken of

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """The frame for every tile that it matters in."""
        frame: V2xFrame = message.payload
        if not self._due(frame, now):
            return
        prefix = self._options.topic_prefix
        publication = LivePublication(
            topics=tuple(f"{prefix}/{tile.quadkey}/{frame.name}" for tile in self.tiles(frame)),
            payload=frame.payload,
            time_ns=frame.time_ns,
            max_age_s=self._options.max_age_s,
        )
        yield Message.draft(UPLINK_LIVE, self.name, message.header.capture_ns, publication)

    def tick(self, now: Instant) -> Iterable[Message]:  # noqa: ARG002
        """Nothing happens by time alone."""
        return ()

    def tiles(self, frame: V2xFrame) -> list[Tile]:
        """Those around the unit; for RSM those of its road users too, for RSI those that its
        events reach. The nearest `max_tiles` to the unit."""
        distances = dict(self._around)
        for tile in self._of_content(frame):
            distances.setdefault(tile, self._side * self._steps(tile))
        nearest = sorted(distances, key=lambda tile: (distances[tile], tile))
        return nearest[: self._options.max_tiles]

    def _of_content(self, frame: V2xFrame) -> Iterator[Tile]:
        level = self._options.level
        content = content_of(frame) if frame.message in ("RSM", "RSI") else None
        if content is None:
            return
        for one in content.get("participants", ()):
            yield tile_at(one["pos"]["lat"] * STEP, one["pos"]["lon"] * STEP, level)
        for event in content.get("rtes", ()):
            if "eventPos" in event:
                at = event["eventPos"]
                radius_m = event.get("eventRadius", 0) * RADIUS_M
                near = tiles_within(at["lat"] * STEP, at["lon"] * STEP, radius_m, level)
                # Bounded: the farthest are cut off anyway.
                yield from (tile for _, tile in sorted(near)[: self._options.max_tiles])

    def _steps(self, tile: Tile) -> float:
        """Tiles from the unit's own one, over whichever axis is longer."""
        count = 2**tile.level
        across = abs(tile.x - self._own.x)
        return float(max(min(across, count - across), abs(tile.y - self._own.y)))

    def _due(self, frame: V2xFrame, now: Instant) -> bool:
        last_ns, moment_ns = self._last.get(frame.name, (-self._least_ns, -1))
        if frame.time_ns == moment_ns:  # another part of the same moment
            return True
        # A tenth early is on time: messages come at their own beat.
        if now.mono_ns - last_ns < 0.9 * self._least_ns:
            return False
        self._last[frame.name] = now.mono_ns, frame.time_ns
        return True
