"""TSCBM datagrams of NTCIP 1202 controllers: octets → `SignalState`. Pure.

Layout (SAE facts 4.4): 241 or 245 octets, big endian; 16 blocks with the times until phase,
pedestrian and overlap outputs change, then bitmaps of which output shows which colour.

Assumptions where the facts are silent:

- Minimum 0 together with maximum 0 states no time: known samples have it for unused phases and for
  reds of running plans alike. 0xFFFF is unknown, for a minimum too.
- Both times count from the datagram's own moment; a minimum above its maximum is believed in
  neither.
- No colour bit is a dark light, two colour bits at once are no known light; a flashing output shows
  no colour in its dark half and is unknown then.
- A block numbered 0 is unused. Walk is a green, don't walk a red.
- Version is the upper five bits of octet 234 (options: `versions`); its lower bits (times have
  jumped) change nothing, since every datagram stands for itself.
- The intersection status is said only as far as the options give its bits a meaning.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from rsu.config.signals import TscbmGroup, TscbmOptions
from rsu.hal.signal.sequence import SequenceGuard
from rsu.hal.stamps import StampGuard
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant

LENGTHS: Final = (241, 245)
"""Without and with pedestrian calls and detections."""
HEADER: Final = b"\xcd\x10"
"""Dynamic object 13, 16 blocks."""
UNKNOWN: Final = 0xFFFF
TENTH_NS: Final = NS_PER_S // 10
DAY_S: Final = 86_400

_BLOCK = struct.Struct(">B6H")
_MAPS = struct.Struct(">11H")
_TAIL = struct.Struct(">4BB2H")  # status, action, discontinuity, sequence, seconds (24 bit), ms
_MAPS_AT = 2 + 16 * _BLOCK.size


class Refused(Exception):  # noqa: N818 - a word, not a failure
    """What cannot be used; the text is the reason code."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram, read. `times`: block number → the six times; `maps`: the eleven bitmaps in
    their order; `second` of the day by the controller's clock."""

    times: dict[int, tuple[int, ...]]
    maps: tuple[int, ...]
    status: int
    version: int
    sequence: int
    second: int
    millisecond: int


def read_datagram(octets: bytes) -> Datagram:
    """Every length and number checked; raises Refused with bad_header, bad_length, bad_phase or
    bad_time."""
    if octets[:2] != HEADER:
        raise Refused("bad_header")
    if len(octets) not in LENGTHS:
        raise Refused("bad_length")
    times: dict[int, tuple[int, ...]] = {}
    for at in range(2, _MAPS_AT, _BLOCK.size):
        number, *six = _BLOCK.unpack_from(octets, at)
        if number == 0:
            continue
        if number > 16 or number in times:
            raise Refused("bad_phase")
        times[number] = tuple(six)
    maps = _MAPS.unpack_from(octets, _MAPS_AT)
    status, _, change, sequence, high, low, millisecond = _TAIL.unpack_from(
        octets, _MAPS_AT + _MAPS.size
    )
    second = high << 16 | low
    if second >= DAY_S or millisecond >= 1000:
        raise Refused("bad_time")
    return Datagram(times, maps, status, change >> 3, sequence, second, millisecond)


class TscbmDecoder:
    """One controller's datagrams, one after the other; `site_intersection` where options name
    none."""

    def __init__(self, options: TscbmOptions, site_intersection: int) -> None:
        self._options = options
        asked = options.intersection
        self._intersection = site_intersection if asked is None else asked
        self._sequence = SequenceGuard()
        self._stamps = StampGuard(options.max_age_s, options.max_ahead_s)

    def state(self, octets: bytes, now: Instant) -> SignalState:
        """What a datagram that arrived `now` says; raises Refused."""
        datagram = read_datagram(octets)
        if datagram.version not in self._options.versions:
            raise Refused("unknown_version")
        missing = [g for g in self._options.groups if g.number not in datagram.times]
        if missing:
            raise Refused("phase_missing")
        capture_ns, reason = self._moment(datagram, octets, now)
        if reason is not None:
            raise Refused(reason)
        return SignalState(
            controller=self._options.id,
            intersection=self._intersection,
            capture_ns=capture_ns,
            groups=tuple(
                self._group(datagram, entry, capture_ns) for entry in self._options.groups
            ),
            flags=tuple(
                flag
                for bit, flag in enumerate(self._options.status_bits)
                if flag is not None and datagram.status >> bit & 1
            ),
        )

    def _moment(self, datagram: Datagram, octets: bytes, now: Instant) -> tuple[int, str | None]:
        options = self._options
        if options.time == "arrival":
            reason = self._sequence.refusal(datagram.sequence, octets, now)
            return now.utc_ns - round(options.latency_s * NS_PER_S), reason
        offset_ns = round((options.utc_offset_h or 0.0) * 3600) * NS_PER_S
        in_day = datagram.second * NS_PER_S + datagram.millisecond * NS_PER_MS - offset_ns
        # The day is the one that brings the stamp closest to now: at most half a day away.
        day_ns = DAY_S * NS_PER_S
        days = (now.utc_ns - in_day + day_ns // 2) // day_ns
        capture_ns = in_day + days * day_ns
        return capture_ns, self._stamps.refusal(options.id, capture_ns, now)

    def _group(self, datagram: Datagram, entry: TscbmGroup, capture_ns: int) -> SignalGroup:
        light = self._light(datagram, entry)
        first = {"vehicle": 0, "pedestrian": 2, "overlap": 4}[entry.kind]
        low, high = datagram.times[entry.number][first : first + 2]
        known_low = low if low != UNKNOWN and light is not LightState.UNAVAILABLE else None
        known_high = high if high != UNKNOWN and light is not LightState.UNAVAILABLE else None
        contradictory = known_low is not None and known_high is not None and known_low > known_high
        if contradictory or (low, high) == (0, 0):
            known_low = known_high = None
        ends = [
            None if tenths is None else capture_ns + tenths * TENTH_NS
            for tenths in (known_low, known_high)
        ]
        return SignalGroup(
            group=entry.group,
            light=light,
            min_end_ns=ends[0],
            max_end_ns=ends[1],
            likely_end_ns=ends[0] if ends[0] == ends[1] else None,
        )

    def _light(self, datagram: Datagram, entry: TscbmGroup) -> LightState:
        red, yellow, green, dont_walk, clear, walk, *rest = (
            bitmap >> (entry.number - 1) & 1 for bitmap in datagram.maps
        )
        overlap_red, overlap_yellow, overlap_green, flashing, overlap_flashing = rest
        go = LightState.PROTECTED_GREEN if entry.protected else LightState.PERMISSIVE_GREEN
        if entry.kind == "pedestrian":
            clearance = LightState(self._options.pedestrian_clearance)
            return _only({LightState.RED: dont_walk, clearance: clear, go: walk}, go, 0)
        if entry.kind == "overlap":
            red, yellow, green = overlap_red, overlap_yellow, overlap_green
            flashing = overlap_flashing
        shown = {LightState.RED: red, LightState.YELLOW: yellow, go: green}
        return _only(shown, go, flashing)


def _only(shown: dict[LightState, int], go: LightState, flashing: int) -> LightState:
    """The one light that shows."""
    lit = [light for light, bit in shown.items() if bit]
    if len(lit) > 1 or (flashing and not lit):
        return LightState.UNAVAILABLE
    if not lit:
        return LightState.DARK
    if flashing:
        return {
            LightState.RED: LightState.FLASHING_RED,
            LightState.YELLOW: LightState.FLASHING_YELLOW,
            go: LightState.FLASHING_GREEN,
        }[lit[0]]
    return lit[0]
