"""Hostile values and the longest frames: the codec's own errors only, and work that is bounded.

Work is counted in calls and in parts of a value (objects, arrays, leaves), never in seconds. That
values are finite trees of a known depth, and how many parts a frame can hold at most, follows from
the schemas and is worked out here.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from rsu.v2x import codec as codec_module
from rsu.v2x.codec import FRAME, MAX_FRAME_OCTETS, PARTS_MAX, PROFILES, codec_for
from rsu.v2x.errors import DecodeError, EncodeError
from rsu.v2x.open_types import OPEN_TYPES
from rsu.v2x.specialised import runtime
from rsu.v2x.specialised import schema as asn1

DEPTH_MAX = 25
"""Named types within each other; the sets have up to 19. Some frames of Python each: far from its
limit of 1000."""
CALLS_PER_OCTET = 20
"""Python functions and built-ins called for each octet of a frame. Counted here at most 6.8,
written code and plain codec together; the rest is room for other versions."""
CALLS_BESIDES = 400_000
"""Calls that do not depend on the frame: code is written, types are compiled."""

SPOT = {"posOffset": {"offsetLL": {"position-LL1": {"lon": 0, "lat": 0}}}}


def map_of_a_million_points() -> dict[str, Any]:
    """Legal by every range and size, 3.8 MB as octets: refused for its length only."""
    lane = {"laneID": 1, "points": [SPOT] * 31}
    link = {"upstreamNodeId": {"id": 1}, "linkWidth": 300, "lanes": [lane] * 32}
    node = {"id": {"id": 1}, "refPos": {"lat": 0, "long": 0}, "inLinks": [link] * 32}
    return {"mapFrame": {"msgCnt": 1, "nodes": [node] * 32}}


def calls_of(function: Callable[[], Any]) -> int:
    """How many Python functions and built-ins a call leads to; exceptions of the codec count as
    an outcome."""
    count = 0

    def watch(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        function()
    except (EncodeError, DecodeError):
        pass
    finally:
        sys.setprofile(before)
    return count


# ── what follows from the schemas ─────────────────────────────────────────────────────────────────


def references(type_: asn1.Type) -> Iterator[str]:
    """Named types that a type holds, announced ones too."""
    match type_:
        case asn1.Reference(name):
            yield name
        case asn1.ListOf(element, _):
            yield from references(element)
        case asn1.Choice(members, additions) | asn1.Sequence(members, additions):
            for member in (*members, *(additions or ())):
                yield from references(member.type)
            if isinstance(type_, asn1.Sequence) and type_.open_type:
                yield from type_.open_type.types.values()


@pytest.mark.parametrize("profile", PROFILES)
def test_no_type_holds_itself(profile: str) -> None:
    schema = codec_for(profile).specialised.schema
    depths: dict[str, int] = {}

    def depth(name: str, above: tuple[str, ...]) -> int:
        assert name not in above
        if name not in depths:
            inner = references(schema.named(name))
            depths[name] = 1 + max((depth(each, (*above, name)) for each in inner), default=0)
        return depths[name]

    assert max(depth(name, ()) for name in schema) <= DEPTH_MAX


class MostParts:
    """The most parts that a value can have, less `price` for each of its bits.

    So a value of b bits has at most `price` · b + `of(its type)` parts, whatever the price; a good
    one makes the bound tight. Bits are never counted higher than they are.
    """

    def __init__(self, schema: asn1.Schema, price: float) -> None:
        self.schema, self.price = schema, price
        self._known: dict[str, float] = {}

    def of(self, type_: asn1.Type) -> float:
        match type_:
            case asn1.Reference(name):
                if name not in self._known:
                    self._known[name] = self.of(self.schema.named(name))
                return self._known[name]
            case asn1.Integer(range_):
                return self._leaf(8 if range_.bits is None else range_.bits + range_.extensible)
            case asn1.Enumerated(_, additions):
                return self._leaf(type_.bits + (additions is not None))
            case asn1.Boolean():
                return self._leaf(1)
            case asn1.Bits(size) if not size.extensible:
                return 1 + self._leaf(size.low or 0)  # an object, and a string in it
            case asn1.Bits():
                return 2
            case asn1.Choice(alternatives, additions):
                bits = (len(alternatives) - 1).bit_length() + (additions is not None)
                kinds = [self.of(member.type) - self.price * bits for member in alternatives]
                # An index of 7 bits, a length of 8.
                kinds += [self.of(member.type) - self.price * 15 for member in additions or ()]
                return 1 + max(kinds)
            case asn1.ListOf(element, size):
                each, low, high = self.of(element), size.low or 0, size.high
                if high is None:
                    high = runtime.FRAGMENT - 1
                most = self._leaf((size.bits or 0) + size.extensible)
                most += max(low * each, high * each)
                if size.extensible:
                    most = max(most, 1 + max(0.0, (runtime.FRAGMENT - 1) * each))
                return most
            case asn1.Sequence():
                return 1 + sum(self._members(type_))
        return self._leaf(0)

    def _leaf(self, bits: int) -> float:
        return 1 - self.price * bits

    def _members(self, sequence: asn1.Sequence) -> Iterator[float]:
        for member in sequence.members:
            most = self.of(member.type)
            if member.name == sequence.open_field:
                assert sequence.open_type is not None
                types = sequence.open_type.types.values()
                inner = [self.of(asn1.Reference(name)) - self.price * 8 for name in types]
                most = 1 + max([0, *inner])
            yield max(0, most) - self.price if member.optional else most
        for member in sequence.additions or ():
            yield max(0, self.of(member.type) - self.price * 8)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_frame_holds_more_parts_than_the_bound(profile: str) -> None:
    schema, bits = codec_for(profile).specialised.schema, 8 * MAX_FRAME_OCTETS
    bounds = [
        price * bits + MostParts(schema, price).of(asn1.Reference(FRAME))
        for price in (0.2, 0.24, 0.28, 0.5, 0.55, 0.6)
    ]
    assert min(bounds) <= PARTS_MAX


def test_room_of_written_lists_is_that_of_the_longest_frame() -> None:
    assert runtime.ROOM_BITS == 8 * MAX_FRAME_OCTETS


# ── encoding ──────────────────────────────────────────────────────────────────────────────────────


def test_value_that_no_frame_holds_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, value = codec_for("csae53_2020"), map_of_a_million_points()
    monkeypatch.setattr(codec_module, "_refuse_beyond_frames", pytest.fail)
    with pytest.raises(EncodeError, match="too long: at most 65535 octets"):
        codec.encode(value)
    assert calls_of(lambda: codec.encode(value)) < CALLS_PER_OCTET * MAX_FRAME_OCTETS


def test_value_that_needs_the_plain_codec_is_counted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, value = codec_for("csae53_2020"), map_of_a_million_points()
    value["mapFrame"]["msgCnt"] = "1"
    codec.encode({"bsmFrame": _BSM})  # the plain codec is not needed for this
    monkeypatch.setattr(type(codec.plain), "encode", pytest.fail)
    with pytest.raises(EncodeError, match="more than 393210 parts"):
        codec.encode(value)


_BSM = {
    "msgCnt": 0, "id": "00" * 8, "secMark": 0, "pos": {"lat": 0, "long": 0},
    "posConfidence": {"pos": "unavailable"}, "transmission": "neutral", "speed": 0, "heading": 0,
    "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 0}, "brakes": {},
    "size": {"width": 0, "length": 0}, "vehicleClass": {"classification": 0},
}  # fmt: skip


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = wrap(value)
    return value


def hostile() -> dict[str, Any]:
    """Things that a decoder of JSON, or a fault of our own, may leave where a value belongs."""
    circle: list[Any] = []
    circle.append(circle)
    ring: dict[str, Any] = {}
    ring["bits"] = ring["mapFrame"] = ring["value"] = ring
    return {
        "list in itself": circle,
        "object in itself": ring,
        "lists in lists": nested(100_000, lambda inner: [inner]),
        "objects in objects": nested(100_000, lambda inner: {"value": inner}),
        "a million elements": [0] * 1_000_000,
        "many lists": [[[{}] * 700] * 700] * 700,
        "many keys": dict.fromkeys(map(str, range(100_000)), 0),
        "keys that are no text": {7: 0, None: 1},
        "long hex": "00" * 500_000,
        "long text": "A" * 1_000_000,
        "long bits": {"bits": "01" * 500_000},
        "long numbers": "1." * 300_000 + "1",
        "long number": 1 << 1_000_000,
        "not a number": float("nan"),
        "infinite": float("inf"),
        "half a character": "\ud800",
        "digits of another script": "٣٤",
        "octets": b"\0\0",
        "a set": {1, 2},
        "a type": int,
    }


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    found, left = [], [value]
    while left:
        node = left.pop()
        keys = node if isinstance(node, dict) else range(len(node))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], (dict, list)):
                left.append(node[key])
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_hostile_part_anywhere_is_refused(profile: str, any_value: Any) -> None:
    codec, values, rng = codec_for(profile), [], random.Random(profile)

    @seed(1)
    @settings(max_examples=4, database=None, suppress_health_check=list(HealthCheck))
    @given(any_value(profile, FRAME))
    def draw(value: Any) -> None:
        values.append(value)

    draw()
    for bad in hostile().values():
        with pytest.raises(EncodeError):
            codec.encode(bad)
        for value in values:
            container, key = rng.choice(places(value))
            good, container[key] = container[key], bad
            try:
                octets = codec.encode(value)
            except EncodeError:
                octets = b""  # but a long hex or text is right in places
            assert len(octets) <= MAX_FRAME_OCTETS
            container[key] = good


# ── decoding ──────────────────────────────────────────────────────────────────────────────────────


def contents(profile: str) -> list[str]:
    """The frame, and the type of each message within it."""
    frame = codec_for(profile).specialised.schema.named(FRAME)
    names = [FRAME, *references(frame)]
    for (container, _), open_type in OPEN_TYPES[profile].items():
        if container in {FRAME, *names}:
            names += open_type.types.values()
    return names


FILLS: dict[str, Callable[[random.Random], bytes]] = {
    "zeros": lambda _: bytes(MAX_FRAME_OCTETS),
    "ones": lambda _: b"\xff" * MAX_FRAME_OCTETS,
    "every other bit": lambda _: b"\x55" * MAX_FRAME_OCTETS,
    "every other octet": lambda _: b"\0\xff" * (MAX_FRAME_OCTETS // 2),
    "lengths of 16 383": lambda _: b"\xbf\xff" * (MAX_FRAME_OCTETS // 2),
    "fragments": lambda _: b"\xc1" * MAX_FRAME_OCTETS,
    "noise": lambda rng: rng.randbytes(MAX_FRAME_OCTETS),
    "few ones": lambda rng: bytes(
        rng.choice((0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128)) for _ in range(MAX_FRAME_OCTETS)
    ),
    "few zeros": lambda rng: bytes(
        255 ^ rng.choice((0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128)) for _ in range(MAX_FRAME_OCTETS)
    ),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("fill", FILLS)
def test_longest_frames_take_bounded_work(profile: str, fill: str) -> None:
    codec, octets = codec_for(profile), FILLS[fill](random.Random(fill))

    def judge(name: str, head: bytes) -> None:
        found = (head + octets)[:MAX_FRAME_OCTETS]
        try:
            codec.decode(found, name)
        except DecodeError:
            return
        pytest.fail(f"{name} of {len(found)} octets of {fill} decodes")

    for name in contents(profile):
        # The head announces every optional member, some, or none.
        for head in (b"", b"\x7f\xff", b"\x2a\xaa"):
            calls = calls_of(partial(judge, name, head))
            assert calls < CALLS_PER_OCTET * MAX_FRAME_OCTETS + CALLS_BESIDES, (name, head, calls)


@pytest.mark.parametrize("lanes", [3, 32])
def test_long_legal_frame_takes_bounded_work_both_ways(lanes: int) -> None:
    codec, value = codec_for("csae53_2020"), map_of_a_million_points()
    (node,) = value["mapFrame"]["nodes"][:1]
    (link,) = node["inLinks"][:1]
    link["lanes"] = link["lanes"][:lanes]
    node["inLinks"] = node["inLinks"][:32] if lanes == 3 else node["inLinks"][:3]
    value["mapFrame"]["nodes"] = [node] * 5
    octets = codec.encode(value)
    assert len(octets) > MAX_FRAME_OCTETS // 2
    assert codec.decode(octets) == value
    for way in (lambda: codec.encode(value), lambda: codec.decode(octets)):
        assert calls_of(way) < CALLS_PER_OCTET * len(octets)
