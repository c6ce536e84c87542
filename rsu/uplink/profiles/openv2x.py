"""Profile `openv2x`: JSON of the OpenV2X platform, which names its topics as the Chinese draft of
the interface between unit and centre does (docs/platforms/openv2x.md).

Registration (INFO, BaseINFO), a heartbeat, RSM, SPAT and MAP as on the air, road events as RSI, and
tracks as those of a radar where a device id for them is given. Values of RSM are those on the air:
1e-7 degrees, 0.02 m/s, 0.0125 degrees, cm. Its `global_track_id` is the short-lived id on the air.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from rsu.config.platforms import OpenV2xProfile
from rsu.schema.machine import MachineLoad
from rsu.schema.reports import Priority
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.uplink.profiles.base import (
    LIVE_TTL_S,
    STATE_TTL_S,
    Channel,
    Due,
    News,
    Place,
    Profile,
    Statement,
)
from rsu.uplink.profiles.mapping import (
    Document,
    Table,
    group,
    json_schema,
    mapped,
    number,
    rows,
    text,
    whole,
)
from rsu.uplink.profiles.rates import LIFE, Rates, content_tag, of_china
from rsu.uplink.profiles.said import LIGHTS, content_of

BEAT_TTL_S = 15.0
"""As long as the platform remembers a heartbeat."""
RUNNING_TTL_S = 600.0
INFO_S = 3600.0
"""INFO and BaseINFO are said at the start, and this often, for a platform that has forgotten."""
PARTICIPANT_TYPES = {"motor": "motor", "non-motor": "non_motor", "pedestrian": "pedestrian"}
LONGEST_COUNT = 36_000
"""0.1 s; 36001 says that it is not known (T/CSAE 53 DE_TimeMark)."""
EVENT_CLASSES = {
    "congestion": "AbnormalTraffic",
    "wrong-way": "AbnormalVehicle",
    "water-on-road": "AdverseWeather",
}
LOCATION: Table = (
    number("lat", "latitude", "degrees", decimals=7, low=-90, high=90),
    number("lon", "longitude", "degrees", decimals=7, low=-180, high=180),
)
INFO: Table = (
    text("rsuId", "id"),
    text("rsuEsn", "esn"),
    text("rsuName", "title"),
    text("version", "profile", note="message set on the air"),
    text("rsuStatus", "status"),
    group("location", "", *LOCATION),
    group(
        "config", "",
        group("rsmConfig", "", number("upLimit", "limit", "Hz", decimals=2)),
        group("spatConfig", "", number("upLimit", "limit", "Hz", decimals=2)),
    ),
)  # fmt: skip
BASE_INFO: Table = (
    text("rsuEsn", "esn"),
    text("rsuId", "id"),
    text("protocolVersion", "profile"),
    text("rsuStatus", "status"),
    group("location", "", *LOCATION),
    text("transprotocal", constant="mqtt", note="spelled so by the platform"),
    text("SoftwareVersion", "version", note="of this runtime"),
)
MEBI = 1 / 2**20
RUNNING_INFO: Table = (
    text("rsuEsn", "esn"),
    group(
        "cpu", "",
        number("load", "load", "processes, mean over a minute", decimals=2, low=0),
        text("uti", note="share of the processors that was used, percent"),
    ),
    group(
        "mem", "",
        number("total", "memory_total", "MiB", scale=MEBI, decimals=1, low=0),
        number("used", "memory_used", "MiB", scale=MEBI, decimals=1, low=0),
        number("free", "memory_free", "MiB", scale=MEBI, decimals=1, low=0),
    ),
    group(
        "disk", "",
        number("total", "disk_total", "MiB", scale=MEBI, decimals=1, low=0),
        number("used", "disk_used", "MiB", scale=MEBI, decimals=1, low=0),
        number("free", "disk_free", "MiB", scale=MEBI, decimals=1, low=0),
        number("tps", "disk_operations_hz", "operations/s", decimals=1, low=0),
        number("read", "disk_read_octets_hz", "KiB/s", scale=1 / 1024, decimals=1, low=0),
        number("write", "disk_written_octets_hz", "KiB/s", scale=1 / 1024, decimals=1, low=0),
    ),
    group(
        "net", "",
        number("rx", "received_packets_hz", "packets/s", decimals=1, low=0),
        number("tx", "sent_packets_hz", "packets/s", decimals=1, low=0),
        number("rxByte", "received_octets_hz", "octets/s", decimals=1, low=0),
        number("txByte", "sent_octets_hz", "octets/s", decimals=1, low=0),
    ),
)  # fmt: skip
HEARTBEAT: Table = (text("rsuEsn", "esn"),)
_STEPS: Table = (
    whole("lat", "lat", "1e-7 degrees", low=-9e8, high=9e8),
    whole("lon", "lon", "1e-7 degrees", low=-1.8e9, high=1.8e9),
    whole("ele", "ele", "0.1 m", low=-4096, high=61439, optional=True),
)
RSM: Table = (
    text("name", constant="RSM"),
    text("id", "id", note="of the unit on the air"),
    group(
        "content", "",
        rows(
            "rsms", "rsms",
            group("refPos", "refPos", *_STEPS),
            rows(
                "participants", "participants",
                text("ptcType", words=PARTICIPANT_TYPES, otherwise="unknown"),
                whole("ptcId", "ptcId", low=0, high=65535, note="short-lived"),
                text("global_track_id", "name", note="the same, as text"),
                text("source"),
                whole("secMark", "secMark", "ms in the minute", low=0, high=65535),
                group("pos", "pos", *_STEPS),
                whole("speed", "speed", "0.02 m/s", low=0, high=8191),
                whole("heading", "heading", "0.0125 degrees from north", low=0, high=28800),
                group(
                    "size", "size",
                    whole("width", "width", "cm", low=0),
                    whole("length", "length", "cm", low=0),
                    whole("height", "height", "5 cm", low=0, optional=True),
                ),
            ),
        ),
    ),
)  # fmt: skip
RSI: Table = (
    text("rsiSourceType", constant="rsu"),
    text("rsiSourceId", "esn"),
    rows(
        "rsiDatas", "events",
        whole("alertID", "number", note="second of the unit's start, five digits of the event"),
        whole("duration", "duration_s", "s that it has held so far", low=0),
        text("eventStatus", "holds", kind="boolean"),
        text("timeStamp", "time_utc", note="ISO 8601, UTC"),
        text("eventClass", "kind", words=EVENT_CLASSES, otherwise="AbnormalTraffic"),
        whole("eventType", "gbt29100_code", note="GB/T 29100", low=0, high=65535),
        text("eventSource", constant="detection"),
        number("eventConfidence", "confidence", "probability", decimals=2, low=0, high=1),
        group(
            "eventPosition", "",
            number("lat", "latitude_deg", "degrees", decimals=7, low=-90, high=90),
            number("lon", "longitude_deg", "degrees", decimals=7, low=-180, high=180),
        ),
        number("eventRadius", "radius_m", "m", decimals=1, low=0),
        text("eventDescription", "kind", note="our name of the kind of event"),
    ),
)  # fmt: skip
SPAT: Table = (
    text("name", "title"),
    rows(
        "intersections", "intersections",
        text("intersectionId", "node"),
        text("status", "works", kind="boolean", note="no failure, not off, not dark"),
        rows(
            "phases", "phases",
            text("phaseId", "number"),
            group(
                "phaseStates", "",
                text("light", words=LIGHTS, otherwise="0", note="number of T/CSAE 53"),
                text("timing", "ends", note="its likely end, YYYY-mm-dd HH:MM:SS, UTC"),
            ),
        ),
    ),
)  # fmt: skip
MAP: Table = (
    text("mapSlice", "site"),
    text("map", "map", kind="object", note="T/CSAE 53 MAP, positions absolute in 1e-7 degrees"),
    text("eTag", "tag", note="changes with the map"),
    text("ack", constant=False),
)
TRACKS: Table = (
    whole("number", "total", low=0),
    rows(
        "targets", "tracks",
        text("targetId", "name", note="short-lived"),
        number("latitude", "latitude_deg", "degrees", decimals=7, low=-90, high=90),
        number("longitude", "longitude_deg", "degrees", decimals=7, low=-180, high=180),
        number(
            "headingAngle", "heading_deg", "degrees from north", decimals=1, low=0, high=360,
            optional=True,
        ),
        number("speed", "speed_mps", "m/s", decimals=2),
        number("targetLength", "length_m", "m", decimals=1, low=0),
        number("targetWidth", "width_m", "m", decimals=1, low=0),
        number("confidenceLevel", "existence_probability", decimals=2, low=0, high=1),
    ),
    text("deviceId", "device"),
    text("report_time", "time_utc", note="ISO 8601, UTC"),
)  # fmt: skip
FAULTY_BITS = 0b0110_0000_1100_0000
"""Of sixteen bits, the first highest: stopped clock, failure flash, failure, off."""


class OpenV2x(Profile):
    """Topics `V2X/RSU/…`, `V2X/RADAR/…`."""

    hears_frames = True
    hears_machine = True

    def __init__(self, options: OpenV2xProfile, place: Place, boot: Instant) -> None:
        self._options = options
        self._rates = Rates(options)
        self._born_s = boot.utc_ns // NS_PER_S
        self._beat = Due(options.heartbeat_s, boot)
        self._info = Due(INFO_S, boot)
        self._running = Due(options.running_info_s, boot)
        self._load: MachineLoad | None = None
        self._introduced = False
        self._works = True
        self._unit: Document = {
            "esn": options.esn, "id": place.rsu_id or options.esn, "site": place.site,
            "title": place.title or place.site, "profile": place.profile,
            "version": place.version, "latitude": place.frame.latitude,
            "longitude": place.frame.longitude, "limit": options.up_limit_hz,
            "device": options.radar,
        }  # fmt: skip

    def tick(self, now: Instant) -> Iterable[Statement]:
        """Heartbeats; who we are, at the start and then hourly."""
        if self._info.passed(now) or not self._introduced:
            self._introduced = True
            yield from self._introduction(now)
        if self._beat.passed(now):
            body = mapped(HEARTBEAT, self._unit)
            yield self._statement("HB", body, Priority.STATE, BEAT_TTL_S, now.utc_ns)
        if self._running.passed(now) and self._load is not None:
            load, self._load = self._load, None  # no news is no report
            body = mapped(RUNNING_INFO, {**self._unit, **_running(load)})
            name = "RunningInfo"
            yield self._statement(name, body, Priority.TELEMETRY, RUNNING_TTL_S, load.time_ns)

    def machine(self, load: MachineLoad) -> None:
        """Remember it for RunningInfo."""
        self._load = load

    def news(self, news: News, now: Instant) -> Iterable[Statement]:
        """Road events as RSI, tracks as a radar's; what our health changes of who we are."""
        if news.subject == "health":
            works = news.document["capability"] not in ("blind", None)
            if works != self._works:
                self._works = works
                yield from self._introduction(now)
        elif news.subject == "event" and news.document["gbt29100_code"] is not None:
            yield from self._event(news)
        elif news.subject == "tracks" and self._options.radar is not None:
            tracks = [{**one, "name": str(one["track"])} for one in news.document["tracks"]]
            body = mapped(TRACKS, {**self._unit, **news.document, "tracks": tracks})
            topic = self._join("V2X", "RADAR", self._options.radar, "TRACK", "UP")
            yield Statement(
                topic=f"/{topic}", body=body, priority=news.priority, ttl_s=LIVE_TTL_S,
                capture_ns=news.capture_ns,
            )  # fmt: skip

    def frame(self, frame: V2xFrame, now: Instant) -> Iterable[Statement]:
        """RSM, SPAT and MAP in the platform's words; RSI comes from the events themselves."""
        if not of_china(frame) or frame.message == "RSI" or not self._rates.pass_on(frame, now):
            return
        content = content_of(frame)
        if content is None:
            return
        table, source = getattr(self, f"_{frame.message.lower()}")(content, frame)
        priority, ttl_s = LIFE[frame.message]
        body = mapped(table, {**self._unit, **source})
        yield self._statement(frame.message, body, priority, ttl_s, frame.time_ns)

    def _introduction(self, now: Instant) -> Iterable[Statement]:
        source = {**self._unit, "status": "Normal" if self._works else "Abnormal"}
        for name, table in (("INFO", INFO), ("BaseINFO", BASE_INFO)):
            body = mapped(table, source)
            yield self._statement(name, body, Priority.STATE, STATE_TTL_S, now.utc_ns)

    def _event(self, news: News) -> Iterable[Statement]:
        event = news.document
        # alertID is a whole number; event numbers begin anew at every start of the unit.
        number = self._born_s * 100_000 + event["event"] % 100_000
        held = _seconds(event["time_utc"]) - _seconds(event["start_utc"])
        holds = event["phase"] != "end"
        source = {**event, "number": number, "duration_s": max(held, 0.0), "holds": holds}
        body = mapped(RSI, {**self._unit, "events": [source]})
        yield self._statement("RSI", body, news.priority, news.ttl_s, news.capture_ns)

    def _rsm(self, content: Document, _frame: V2xFrame) -> tuple[Table, Document]:
        everyone = [{**one, "name": str(one["ptcId"])} for one in content["participants"]]
        one = {"refPos": content["refPos"], "participants": everyone}
        return RSM, {"rsms": [one]}

    def _spat(self, content: Document, frame: V2xFrame) -> tuple[Table, Document]:
        crossings = []
        for one in content["intersections"]:
            node = one["intersectionId"]
            phases = [_phase(phase, frame.time_ns) for phase in one["phases"]]
            crossings.append(
                {
                    "node": f"{node.get('region', 0)}-{node['id']}",
                    "works": not one["status"] & FAULTY_BITS,
                    "phases": [phase for phase in phases if phase is not None],
                }
            )
        return SPAT, {"intersections": crossings}

    def _map(self, content: Document, frame: V2xFrame) -> tuple[Table, Document]:
        return MAP, {"map": {"nodes": content["nodes"]}, "tag": content_tag(frame)}

    def _statement(
        self, name: str, body: Document, priority: Priority, ttl_s: float, capture_ns: int
    ) -> Statement:
        return Statement(
            topic=f"/{self._topic(name)}", body=body, priority=priority, ttl_s=ttl_s,
            capture_ns=capture_ns,
        )  # fmt: skip

    def _topic(self, name: str) -> str:
        if name in ("HB", "INFO", "BaseINFO", "RunningInfo"):
            return self._join("V2X", "RSU", name, "UP")
        return self._join("V2X", "RSU", self._options.esn, name, "UP")

    def _join(self, *words: str) -> str:
        return self._options.delimiter.join(words)

    def channels(self) -> tuple[Channel, ...]:
        """One topic a message."""
        what = {
            "INFO": ("Registration", INFO), "BaseINFO": ("What the unit is", BASE_INFO),
            "HB": ("The unit is there", HEARTBEAT),
            "RunningInfo": ("How busy its computer is", RUNNING_INFO),
            "RSM": ("Road users, as on the air", RSM),
            "RSI": ("One road event", RSI), "SPAT": ("Signals, as on the air", SPAT),
            "MAP": ("Lanes, as on the air", MAP),
        }  # fmt: skip
        channels = [
            Channel(
                name=name, address=self._topic(name), summary=summary, schema=json_schema(table)
            )
            for name, (summary, table) in what.items()
        ]
        if self._options.radar is not None:
            address = self._join("V2X", "RADAR", self._options.radar, "TRACK", "UP")
            channels.append(
                Channel(
                    name="TRACK", address=address, summary="All tracks, as a radar's",
                    schema=json_schema(TRACKS),
                )
            )  # fmt: skip
        return tuple(channels)


def _running(load: MachineLoad) -> Document:
    source = msgspec.structs.asdict(load)
    source["uti"] = f"{100.0 * load.utilisation:.1f}%"
    source["memory_free"] = load.memory_total - load.memory_used
    source["disk_free"] = load.disk_total - load.disk_used
    return source


def _phase(phase: Document, time_ns: int) -> Document | None:
    """A phase now; the platform wants the end of its light, so one without is left out."""
    if not phase["phaseStates"]:
        return None
    now = phase["phaseStates"][0]
    timing = now.get("timing", {}).get("counting", {})
    end = timing.get("likelyEndTime", timing.get("maxEndTime"))
    if end is None or end > LONGEST_COUNT:
        return None
    ends = datetime.fromtimestamp(time_ns / NS_PER_S + end / 10.0, UTC)
    return {
        "number": str(phase["id"]),
        "light": now["light"],
        "ends": f"{ends:%Y-%m-%d %H:%M:%S}",
    }


def _seconds(time_utc: str) -> float:
    return datetime.fromisoformat(time_utc).timestamp()
