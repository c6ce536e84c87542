"""Fields of a vendor's JSON as a mapping names them: paths, numbers, units, tables, times. Pure.

Drivers of radars, bay sensors and weather stations read their documents with these; what a mapping
may say is in `rsu.config.radar_mapping`. What cannot be read is `Refused`, with a reason code.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar, cast

import msgspec

from rsu.config.radar_mapping import ANGLES, LENGTHS, SHARES, SPEEDS, Quantity, TimeOptions
from rsu.schema.units import NS_PER_S, Instant

T = TypeVar("T")

_EPOCH_STEPS = {"epoch_s": NS_PER_S, "epoch_ms": 1_000_000, "epoch_us": 1000, "epoch_ns": 1}
_FACTORS = {**LENGTHS, **SPEEDS, **ANGLES, **SHARES}
_COMPACT = re.compile(r"\d{14}(\d{3})?")
_LATEST_NS = 1 << 62  # year 2116: beyond, an epoch in the wrong unit


class Refused(Exception):  # noqa: N818 - a word, not a failure
    """What cannot be used; the text is the reason code."""


def parsed(octets: bytes) -> Any:
    """A JSON document; raises Refused."""
    try:
        return msgspec.json.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused("not_json") from None


def measured_ns(document: Any, time: TimeOptions, latency_s: float, now: Instant) -> int:
    """When a document that arrived `now` was measured, ns UTC; raises Refused.

    Where it states no time, `latency_s` before its arrival.
    """
    if time.format == "arrival" or time.path is None:
        return now.utc_ns - round(latency_s * NS_PER_S)
    found = time_ns(value_at(document, time.path), time)
    if not 0 < found < _LATEST_NS:
        raise Refused("bad_time")
    return found


def value_at(value: Any, path: str) -> Any:
    """What stands at a path, None where nothing does."""
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def raw_number(value: Any) -> float | None:
    """A finite number, also where the vendor writes it as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def optional_value(item: Any, quantity: Quantity) -> float | None:
    """A quantity in its base unit (m, m/s, degrees, 0..1); None where it is not known."""
    raw = raw_number(value_at(item, quantity.path))
    if raw is None or raw in quantity.invalid:
        return None
    unit = _FACTORS.get(getattr(quantity, "unit", ""), 1.0)
    value = (raw * quantity.factor + quantity.offset) * unit
    return value if math.isfinite(value) else None


def required_value(item: Any, quantity: Quantity) -> float:
    """A quantity that has to be there; raises Refused."""
    value = optional_value(item, quantity)
    if value is None:
        raise Refused("bad_object")
    return value


def share_value(item: Any, share: Quantity | None) -> float | None:
    """0..1, None where it is not stated or no share."""
    value = None if share is None else optional_value(item, share)
    return value if value is not None and 0.0 <= value <= 1.0 else None


def looked_up(item: Any, options: Any, unknown: T) -> T:
    """What a table (`path`, `table`, `otherwise`) says; `unknown` without a table."""
    if options is None:
        return unknown
    raw = value_at(item, options.path)
    if isinstance(raw, bool):
        raw = "true" if raw else "false"  # as the person wrote it
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if not isinstance(raw, str | int):
        return cast("T", options.otherwise)
    # Keys of a JSON or YAML mapping are text or numbers, as the person wrote them.
    return cast("T", options.table.get(str(raw), options.table.get(raw, options.otherwise)))


def time_ns(raw: Any, options: TimeOptions) -> int:
    """A stated time, ns UTC; raises Refused."""
    step = _EPOCH_STEPS.get(options.format)
    if step is not None:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw * step  # exact: a float has 53 bits, nanoseconds need 61
        number = raw_number(raw)
        if number is None or not abs(number) * step < _LATEST_NS:
            raise Refused("bad_time")
        return int(raw) * step if str(raw).isdecimal() else round(number * step)
    text = str(raw) if isinstance(raw, str | int) else ""
    try:
        moment = _moment(text, options)
    except (ValueError, OverflowError):
        raise Refused("bad_time") from None
    if moment.tzinfo is None:
        if options.utc_offset_h is None:
            raise Refused("time_without_zone")
        moment = moment.replace(tzinfo=timezone(timedelta(hours=options.utc_offset_h)))
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def _moment(text: str, options: TimeOptions) -> datetime:
    if options.format == "iso8601":
        return datetime.fromisoformat(text)
    if not _COMPACT.fullmatch(text):
        raise ValueError(text)
    return datetime.strptime(text.ljust(17, "0"), "%Y%m%d%H%M%S%f")  # noqa: DTZ007 - zone is added
