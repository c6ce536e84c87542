"""Profile `fiware`: NGSI-LD entities of the Smart Data Models (docs/platforms/fiware.md).

Lane traffic becomes TrafficFlowObserved, bays ParkingSpot, lots On- or OffStreetParking, road
events Alert. Units and their traps: speeds in km/h, `intensity` is vehicles in the period (not per
hour), `occupancy` a fraction 0..1, GeoJSON is longitude before latitude. What a model has no field
for stands in sub-properties: how sure a bay's status is (`confidence`), since when (`observedAt`),
how much of a count was seen (`coverage`). Vehicles, their stays and tracks are not named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rsu.config.platforms import FiwareProfile
from rsu.schema.units import NS_PER_S, Instant
from rsu.uplink.profiles.base import Channel, News, Place, Profile, Statement
from rsu.uplink.profiles.mapping import (
    Document,
    Field,
    Table,
    field_schema,
    mapped,
    number,
    text,
    whole,
)

PARKING_REPEAT_NS = 60 * NS_PER_S
"""A bay that has not changed is told again this often, so that who joins late knows it."""
TIME = "ISO 8601, UTC"

# Properties as facts: the tables of smart-data-models, dataModel.Transportation and .Parking.
TRAFFIC: Table = (
    text("dateObserved", "interval", note=f"{TIME}: from/to"),
    text("dateObservedFrom", "start_utc", note=TIME),
    text("dateObservedTo", "end_utc", note=TIME),
    whole("intensity", "count", "vehicles in the period", low=0),
    number(
        "averageVehicleSpeed", "mean_speed_mps", "km/h", scale=3.6, decimals=1, low=0, optional=True
    ),
    number("occupancy", "occupancy", "fraction of time", decimals=3, low=0, high=1, optional=True),
    number("averageHeadwayTime", "headway_s", "s", decimals=1, low=0, optional=True),
    whole("laneId", "lane_id", low=1, optional=True, note="1: nearest to the median"),
    text("laneDirection", constant="forward"),
    text("name", "lane"),
)
SPOT: Table = (
    text(
        "status",
        words={"free": "free", "occupied": "occupied", "unknown": "unknown", "closed": "closed"},
    ),
    text("category", each=True),
    text("name", "bay"),
)
LOT: Table = (
    whole("totalSpotNumber", "total", "spots", low=0),
    whole("availableSpotNumber", "totals.free", "spots known to be free", low=0, optional=True),
    whole(
        "occupiedSpotNumber", "totals.occupied", "spots known to be occupied", low=0, optional=True
    ),
    number(
        "occupancy",
        "occupancy",
        "of the spots that are known",
        decimals=3,
        low=0,
        high=1,
        optional=True,
    ),
    text("occupancyModified", "time_utc", note=TIME),
    whole(
        "vehicleEntranceCount",
        "totals.entries",
        "vehicles since accessModified",
        low=0,
        optional=True,
    ),
    whole(
        "vehicleExitCount", "totals.exits", "vehicles since accessModified", low=0, optional=True
    ),
    text("accessModified", "totals.counted_since_utc", optional=True, note=TIME),
    text("occupancyDetectionType", constant=["singleSpaceDetection"]),
    text(
        "status",
        "state",
        each=True,
        words={"full": "full", "spaces": "spacesAvailable"},
        optional=True,
    ),
    text("name", "lot"),
)
SUBCATEGORIES: Mapping[str, str] = {
    "congestion": "trafficJam",
    "stopped-vehicle": "carStopped",
    "illegal-parking": "carStopped",
    "fire-lane-blocked": "carStopped",
    "wrong-way": "carWrongDirection",
    "pedestrian-on-carriageway": "pedestrianOnRoad",
    "crash-suspected": "carAccident",
    "water-on-road": "flood",
    "low-visibility": "fog",
    "ice": "ice",
}
OTHERWISE = "hazardOnRoad"
SEVERITIES = {
    0: "informational", 1: "informational", 2: "low", 3: "low", 4: "medium", 5: "medium",
    6: "high", 7: "critical",
}  # fmt: skip
ALERT: Table = (
    text("category", constant="traffic"),
    text("subCategory", "kind", words=SUBCATEGORIES, otherwise=OTHERWISE),
    text("severity", words=SEVERITIES, otherwise="informational"),
    text("dateIssued", "time_utc", note=TIME),
    text("validFrom", "start_utc", note=TIME),
    text("validTo", "ended_utc", optional=True, note=f"{TIME}; once it has ended"),
    text("alertSource", "source"),
    text("description", "kind", note="our name of the kind of event"),
)
SPOT_STATUS: Table = (
    text("observedAt", "since_utc", note=TIME),
    number("confidence", "confidence", decimals=2, low=0, high=1, optional=True),
)


class Fiware(Profile):
    """News as entities, one publication each: `<prefix>/<type>/<name>`."""

    def __init__(self, options: FiwareProfile, place: Place, boot: Instant) -> None:
        self._options = options
        self._born_s = boot.utc_ns // NS_PER_S
        self._place = place
        self._prefix = options.topic_prefix.replace("{site}", place.site)
        self._spots: dict[str, tuple[str, int]] = {}  # bay -> status as told, mono ns
        bays, lanes = place.site_map.bays, place.site_map.lanes
        self._centres = {bay.id: _place(place, *bay.centre) for bay in bays}
        self._ways = {lane.id: _way(place, lane.centreline.tolist()) for lane in lanes}
        self._numbers = {lane.id: lane.lane_id for lane in place.site_map.lanes}

    def news(self, news: News, now: Instant) -> Iterable[Statement]:
        """Entities of one document."""
        if news.subject == "traffic":
            entities = [self._traffic(lane, news.document) for lane in news.document["lanes"]]
        elif news.subject == "parking":
            entities = [*self._spots_of(news.document, now), *self._lot(news.document)]
        elif news.subject == "event":
            entities = [self._alert(news.document)]
        else:
            return
        for entity in entities:
            name = entity["id"].rpartition(":")[2]
            yield Statement(
                topic=f"/{self._prefix}/{entity['type']}/{name}", body=entity,
                priority=news.priority, ttl_s=news.ttl_s, capture_ns=news.capture_ns,
                content_type="application/ld+json",
            )  # fmt: skip

    def _traffic(self, lane: Document, period: Document) -> Document:
        interval = f"{period['start_utc']}/{period['end_utc']}"
        number = self._numbers.get(lane["lane"])
        source = {**period, **lane, "interval": interval, "lane_id": number}
        properties = _properties(TRAFFIC, source)
        if lane["coverage"] is not None:  # below 1 the count is a lower bound
            properties["intensity"]["coverage"] = _property(lane["coverage"])
        where = self._ways.get(lane["lane"])
        return self._entity("TrafficFlowObserved", lane["lane"], properties, where)

    def _spots_of(self, lot: Document, now: Instant) -> Iterable[Document]:
        category = self._category(lot["lot"])
        for bay in lot["bays"]:
            told, at_ns = self._spots.get(bay["bay"], ("", 0))
            if told == bay["status"] and now.mono_ns - at_ns < PARKING_REPEAT_NS:
                continue
            self._spots[bay["bay"]] = bay["status"], now.mono_ns
            properties = _properties(SPOT, {**bay, "category": [category]})
            occupied = bay["occupied_probability"]
            sure = {"occupied": occupied, "free": 1.0 - occupied}.get(bay["status"])
            about = mapped(SPOT_STATUS, {**bay, "confidence": sure})
            if "confidence" in about:
                about["confidence"] = _property(about["confidence"])
            properties["status"] |= about
            properties["refParkingSite"] = {
                "type": "Relationship",
                "object": self._urn(_site_type(category), lot["lot"]),
            }
            where = self._centres.get(bay["bay"])
            point = None if where is None else {"type": "Point", "coordinates": where}
            yield self._entity("ParkingSpot", bay["bay"], properties, point)

    def _lot(self, lot: Document) -> Iterable[Document]:
        if lot["part"] != 1:
            return
        totals = lot["totals"] or {}
        free, occupied = totals.get("free"), totals.get("occupied")
        known = None if free is None or occupied is None else free + occupied
        state = None
        if free:
            state = ["spaces"]
        elif known and not totals["unknown"]:
            state = ["full"]
        share = occupied / known if known else None
        source = {**lot, "occupancy": share, "state": state}
        properties = _properties(LOT, source)
        kind = _site_type(self._category(lot["lot"]))
        bays = [self._centres[bay["bay"]] for bay in lot["bays"] if bay["bay"] in self._centres]
        yield self._entity(kind, lot["lot"], properties, _middle(bays))

    def _alert(self, event: Document) -> Document:
        ended = event["time_utc"] if event["phase"] == "end" else None
        source = {**event, "ended_utc": ended, "source": self._urn("Device", self._place.site)}
        properties = _properties(ALERT, source)
        properties["subCategory"]["confidence"] = _property(event["confidence"])
        where = {"type": "Point", "coordinates": [event["longitude_deg"], event["latitude_deg"]]}
        # Event numbers begin anew at every start of the unit.
        return self._entity("Alert", f"{self._born_s}-{event['event']}", properties, where)

    def _entity(
        self, kind: str, name: str, properties: Document, where: Document | None
    ) -> Document:
        entity: Document = {"id": self._urn(kind, name), "type": kind, **properties}
        if where is not None:
            entity["location"] = {"type": "GeoProperty", "value": where}
        if self._options.provider is not None:
            entity["dataProvider"] = _property(self._options.provider)
        return entity | {"@context": [self._options.context]}

    def _urn(self, kind: str, name: str) -> str:
        return f"urn:ngsi-ld:{kind}:{self._place.site}:{name}"

    def _category(self, lot: str) -> str:
        return "onStreet" if lot in self._options.on_street else "offStreet"

    def channels(self) -> tuple[Channel, ...]:
        """One topic a type of entity."""
        return tuple(
            Channel(
                name=kind, address=f"{self._prefix}/{kind}/{{name}}", summary=summary,
                schema=_entity_schema(kind, table, extra),
            )
            for kind, table, extra, summary in _ENTITIES
        )  # fmt: skip


def _properties(table: Table, source: Document) -> Document:
    """NGSI-LD properties of the mapped fields."""
    return {name: _property(value) for name, value in mapped(table, source).items()}


def _property(value: Any) -> Document:
    return {"type": "Property", "value": value}


def _site_type(category: str) -> str:
    return "OnStreetParking" if category == "onStreet" else "OffStreetParking"


def _place(place: Place, x: float, y: float) -> list[float]:
    """Longitude and latitude, to 1.1 cm."""
    latitude, longitude, _ = place.frame.to_geodetic(x, y)
    return [round(longitude, 7), round(latitude, 7)]


def _way(place: Place, points: list[list[float]]) -> Document:
    return {"type": "LineString", "coordinates": [_place(place, x, y) for x, y in points]}


def _middle(points: list[list[float]]) -> Document | None:
    """A lot's place: the mean of its bays'."""
    if not points:
        return None
    middle = [round(sum(axis) / len(points), 7) for axis in zip(*points, strict=True)]
    return {"type": "Point", "coordinates": middle}


# --- what an entity looks like, for AsyncAPI and tests --------------------------------------------

_MEMBERS = {
    "observedAt": {"type": "string", "description": f"since when; {TIME}"},
    "confidence": {"description": "probability that the value is right"},
    "coverage": {"description": "share of what should have been seen that was; below 1 the value "
                 "is a lower bound"},
}  # fmt: skip
_COORDINATES: Document = {
    "type": "array", "minItems": 2, "maxItems": 2, "description": "longitude, latitude",
    "prefixItems": [
        {"type": "number", "minimum": -180, "maximum": 180},
        {"type": "number", "minimum": -90, "maximum": 90},
    ],
}  # fmt: skip
_SHARE: Document = {"type": "number", "minimum": 0, "maximum": 1}
_ENTITIES: tuple[tuple[str, Table, dict[str, tuple[str, ...]], str], ...] = (
    (
        "TrafficFlowObserved", TRAFFIC, {"intensity": ("coverage",)},
        "Traffic on one lane over one period",
    ),
    ("ParkingSpot", SPOT, {"status": ("observedAt", "confidence")}, "One parking bay"),
    ("OnStreetParking", LOT, {}, "A lot at the roadside"),
    ("OffStreetParking", LOT, {}, "Any other lot"),
    ("Alert", ALERT, {"subCategory": ("confidence",)}, "One road event, from onset to end"),
)  # fmt: skip


def _entity_schema(kind: str, table: Table, extra: dict[str, tuple[str, ...]]) -> Document:
    """JSON Schema of one type of entity."""
    properties: Document = {
        "id": {"type": "string", "pattern": f"^urn:ngsi-ld:{kind}:", "maxLength": 256},
        "type": {"const": kind},
        **{field.name: _property_schema(field, extra.get(field.name, ())) for field in table},
        "location": _member({"value": {
            "type": "object", "required": ["type", "coordinates"], "additionalProperties": False,
            "properties": {
                "type": {"enum": ["Point", "LineString"]},
                "coordinates": {"anyOf": [_COORDINATES, {"type": "array", "items": _COORDINATES}]},
            },
        }}, "GeoProperty"),
        "dataProvider": _member({"value": {"type": "string"}}),
        "@context": {"type": "array", "items": {"type": "string"}},
    }  # fmt: skip
    required = ["id", "type", "@context", *(field.name for field in table if not field.optional)]
    if kind == "ParkingSpot":
        properties["refParkingSite"] = _member(
            {"object": {"type": "string", "pattern": "^urn:ngsi-ld:O(n|ff)StreetParking:"}},
            "Relationship",
        )
        required.append("refParkingSite")
    return {
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": False,
    }  # fmt: skip


def _property_schema(field: Field, extra: tuple[str, ...]) -> Document:
    schema = _member({"value": field_schema(field)})
    for name in extra:
        inner = _MEMBERS[name]
        schema["properties"][name] = (
            inner if name == "observedAt" else inner | _member({"value": _SHARE})
        )
    return schema


def _member(values: Document, kind: str = "Property") -> Document:
    return {
        "type": "object", "properties": {"type": {"const": kind}, **values},
        "required": ["type", *values], "additionalProperties": False,
    }  # fmt: skip
