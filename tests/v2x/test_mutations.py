"""Damaged frames: each decodes or raises DecodeError, nothing else, in bounded memory and work.

Seeds are frames drawn from the schema, and those of the corpora where they are at hand. Each is
damaged at random from a fixed seed: bits flipped, octets cut, added, repeated, spliced with
another frame, runs and length octets overwritten. Besides, frames made by hand to be hostile.
"""

from __future__ import annotations

import faulthandler
import json
import random
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rsu.v2x.codec import FRAME, MAX_FRAME_OCTETS, PROFILES, codec_for
from rsu.v2x.errors import DecodeError
from rsu.v2x.inspector.frames import frames_of
from rsu.v2x.inspector.review import review
from rsu.v2x.inspector.sequence import Sequence
from rsu.v2x.inspector.suspicion import suspicion_of
from rsu.v2x.inspector.tree import tree_lines
from rsu.v2x.inspector.units import si_values

LONG = 200_000
NOW_NS = 1_750_000_000_000_000_000
SHORT = 300
WATCHDOG_S = 100
"""The whole short run takes about 5 s on a slow core: only a hang reaches this."""
LONG_WATCHDOG_S = 3_000
VALUES_PER_OCTET = 4 * 8
VALUES_BESIDES = 64
"""Most nodes of a decoded value: a leaf takes a bit at least, and one in four nodes is a leaf (a
CHOICE in a SEQUENCE in a list, each without bits of its own); a few take no bits at all."""
MEMORY_MAX = 64 * 1024 * 1024
"""Bytes above what was there before: 65 535 octets of one-bit elements make half a million values
of at most 100 bytes each."""

Damage = Callable[[random.Random, bytearray, list[bytes]], bytearray]


def _flip(rng: random.Random, frame: bytearray, _: list[bytes]) -> bytearray:
    for _count in range(rng.choice((1, 1, 1, 2, 4, 16))):
        bit = rng.randrange(8 * len(frame))
        frame[bit // 8] ^= 0x80 >> bit % 8
    return frame


def _cut(rng: random.Random, frame: bytearray, _: list[bytes]) -> bytearray:
    return frame[: rng.randrange(len(frame) + 1)]


def _extend(rng: random.Random, frame: bytearray, _: list[bytes]) -> bytearray:
    return frame + rng.randbytes(rng.choice((1, 2, 7, 40)))


def _splice(rng: random.Random, frame: bytearray, seeds: list[bytes]) -> bytearray:
    other = rng.choice(seeds)
    return frame[: rng.randrange(len(frame) + 1)] + other[rng.randrange(len(other)) :]


def _run(rng: random.Random, frame: bytearray, _: list[bytes]) -> bytearray:
    at, length = rng.randrange(len(frame)), rng.choice((1, 2, 4, 16))
    frame[at : at + length] = bytes([rng.choice((0x00, 0xFF, 0x80, 0x7F, 0xC4))]) * length
    return frame


def _inflate(rng: random.Random, frame: bytearray, _: list[bytes]) -> bytearray:
    """Lengths of X.691 11.9: one octet, two octets, fragments of 16 to 64 Ki."""
    at = rng.randrange(len(frame))
    length = rng.choice((b"\x7f", b"\xbf\xff", b"\x80\x80", b"\xc1", b"\xc4", b"\xff", b"\xc0"))
    frame[at : at + len(length)] = length
    return frame


def _repeat(rng: random.Random, frame: bytearray, _: list[bytes]) -> bytearray:
    at = rng.randrange(len(frame))
    piece = frame[at : at + rng.randrange(1, 9)]
    return frame[:at] + piece * rng.randrange(2, 40) + frame[at:]


DAMAGES: tuple[Damage, ...] = (_flip, _flip, _cut, _extend, _splice, _run, _inflate, _repeat)


def mutants(seeds: list[bytes], count: int, seed: str) -> Iterator[bytes]:
    """`count` damaged frames, the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        frame = bytearray(rng.choice(seeds))
        for _again in range(rng.choice((1, 1, 2))):
            frame = rng.choice(DAMAGES)(rng, frame or bytearray(1), seeds)
        yield bytes(frame[: MAX_FRAME_OCTETS + 1])


@pytest.fixture(scope="module")
def drawn(any_value: Callable[[str, str], Any]) -> Callable[[str], list[bytes]]:
    """Frames of a profile drawn from its schema."""
    found: dict[str, list[bytes]] = {}

    def draw(profile: str) -> list[bytes]:
        if profile not in found:
            codec, frames = codec_for(profile), []

            @settings(max_examples=30, suppress_health_check=list(HealthCheck))
            @given(any_value(profile, FRAME))
            def collect(value: Any) -> None:
                frames.append(codec.encode(value))

            collect()
            found[profile] = [frame for frame in frames if len(frame) <= 4096]
        return found[profile]

    return draw


@pytest.fixture(scope="module")
def corpora() -> dict[str, list[bytes]]:
    """Frames of other parties by profile; empty where the shared folder is absent."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "vectors"
    found: dict[str, list[bytes]] = {profile: [] for profile in PROFILES}
    for name, profile in (("csae_corpus.jsonl", None), ("j2735_corpus.jsonl", "j2735_2024")):
        if not (folder / name).is_file():
            continue
        for line in (folder / name).read_text().splitlines():
            case = json.loads(line)
            used = profile or case["profile"]
            if used in found and "hex" in case:
                found[used].append(bytes.fromhex(case["hex"]))
    return found


def values_in(value: Any) -> int:
    """Nodes of a decoded value."""
    count, left = 0, [value]
    while left:
        node = left.pop()
        count += 1
        if isinstance(node, dict):
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
    return count


def decode_all(profile: str, frames: Iterator[bytes]) -> tuple[int, int]:
    """How many decode and how many raise DecodeError; anything else fails the test."""
    codec, decoded, refused = codec_for(profile), 0, 0
    for frame in frames:
        try:
            value = codec.decode(frame)
        except DecodeError:
            refused += 1
        except BaseException as error:  # the frame is what is needed to repair it
            raise AssertionError(f"{profile} {frame.hex()}: {error!r}") from error
        else:
            decoded += 1
            assert values_in(value) <= VALUES_PER_OCTET * len(frame) + VALUES_BESIDES, frame.hex()
    return decoded, refused


def survive(profile: str, seeds: list[bytes], count: int) -> None:
    """Decode `count` damaged frames; the outcome is printed."""
    decoded, refused = decode_all(profile, mutants(seeds, count, f"{profile} {count}"))
    print(f"{profile}: {decoded} decoded, {refused} refused")
    assert decoded + refused == count
    assert decoded, "no damaged frame decodes: the damage is too coarse to test anything"
    assert refused > count // 4, "the damage is too fine"


@contextmanager
def watchdog(seconds: int) -> Iterator[None]:
    """Ends the process with a traceback when it hangs; nothing else is timed."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def memory_bound() -> Iterator[None]:
    """Asserts the peak of what Python allocates."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_MAX


@pytest.mark.parametrize("profile", PROFILES)
def test_damaged_frames_decode_or_raise_decode_error(
    profile: str, drawn: Callable[[str], list[bytes]], corpora: dict[str, list[bytes]]
) -> None:
    seeds = drawn(profile) + corpora[profile]
    with watchdog(WATCHDOG_S), memory_bound():
        survive(profile, seeds, SHORT)


@pytest.mark.long
@pytest.mark.timeout(LONG_WATCHDOG_S)
@pytest.mark.parametrize("profile", PROFILES)
def test_200_000_damaged_frames_decode_or_raise_decode_error(
    profile: str, drawn: Callable[[str], list[bytes]], corpora: dict[str, list[bytes]]
) -> None:
    """Memory as the system sees it: tracing allocations would make this four times as slow."""
    seeds = drawn(profile) + corpora[profile]
    survive(profile, seeds, 1000)  # types compile, pools fill
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with watchdog(LONG_WATCHDOG_S):
        survive(profile, seeds, LONG)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(f"{profile}: peak of resident memory grew by {grown / 1e6:.1f} MB")
    assert grown < MEMORY_MAX


@pytest.mark.parametrize("profile", PROFILES)
def test_damaged_frames_never_stop_the_inspector(
    profile: str, drawn: Callable[[str], list[bytes]], corpora: dict[str, list[bytes]]
) -> None:
    seeds, sequence = drawn(profile) + corpora[profile], Sequence()
    for octets in mutants(seeds, 600, f"{profile} inspector"):
        for frame in frames_of(profile, octets):
            if frame.error is None:
                si_values(profile, frame.value)
                review(profile, frame.value, NOW_NS)
                list(tree_lines(profile, frame.value))
                suspicion_of(profile, frame.octets, frame.value)
                sequence.take(profile, frame.message or "", frame.value, frame.octets, NOW_NS)
    sequence.finish()


# --- Made by hand ---------------------------------------------------------------------------------

HOSTILE = {
    "no octets": b"",
    "zero": b"\0",
    "all ones": b"\xff" * MAX_FRAME_OCTETS,
    "all zeros": bytes(MAX_FRAME_OCTETS),
    "one octet too many": bytes(MAX_FRAME_OCTETS + 1),
    "second phase, length of 16 383": bytes.fromhex("8003000cbfff") + bytes(100),
    "second phase, fragments without end": bytes.fromhex("8003000c") + b"\xc4" * 65_000,
    "second phase, empty": bytes.fromhex("8003000c00"),
    "second phase, open type within nothing": bytes.fromhex("80ff"),
    "SAE, length of 16 383": bytes.fromhex("0012bfff") + bytes(100),
    "SAE, fragment of 64 Ki that is not there": bytes.fromhex("0012c4") + bytes(1000),
    "SAE, fragment of 0": bytes.fromhex("0012c0") + bytes(10),
    "SAE, fragments of 16 Ki": bytes.fromhex("0012") + (b"\xc1" + b"\xff" * 16_384) * 3 + b"\0",
    "SAE, an id without a name": bytes.fromhex("7fff03000000"),
    "RSM that says 16 participants and ends": bytes.fromhex("2000") + bytes(16) + b"\xf0",
    "BSM with every optional member announced": b"\x07" + b"\xff" * 400,
    "extension bits of 64 additions": b"\x48" + b"\xff" * 300,
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frame(profile: str, name: str) -> None:
    with watchdog(WATCHDOG_S), memory_bound():
        decode_all(profile, iter([HOSTILE[name]]))


def test_the_largest_nesting_that_the_sets_allow_decodes() -> None:
    """No type holds itself, so depth is bounded by the schema; size is by counts. 512 detected
    participants are the most that any list of the sets may hold."""
    person = {
        "ptcType": "pedestrian",
        "ptcId": 7,
        "source": "video",
        "secMark": 1,
        "pos": {"offsetLL": {"position-LatLon": {"lon": 1, "lat": 2}}},
        "posConfidence": {"pos": "unavailable"},
        "speed": 0,
        "heading": 0,
        "size": {"width": 0, "length": 0},
    }
    content = {
        "msgCnt": 1,
        "id": "00" * 8,
        "equipmentType": "rsu",
        "secMark": 0,
        "sensorPos": {"lat": 0, "long": 0},
        "participants": [{"ptc": person}] * 512,
    }
    codec = codec_for("csae157_2020")
    frame = codec.frame("SSM", content)
    octets = codec.encode(frame)
    assert codec.decode(octets) == frame
    with watchdog(WATCHDOG_S), memory_bound():
        decode_all("csae157_2020", mutants([octets], 40, "a long list"))
