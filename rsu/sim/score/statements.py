"""What was said of lights and bays against what they were; how often and how late things were said.

Signal states, SPAT frames, parking states, and the age of everything published go in; accuracies,
rates and percentiles come out.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rsu.schema.parking import BayStatus, ParkingState
from rsu.schema.reports import Truth
from rsu.schema.signals import LightState, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.schema.v2x import V2xFrame
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.tracking import Numbers, share
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.v2x.unit import Unit

FLICKER_NS = 150_000_000
"""Around a change of light nobody is wrong: a period of the truth and half one of a controller."""
SETTLED_NS = 5 * NS_PER_S
"""What a unit may take to notice that a bay has changed."""
KEPT_TRUTHS = 30
"""Truths kept to compare with: three seconds at 10 Hz."""
LEVELS = (50, 95, 99)
SPAT = "SPAT"
AMERICAN_SPAT = "message.sae/SPAT"


@dataclass(frozen=True)
class _Said:
    what: str
    time_ns: int
    lights: dict[int, LightState]


class Lights:
    """Lights told, by `signals` (the controller's states) and by each SPAT's name."""

    def __init__(self) -> None:
        self._waiting: deque[_Said] = deque()
        self._right: dict[str, Counter[bool]] = {}

    def said(self, state: SignalState) -> None:
        """What a controller said."""
        self._wait("signals", state)

    def on_air(self, frame: V2xFrame, publish_ns: int) -> None:
        """What a SPAT frame says, dated as it dates itself."""
        for state in _read_spat(frame, publish_ns):
            self._wait(f"message.{frame.name}", state)

    def judge(self, truths: deque[Truth], *, end: bool = False) -> None:
        """Judge what the truths that have come by now decide."""
        while self._waiting:
            one = self._waiting[0]
            if not end and truths[-1].time_ns < one.time_ns + FLICKER_NS:
                return
            self._waiting.popleft()
            shown = _shown(truths, one.time_ns)
            right = self._right.setdefault(one.what, Counter())
            for group, light in one.lights.items():
                colours = shown.get(group, set())
                if len(colours) == 1:
                    # J2735 has no flashing green: it is said as the green that it is.
                    same = _colour(light) in colours or (
                        one.what == AMERICAN_SPAT
                        and colours == {LightState.FLASHING_GREEN}
                        and _colour(light) == "green"
                    )
                    right[same] += 1

    def numbers(self) -> Numbers:
        """`signals.accuracy`, `message.SPAT.accuracy`."""
        out: Numbers = {"signals.accuracy": None}
        for name, right in sorted(self._right.items()):
            out[f"{name}.accuracy"] = share(right[True], right.total())
        return out

    def _wait(self, what: str, state: SignalState) -> None:
        known: dict[int, LightState] = {
            one.group: one.light for one in state.groups if one.light is not LightState.UNAVAILABLE
        }
        self._waiting.append(_Said(what, state.capture_ns, known))


class Bays:
    """Bays told free or occupied."""

    def __init__(self) -> None:
        self._right: Counter[bool] = Counter()
        self._at_once: Counter[bool] = Counter()
        self._unknown = 0
        self._taken: dict[str, bool] = {}
        self._changed_ns: dict[str, int] = {}

    def saw(self, truth: Truth) -> None:
        """Every truth, in order of time: since when bays are as they are."""
        for bay in truth.bays:
            taken = bay.object is not None
            if self._taken.setdefault(bay.bay, taken) is not taken:
                self._taken[bay.bay] = taken
                self._changed_ns[bay.bay] = truth.time_ns

    def said(self, state: ParkingState, truth: Truth) -> None:
        """What was said of all bays, and the truth nearest in time."""
        taken = {bay.bay: bay.object is not None for bay in truth.bays}
        for bay in state.bays:
            if bay.bay not in taken:
                continue
            if bay.status in (BayStatus.FREE, BayStatus.OCCUPIED):
                right = taken[bay.bay] == (bay.status is BayStatus.OCCUPIED)
                self._at_once[right] += 1
                changed_ns = self._changed_ns.get(bay.bay)
                if changed_ns is None or truth.time_ns - changed_ns >= SETTLED_NS:
                    self._right[right] += 1
            else:
                self._unknown += 1

    def numbers(self) -> Numbers:
        """`bays.accuracy` of those that had not changed for 5 s, `bays.accuracy_at_once` of all
        told; `bays.known`, the share told at all."""
        told = self._at_once.total()
        return {
            "bays.accuracy": share(self._right[True], self._right.total()),
            "bays.accuracy_at_once": share(self._at_once[True], told),
            "bays.known": share(told, told + self._unknown),
        }


class Ages:
    """Ages when published, by message: of the statement and of the oldest evidence behind it."""

    def __init__(self) -> None:
        self.statement: defaultdict[str, Distribution] = defaultdict(Distribution)
        self.evidence: defaultdict[str, Distribution] = defaultdict(Distribution)
        self._messages: Counter[str] = Counter()

    def take(self, name: str, time_ns: int, capture_ns: int, publish_ns: int) -> None:
        """Something that speaks of `time_ns` on evidence from `capture_ns` on."""
        self.statement[name].add((publish_ns - time_ns) / NS_PER_MS)
        self.evidence[name].add((publish_ns - capture_ns) / NS_PER_MS)

    def on_air(self, frame: V2xFrame, capture_ns: int, publish_ns: int) -> None:
        """One frame."""
        self._messages[frame.name] += 1
        self.take(frame.name, frame.time_ns, capture_ns, publish_ns)

    def numbers(self, seconds: float) -> Numbers:
        """`message.M.rate_hz`, `age_ms.M.p50` …, `evidence_age_ms.M.p50` …"""
        out: Numbers = {}
        for name, count in sorted(self._messages.items()):
            out[f"message.{name}.rate_hz"] = count / seconds
        for kind, ages in (("age_ms", self.statement), ("evidence_age_ms", self.evidence)):
            for name, values in sorted(ages.items()):
                for level in LEVELS:
                    out[f"{kind}.{name}.p{level}"] = values.quantile(level / 100)
        return out


def nearest(truths: Iterable[Truth], time_ns: int) -> Truth | None:
    """The truth nearest in time, None without any."""
    return min(truths, key=lambda truth: abs(truth.time_ns - time_ns), default=None)


def _shown(truths: Iterable[Truth], time_ns: int) -> dict[int, set[str]]:
    """What each group showed around a moment."""
    shown: dict[int, set[str]] = {}
    for truth in truths:
        if abs(truth.time_ns - time_ns) <= FLICKER_NS:
            for one in truth.lights:
                shown.setdefault(one.group, set()).add(_colour(one.light))
    return shown


def _colour(light: LightState) -> str:
    """Greens are one: no controller tells whether a green is protected."""
    greens = (LightState.PERMISSIVE_GREEN, LightState.PROTECTED_GREEN)
    return "green" if light in greens else str(light)


def _read_spat(frame: V2xFrame, publish_ns: int) -> list[SignalState]:
    from rsu.v2x.csae import read_spat as csae
    from rsu.v2x.sae import read_spat as sae

    if frame.message != SPAT:
        return []
    american = frame.profile.startswith("j2735")
    # The content stands behind its own name, in J2735 within a frame with a number.
    whole = frame.value["value"]["SPAT"] if american else frame.value["spatFrame"]
    found: list[SignalState] = []
    for one in whole["intersections"]:
        where: dict[str, Any] = one["id" if american else "intersectionId"]
        unit = Unit(
            rsu_id="", site=SiteMap(LocalFrame(0.0, 0.0, 0.0)), region=where.get("region", 0),
            intersection=where["id"],
        )  # fmt: skip
        content = {**whole, "intersections": [one]}
        found += (sae if american else csae).read(content, unit, publish_ns)
    return found
