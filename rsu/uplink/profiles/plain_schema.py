"""JSON Schemas of our own documents (docs/uplink.md), by subject."""

from __future__ import annotations

from typing import Any

from rsu.schema.events import EventPhase
from rsu.schema.health import Capability, ClockQuality, SensorAlarmKind, SensorState
from rsu.schema.parking import BayMisuse, BayStatus
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.tracks import TrackStatus
from rsu.uplink.profiles.mapping import Document

TEXT: Document = {"type": "string"}
TIME: Document = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
COUNT: Document = {"type": "integer", "minimum": 0}
WHOLE: Document = {"type": "integer"}
NUMBER: Document = {"type": "number"}
SIZE: Document = {"type": "number", "minimum": 0}
SHARE: Document = {"type": "number", "minimum": 0, "maximum": 1}
FLAG: Document = {"type": "boolean"}
COUNTS: Document = {"type": "object", "additionalProperties": COUNT}


def _or_null(schema: Document) -> Document:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(words: Any) -> Document:
    return {"enum": [word.value for word in words]}


def _list(items: Document) -> Document:
    return {"type": "array", "items": items}


def _object(fields: dict[str, Document], optional: tuple[str, ...] = ()) -> Document:
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }


def _document(
    subject: str, fields: dict[str, Document], optional: tuple[str, ...] = ()
) -> Document:
    head = {"schema": {"const": f"rsu.{subject}/1"}, "id": TEXT, "site": TEXT}
    return _object(head | fields, optional)


_PLACE: dict[str, Document] = {
    "latitude_deg": {"type": "number", "minimum": -90, "maximum": 90},
    "longitude_deg": {"type": "number", "minimum": -180, "maximum": 180},
}
_PART: dict[str, Document] = {"part": COUNT, "parts": COUNT, "total": COUNT}
_LINK = _object(
    {
        "age_s": SIZE,
        "connections": COUNT,
        **dict.fromkeys(("connected_s", "rtt_s", "rtt_max_s", "network_rtt_s"), _or_null(SIZE)),
        "resent_share": _or_null(SHARE),
        "sent_bytes": COUNT,
        "received_bytes": COUNT,
        "modem": _or_null(
            _object(
                {
                    "technology": TEXT,
                    **dict.fromkeys(("rsrp_dbm", "rsrq_db", "snr_db"), _or_null(NUMBER)),
                }
            )
        ),
        "modem_unknown": TEXT,
    }
)
_TRACK = _object(
    {
        "track": COUNT,
        "class": _one_of(ObjectClass),
        "class_probability": SHARE,
        "existence_probability": SHARE,
        "status": _one_of(TrackStatus),
        **_PLACE,
        "position_sigma_m": SIZE,
        "speed_mps": NUMBER,
        "speed_sigma_mps": SIZE,
        "heading_deg": _or_null({"type": "number", "minimum": 0, "exclusiveMaximum": 360}),
        "heading_sigma_deg": {"type": "number", "minimum": 0, "maximum": 180},
        "length_m": SIZE,
        "width_m": SIZE,
        "age_s": SIZE,
        "sensors": _list(TEXT),
    }
)
_LANE = _object(
    {
        "lane": TEXT,
        "count": COUNT,
        "counts_by_class": COUNTS,
        "mean_speed_mps": _or_null(SIZE),
        "space_mean_speed_mps": _or_null(SIZE),
        "mean_present": _or_null(SIZE),
        "density_per_km": _or_null(SIZE),
        "occupancy": _or_null(SHARE),
        "headway_s": _or_null(SIZE),
        "stops": COUNT,
        "delay_s": _or_null(NUMBER),
        "mean_queue": _or_null(SIZE),
        "most_queued": COUNT,
        "coverage": _or_null(SHARE),
    }
)
_BAY = _object(
    {
        "bay": TEXT,
        "status": _one_of(BayStatus),
        "occupied_probability": SHARE,
        "since_utc": TIME,
        "entered_utc": _or_null(TIME),
        "misuse": _list(_one_of(BayMisuse)),
        "sources": _list(TEXT),
    }
)
_STAY = _object({"bay": TEXT, "entered_utc": _or_null(TIME), "left_utc": TIME})
_TOTALS = _object(
    {
        "free": COUNT,
        "occupied": COUNT,
        "unknown": COUNT,
        "closed": COUNT,
        "on_aisles": COUNT,
        "entries": _or_null(COUNT),
        "exits": _or_null(COUNT),
        "counted_since_utc": _or_null(TIME),
        "unexplained": _or_null(WHOLE),
    }
)
_ALARM: dict[str, Document] = {
    "kind": _one_of(SensorAlarmKind),
    "sensor": TEXT,
    "against": TEXT,
    "suspect": _or_null(TEXT),
    "active": FLAG,
    "since_utc": TIME,
    "time_utc": TIME,
    "shift_east_m": NUMBER,
    "shift_north_m": NUMBER,
    "shift_sigma_m": SIZE,
    "offset_s": NUMBER,
    "offset_sigma_s": SIZE,
}
_SENSOR = _object(
    {
        "sensor": TEXT,
        "kind": _one_of(SensorKind),
        "state": _one_of(SensorState),
        "since_utc": TIME,
        "age_s": SIZE,
        "detail": TEXT,
        "received": COUNT,
        "dropped": COUNTS,
        "reconnects": COUNT,
    }
)
_CONFLICT = _object(
    {
        "tracks": _list(COUNT),
        "time_to_conflict_s": NUMBER,
        "probability": SHARE,
        "required_deceleration_mps2": NUMBER,
        **_PLACE,
    }
)

SCHEMAS: dict[str, Document] = {
    "tracks": _document(
        "tracks", {"time_utc": TIME, "age_s": SIZE, **_PART, "tracks": _list(_TRACK)}
    ),
    "traffic": _document(
        "traffic",
        {
            "start_utc": TIME,
            "end_utc": TIME,
            "period_s": SIZE,
            "coverage": SHARE,
            "lanes": _list(_LANE),
            "turns": _list(_object({"from": TEXT, "to": TEXT, "count": COUNT})),
        },
    ),
    "parking": _document(
        "parking",
        {
            "time_utc": TIME,
            "lot": TEXT,
            "totals": _or_null(_TOTALS),
            **_PART,
            "bays": _list(_BAY),
            "ended_stays": _list(_STAY),
        },
    ),
    "health": _document(
        "health",
        {
            "time_utc": TIME,
            "clock": _or_null(_one_of(ClockQuality)),
            "capability": _or_null(_one_of(Capability)),
            "unit_age_s": _or_null(SIZE),
            "processes": _list(_object({"name": TEXT, "state": TEXT, "restarts": COUNT})),
            "sensors": _list(_SENSOR),
            "alarms": _list(_object(_ALARM)),
            "link": _LINK,
        },
        optional=("link",),
    ),
    "alarm": _document("alarm", _ALARM),
    "event": _document(
        "event",
        {
            "event": COUNT,
            "kind": TEXT,
            "phase": _one_of(EventPhase),
            "gbt29100_code": _or_null(COUNT),
            "time_utc": TIME,
            "start_utc": TIME,
            **_PLACE,
            "radius_m": SIZE,
            "confidence": SHARE,
            "severity": {"type": "integer", "minimum": 0, "maximum": 7},
            "lanes": _list(TEXT),
            "tracks": _list(COUNT),
            "snapshots": _list(_object({"sensor": TEXT, "number": COUNT, "time_utc": TIME})),
            "conflict": _CONFLICT,
        },
        optional=("conflict",),
    ),
}
