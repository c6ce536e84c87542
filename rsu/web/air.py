"""What is said on the air: rate, age and newest content of every message, and how old it was told.

In: `V2xFrame`, `RadioReport`, `ReceivedV2x`. Out: plain data. The age of a message is from the
moment it speaks of to the hand-over to a radio; where no radio reports (a demonstration without
processes), to its publication, and `at` says which of the two it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from rsu.runtime.metrics import quantile_of
from rsu.schema.message import Message
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.schema.v2x import RadioReport, ReceivedV2x, V2xFrame

RATE_NS = 5 * NS_PER_S
AGES_NS = 60 * NS_PER_S
KEPT = 1200
"""Ages kept a message: two minutes at 10 Hz."""
FRAMES_KEPT = 2000
"""Frames whose radio report may still come: 20 s of a busy unit."""
EDGES_MS = (10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000)
"""Upper edges of the histogram; the last bin is open. 100 ms is the budget of safety messages."""
HEX_OCTETS = 2048


@dataclass
class _Line:
    """One message type."""

    frame: V2xFrame | None = None
    number: int = 0
    moments: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT))
    published: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT))
    sent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT))
    refused: Counter[str] = field(default_factory=Counter)


class Air:
    """All messages said and heard."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._heard: dict[str, tuple[int, deque[int]]] = {}
        self._names: OrderedDict[tuple[str, int, int], str] = OrderedDict()

    def take_frame(self, message: Message) -> None:
        frame: V2xFrame = message.payload
        header = message.header
        line = self._lines.setdefault(frame.name, _Line())
        line.frame = frame
        line.number += 1
        line.moments.append(header.publish_ns)
        line.published.append((header.publish_ns, header.publish_ns - frame.time_ns))
        self._names[(header.source, header.boot_ns, header.seq)] = frame.name
        if len(self._names) > FRAMES_KEPT:
            self._names.popitem(last=False)

    def take_report(self, report: RadioReport) -> None:
        key = (report.frame_source, report.frame_boot_ns, report.frame_seq)
        line = self._lines.setdefault(self._names.get(key, report.message), _Line())
        if report.error is None:
            line.sent.append((report.sent_ns, report.age_ns))
        else:
            line.refused[report.error] += 1

    def take_heard(self, heard: ReceivedV2x) -> None:
        name = heard.message or "?"
        count, moments = self._heard.get(name, (0, deque(maxlen=KEPT)))
        moments.append(heard.capture_ns)
        self._heard[name] = (count + 1, moments)

    def said_at(self, now_ns: int) -> list[dict[str, Any]]:
        """One row a message."""
        return [
            {
                "name": name,
                "profile": line.frame.profile if line.frame else "",
                "count": line.number,
                "rate": _rate(line.moments, now_ns),
                "octets": len(line.frame.payload) if line.frame else 0,
                "newest_s": _since(line.moments, now_ns),
                **_ages(line, now_ns),
                "refused": dict(line.refused),
            }
            for name, line in sorted(self._lines.items())
        ]

    def heard_at(self, now_ns: int) -> list[dict[str, Any]]:
        """One row a message that was heard."""
        return [
            {
                "name": name,
                "count": count,
                "rate": _rate(moments, now_ns),
                "newest_s": _since(moments, now_ns),
            }
            for name, (count, moments) in sorted(self._heard.items())
        ]

    def newest(self, name: str) -> dict[str, Any] | None:
        """The newest frame of that name, decoded; None: never said."""
        line = self._lines.get(name)
        if line is None or line.frame is None:
            return None
        frame = line.frame
        return {
            "name": name,
            "number": line.number,
            "profile": frame.profile,
            "aid": frame.aid,
            "priority": frame.priority,
            "time_ms": frame.time_ns // NS_PER_MS,
            "octets": len(frame.payload),
            "hex": frame.payload[:HEX_OCTETS].hex(),
            "subjects": list(frame.subjects),
            "value": frame.value,
        }


def _ages(line: _Line, now_ns: int) -> dict[str, Any]:
    at, samples = ("radio", line.sent) if line.sent else ("message", line.published)
    ages_ms = [age / NS_PER_MS for when, age in samples if now_ns - when <= AGES_NS]
    bins = [0] * (len(EDGES_MS) + 1)
    for age in ages_ms:
        bins[bisect_left(EDGES_MS, age)] += 1
    return {
        "at": at,
        "age_p50_ms": round(quantile_of(ages_ms, 0.5), 1) if ages_ms else None,
        "age_p99_ms": round(quantile_of(ages_ms, 0.99), 1) if ages_ms else None,
        "bins": bins,
    }


def _rate(moments: deque[int], now_ns: int) -> float:
    return round(sum(1 for when in moments if now_ns - when <= RATE_NS) * NS_PER_S / RATE_NS, 1)


def _since(moments: deque[int], now_ns: int) -> float | None:
    return round((now_ns - moments[-1]) / NS_PER_S, 2) if moments else None
