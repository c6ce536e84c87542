"""Profile `huawei_dris`: JSON of Huawei's road digitisation service (docs/platforms/).

RSM, RSI, SPAT and MAP go up as they are on the air, under the platform's names and in its units:
1e-7 degrees, 0.1 m of height, 0.02 m/s, 0.0125 degrees, sizes in cm (height 5 cm), light colours as
the numbers of T/CSAE 53 in text. `ptcId` is the short-lived id on the air; `global_track_id`, the
platform's lasting name of a vehicle, is not said. Lane counts go to an edge where one is named.
"""

from __future__ import annotations

from collections.abc import Iterable

from rsu.config.platforms import HuaweiDrisProfile
from rsu.schema.units import Instant
from rsu.schema.v2x import V2xFrame
from rsu.uplink.profiles.base import (
    Channel,
    News,
    Place,
    Profile,
    Statement,
)
from rsu.uplink.profiles.mapping import (
    Document,
    Field,
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

PARTICIPANTS = 16
"""The platform's longest list of them; a message with more becomes several."""
PARTICIPANT_TYPES = {
    "unknown": "0", "motor": "1", "non-motor": "2", "pedestrian": "3", "rsu": "4",
}  # fmt: skip
SOURCES = {
    "unknown": 0, "selfinfo": 1, "v2x": 2, "video": 3, "microwaveRadar": 4, "loop": 5, "lidar": 6,
    "integrated": 7,
}  # fmt: skip
SECTIONS = 128  # the platform counts no farther
STATUS_BITS = 0xFFFC
"""Fourteen bits, the first one highest; the last two of sixteen are 0."""


class _Tables:
    """The platform's messages; positions in steps of 1e-7 degree, or in degrees."""

    def __init__(self, *, degrees: bool) -> None:
        self._degrees = degrees
        place = self._position
        paths = rows(
            "referencePaths", "referencePaths",
            rows("activePath", "activePath", *self._axes()),
            whole("pathRadius", "pathRadius", "0.1 m", low=0, optional=True),
            optional=True,
        )  # fmt: skip
        minutes = [
            whole(name, name, "minute of the year", low=0, high=527040, optional=True)
            for name in ("startTime", "endTime")
        ]
        times = group("timeDetails", "timeDetails", *minutes, optional=True)
        node = (
            whole("region", "region", low=0, high=65535, optional=True),
            whole("id", "id", low=0, high=65535),
        )
        phase = whole("phaseId", "phaseId", low=0, high=255, optional=True)
        limits = rows(
            "speedLimits", "speedLimits", text("type"),
            whole("speed", "speed", "0.02 m/s", low=0, high=8191), optional=True,
        )  # fmt: skip
        points = rows("points", "points", *self._axes("posOffset."), optional=True)
        self.rsm: Table = (
            rows(
                "rsms", "rsms",
                place("refPos", "refPos"),
                rows(
                    "participants", "participants",
                    text("ptcType", words=PARTICIPANT_TYPES, otherwise="0"),
                    whole("ptcId", "ptcId", low=0, high=65535, note="short-lived"),
                    whole("source", "source", words=SOURCES, otherwise=0),
                    whole("secMark", "secMark", "ms in the minute", low=0, high=65535),
                    place("pos", "pos"),
                    whole("speed", "speed", "0.02 m/s", low=0, high=8191),
                    whole("heading", "heading", "0.0125 degrees from north", low=0, high=28800),
                    group(
                        "size", "size",
                        whole("width", "width", "cm", low=0),
                        whole("length", "length", "cm", low=0),
                        whole("height", "height", "5 cm", low=0, optional=True),
                    ),
                    most=PARTICIPANTS,
                ),
            ),
        )  # fmt: skip
        self.rsi: Table = (
            text("rsiSourceId", "esn"),
            rows(
                "rsiDatas", "rsiDatas",
                text("id"),
                place("refPos", "refPos"),
                rows(
                    "rtss", "rtss",
                    whole("rtsId", "rtsId", low=0, high=255),
                    whole("signType", "signType", low=0, high=520, note="GB 5768.2"),
                    place("signPosition", "signPos", optional=True),
                    text("signDescription", "description", optional=True),
                    times,
                    whole("signPriority", "priority", low=0, high=7, optional=True),
                    paths,
                    most=16, optional=True,
                ),
                rows(
                    "rtes", "rtes",
                    whole("rteId", "rteId", low=0, high=255),
                    whole("eventType", "eventType", low=0, high=65535, note="GB/T 29100"),
                    text("eventSource", optional=True),
                    place("eventPosition", "eventPos", optional=True),
                    whole("eventRadius", "eventRadius", "0.1 m", low=0, optional=True),
                    text("eventDescription", "description", optional=True),
                    times,
                    whole("eventPriority", "priority", low=0, high=7, optional=True),
                    paths,
                    whole(
                        "eventConfidence", "eventConfidence", "0.5 %, as on the air", low=0,
                        high=200, optional=True,
                    ),
                    most=8, optional=True,
                ),
            ),
        )  # fmt: skip
        mark = whole("timeMark", "", "0.1 s from now", low=0, high=36001)
        counting = [
            group(name, name, mark, optional=True)
            for name in ("startTime", "minEndTime", "maxEndTime", "likelyEndTime", "nextStartTime",
                         "nextDuration")
        ]  # fmt: skip
        self.spat: Table = (
            text("name", optional=True),
            rows(
                "intersections", "intersections",
                group("intersectionId", "intersectionId", *node),
                whole("status", "status", low=0, high=STATUS_BITS, note="bits, the first highest"),
                whole("timeStamp", "time_ms", "ms since 1970, UTC", low=0),
                rows(
                    "phases", "phases",
                    whole("phaseId", "id", low=0, high=255),
                    rows(
                        "phaseStates", "phaseStates",
                        text("light", words=LIGHTS, otherwise="0"),
                        group(
                            "timing", "timing",
                            group("counting", "counting", *counting, optional=True),
                            optional=True,
                        ),
                    ),
                ),
            ),
        )  # fmt: skip
        self.map: Table = (
            group(
                "map", "",
                whole("timeStamp", "time_ms", "ms since 1970, UTC", low=0),
                rows(
                    "nodes", "nodes",
                    text("name", optional=True),
                    group("id", "id", *node),
                    place("refPos", "refPos"),
                    rows(
                        "inLinks", "inLinks",
                        text("name", optional=True),
                        group("upstreamNodeId", "upstreamNodeId", *node),
                        limits,
                        whole("linkWidth", "linkWidth", "cm", low=0),
                        points,
                        rows(
                            "movements", "movements",
                            group("remoteIntersection", "remoteIntersection", *node), phase,
                            optional=True,
                        ),
                        rows(
                            "lanes", "lanes",
                            whole("laneId", "laneID", low=0),
                            whole("laneWidth", "laneWidth", "cm", low=0, optional=True),
                            rows(
                                "connectsTo", "connectsTo",
                                group("remoteIntersection", "remoteIntersection", *node),
                                group(
                                    "connectingLane", "connectingLane",
                                    whole("laneId", "lane", low=0), optional=True,
                                ),
                                phase,
                                optional=True,
                            ),
                            limits,
                            points,
                        ),
                        optional=True,
                    ),
                ),
            ),
            text("eTag", "tag", note="changes with the map"),
        )  # fmt: skip

    def _axes(self, below: str = "") -> Table:
        if self._degrees:
            axes = (
                number("lat", f"{below}lat", "degrees", scale=1e-7, decimals=7, low=-90, high=90),
                number("lon", f"{below}lon", "degrees", scale=1e-7, decimals=7, low=-180, high=180),
            )
        else:
            axes = (
                whole("lat", f"{below}lat", "1e-7 degrees", low=-9e8, high=9e8),
                whole("lon", f"{below}lon", "1e-7 degrees", low=-1.8e9, high=1.8e9),
            )
        ele = whole("ele", f"{below}ele", "0.1 m", low=-4096, high=61439, optional=True)
        return (*axes, ele)

    def _position(self, name: str, source: str, *, optional: bool = False) -> Field:
        return group(name, source, *self._axes(), optional=optional)


FLOW: Table = (
    group("source", "", text("source_type", constant="detection"), text("source_id", "edge")),
    whole("section_id", "section", low=1, high=SECTIONS, note="the lane's place in its file"),
    text("time", note="end of the period, UTC, whole seconds"),
    whole("period", "period_s", "s", low=0),
    whole("flow", "count", "vehicles in the period", low=0),
    number(
        "average_speed", "mean_speed_mps", "km/h", scale=3.6, decimals=1, low=0, high=1000,
        optional=True,
    ),
    text("esn"),
    text("cross_id", "site"),
)  # fmt: skip


class HuaweiDris(Profile):
    """Frames by topic `v2x/v1/rsu/<esn>/<message>/up`."""

    hears_frames = True

    def __init__(self, options: HuaweiDrisProfile, place: Place, _boot: Instant) -> None:
        self._options = options
        self._place = place
        self._rates = Rates(options)
        self._tables = _Tables(degrees=options.position == "degrees")
        vehicles = [lane.id for lane in place.site_map.lanes]
        self._sections = {name: number for number, name in enumerate(vehicles, start=1)}

    def news(self, news: News, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """Lane counts, for the edge."""
        if news.subject != "traffic" or self._options.edge is None:
            return
        around = {
            "edge": self._options.edge, "esn": self._options.esn, "site": self._place.site,
            "period_s": news.document["period_s"], "time": f"{news.document['end_utc'][:19]}Z",
        }  # fmt: skip
        for lane in news.document["lanes"]:
            section = self._sections.get(lane["lane"])
            if section is None or section > SECTIONS:
                continue
            yield Statement(
                topic=f"/{self._flow_topic()}",
                body=mapped(FLOW, {**lane, **around, "section": section}),
                priority=news.priority, ttl_s=news.ttl_s, capture_ns=news.capture_ns,
            )  # fmt: skip

    def frame(self, frame: V2xFrame, now: Instant) -> Iterable[Statement]:
        """The message in the platform's words."""
        if not of_china(frame) or not self._rates.pass_on(frame, now):
            return
        content = content_of(frame)
        if content is None:
            return
        for body in getattr(self, f"_{frame.message.lower()}")(content, frame):
            priority, ttl_s = LIFE[frame.message]
            yield Statement(
                topic=f"/{self._topic(frame.message)}", body=body, priority=priority,
                ttl_s=ttl_s, capture_ns=frame.time_ns,
            )  # fmt: skip

    def _rsm(self, content: Document, _frame: V2xFrame) -> Iterable[Document]:
        everyone = content["participants"]
        for first in range(0, len(everyone), PARTICIPANTS):
            some = everyone[first : first + PARTICIPANTS]
            one = {"refPos": content["refPos"], "participants": some}
            yield mapped(self._tables.rsm, {"rsms": [one]})

    def _rsi(self, content: Document, _frame: V2xFrame) -> Iterable[Document]:
        yield mapped(self._tables.rsi, {"esn": self._options.esn, "rsiDatas": [content]})

    def _spat(self, content: Document, frame: V2xFrame) -> Iterable[Document]:
        time_ms = frame.time_ns // 1_000_000
        crossings = [
            {**one, "time_ms": time_ms, "status": one["status"] & STATUS_BITS}
            for one in content["intersections"]
        ]
        yield mapped(self._tables.spat, {**content, "intersections": crossings})

    def _map(self, content: Document, frame: V2xFrame) -> Iterable[Document]:
        time_ms = frame.time_ns // 1_000_000
        tag = content_tag(frame)
        yield mapped(self._tables.map, {**content, "time_ms": time_ms, "tag": tag})

    def _topic(self, message: str) -> str:
        return f"v2x/v1/rsu/{self._options.esn}/{message.lower()}/up"

    def _flow_topic(self) -> str:
        return self._options.flow_topic.replace("{edge}", self._options.edge or "")

    def channels(self) -> tuple[Channel, ...]:
        """One topic a message; lane counts where an edge is named."""
        tables = self._tables
        of = {"RSM": tables.rsm, "RSI": tables.rsi, "SPAT": tables.spat, "MAP": tables.map}
        channels = [
            Channel(
                name=message, address=self._topic(message), summary=f"{message} on the air",
                schema=json_schema(table),
            )
            for message, table in of.items()
        ]  # fmt: skip
        if self._options.edge is not None:
            flow = Channel(
                name="flow", address=self._flow_topic(), summary="Counts of one lane",
                schema=json_schema(FLOW),
            )  # fmt: skip
            channels.append(flow)
        return tuple(channels)
