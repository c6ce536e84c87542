"""GB/T 20999 frames against octets made by hand, and the conversation with a controller."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsu.config.signals import Gbt20999Options
from rsu.hal.signal.gbt20999_dialogue import Dialogue
from rsu.hal.signal.gbt20999_frame import (
    Frame,
    FrameError,
    FrameType,
    Item,
    crc16,
    read_frame,
    write_frame,
)
from rsu.schema.signals import ControllerFlag, LightState
from rsu.schema.units import NS_PER_S, Instant

START = Instant(1_767_225_600_000_000_000, 0)
S = NS_PER_S


def at(seconds: float) -> Instant:
    return Instant(START.utc_ns + round(seconds * S), START.mono_ns + round(seconds * S))


def remainder(octets: bytes) -> int:
    """CRC by long division of the whole message as one polynomial over GF(2)."""
    value = int.from_bytes(octets, "big") << 16
    divisor = (1 << 16) | (1 << 12) | (1 << 2) | 1
    while value.bit_length() > 16:
        value ^= divisor << (value.bit_length() - 17)
    return value


octet = st.integers(0, 255)
items = st.builds(Item, octet, octet, octet, octet, st.binary(max_size=251))
frames = st.builds(
    Frame, octet, octet, st.lists(items, max_size=12).map(tuple), octet,
    st.integers(0, 2**32 - 1), octet, st.integers(0x0100, 0x01FF),
)  # fmt: skip


@given(st.binary(max_size=80))
def test_crc_is_the_remainder_of_a_division(octets: bytes) -> None:
    assert crc16(octets) == remainder(octets)


def test_a_frame_made_by_hand() -> None:
    inner = bytes.fromhex("0013 0102 01 00000001 01 09 10 0101 04 03 03 01 00")
    octets = b"\x7e" + inner + remainder(inner).to_bytes(2, "big") + b"\x7d"
    frame = Frame(FrameType.QUERY, 9, (Item(3, 3, 1),))
    assert write_frame(frame) == octets
    assert read_frame(octets) == frame


def test_escaping() -> None:
    """Delimiters and the escape itself are escaped between, not at, the frame's ends."""
    frame = Frame(FrameType.REPLY, 0x7E, (Item(3, 3, 1, 0x7D, b"\x5c\x10"),))
    plain, escaped = write_frame(frame), write_frame(frame, escaped=True)
    assert b"\x5c\x7e" in escaped[1:-1]
    assert b"\x5c\x7d\x5c\x5c\x10" in escaped
    assert plain[1:3] == escaped[1:3]  # the length without escapes
    assert read_frame(escaped, escaped=True) == frame
    assert read_frame(plain) == frame


@given(frames, st.booleans())
def test_frames_survive_the_wire(frame: Frame, escaped: bool) -> None:
    assert read_frame(write_frame(frame, escaped=escaped), escaped=escaped) == frame


@given(frames, st.booleans(), st.data())
def test_a_part_of_a_frame_is_none(frame: Frame, escaped: bool, data: st.DataObject) -> None:
    octets = write_frame(frame, escaped=escaped)
    cut = data.draw(st.integers(0, len(octets) - 1))
    for part in (octets[:cut], octets[cut + 1 :]):
        with pytest.raises(FrameError):
            read_frame(part, escaped=escaped)


@given(frames, st.data())
def test_a_flipped_bit_is_seen(frame: Frame, data: st.DataObject) -> None:
    octets = bytearray(write_frame(frame))
    bit = data.draw(st.integers(0, 8 * len(octets) - 1))
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        read_frame(bytes(octets))


@given(st.binary(max_size=64).map(lambda inner: b"\x7e" + inner + b"\x7d"), st.booleans())
def test_garbage_has_a_reason(octets: bytes, escaped: bool) -> None:
    with pytest.raises(FrameError) as caught:
        read_frame(octets, escaped=escaped)
    assert str(caught.value).isidentifier()


@pytest.mark.parametrize(
    "body",
    ["01 04 03 03 01", "01 03 03 03 01 00", "01 05 03 03 01 00", "01 04 03 03 01 00 02", ""],
)
def test_items_that_do_not_fit_are_refused(body: str) -> None:
    octets = bytes.fromhex(body)
    head = (15 - 2 + len(octets)).to_bytes(2, "big") + bytes.fromhex("0102 01 00000001 01 09 20 01")
    inner = head + octets
    frame = b"\x7e" + inner + remainder(inner).to_bytes(2, "big") + b"\x7d"
    with pytest.raises(FrameError, match="bad_item"):
        read_frame(frame)


def test_too_much_for_a_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="251"):
        write_frame(Frame(0x20, 1, (Item(3, 3, 1, 0, bytes(252)),)))
    with pytest.raises(ValueError, match="255"):
        write_frame(Frame(0x20, 1, (Item(3, 3, 1),) * 256))


class Bench:
    """A dialogue and what a controller would hear and say."""

    def __init__(self, **options: Any) -> None:
        self.dropped: Counter[str] = Counter()
        given_options = {"id": "c", "driver": "gbt20999", "host": "h", "port": 1, **options}
        self.dialogue = Dialogue(Gbt20999Options(**given_options), 7, self.dropped)

    def asked(self, seconds: float) -> list[Frame]:
        return [read_frame(octets) for octets in self.dialogue.questions(at(seconds))]

    def hear(self, seconds: float, type_: int, sequence: int, *items: Item, **other: int) -> Any:
        octets = write_frame(Frame(type_, sequence, items, **other))
        return self.dialogue.hear(octets, at(seconds))


TABLE = {
    (3, 1, 0, 0): b"\x03", (4, 1, 0, 0): b"\x04", (6, 1, 0, 0): b"\x02",
    (4, 2, 2, 1): b"\x01", (4, 2, 2, 2): b"\x02", (4, 2, 2, 3): b"\x03", (4, 2, 2, 4): b"\x03",
    # Stage 1: phases 1 and 3; stage 2: phases 2 and 3.
    (6, 2, 2, 1): bytes(7) + b"\x05", (6, 2, 2, 2): bytes(7) + b"\x06",
    (6, 2, 4, 1): b"\x02" + bytes(63), (6, 2, 4, 2): bytes(64),
    (6, 3, 4, 1): b"\x00\x00\x00\x0f", (6, 3, 4, 2): bytes(4),
    (13, 2, 2, 1): b"\x21", (13, 2, 4, 1): b"\x01",
    (3, 3, 1, 1): b"\x20", (3, 3, 1, 2): b"\x10", (3, 3, 1, 3): b"\x20",
}  # fmt: skip


def reply(bench: Bench, seconds: float, question: Frame, table: dict[Any, bytes] = TABLE) -> Any:
    found = [
        Item(*item.key, item.element, table[(*item.key, item.element)]) for item in question.items
    ]
    return bench.hear(seconds, FrameType.REPLY, question.sequence, *found)


def talk(bench: Bench, periods: int, table: dict[Any, bytes] = TABLE) -> Any:
    """The last state of so many periods of 0.2 s, each question answered 10 ms later."""
    state = None
    for period in range(periods):
        for question in bench.asked(0.2 * period):
            state = reply(bench, 0.2 * period + 0.01, question, table).state or state
    return state


def test_from_the_first_question_to_ends() -> None:
    bench = Bench()
    state = talk(bench, 6)
    assert state.capture_ns == at(1.0).utc_ns  # of the question, not of the answer
    assert (state.controller, state.intersection) == ("c", 7)
    assert state.flags == (ControllerFlag.FIXED_TIME,)
    lights = {group.group: (group.light, group.likely_end_ns) for group in state.groups}
    assert lights == {
        1: (LightState.PERMISSIVE_GREEN, at(1.0 + 15 - 2).utc_ns),  # ends 2 s before its stage
        2: (LightState.RED, None),
        3: (LightState.PERMISSIVE_GREEN, None),  # goes on in the next stage
    }
    assert all(group.min_end_ns is group.max_end_ns is None for group in state.groups)
    assert not bench.dropped


def test_what_lies_after_the_greens_is_taken_off() -> None:
    state = talk(Bench(after_green_s=5.0), 6)
    assert state.groups[0].likely_end_ns == at(1.0 + 15 - 2 - 5).utc_ns


@pytest.mark.parametrize(
    ("code", "light"),
    [
        (0x01, LightState.DARK), (0x10, LightState.RED), (0x11, LightState.FLASHING_RED),
        (0x20, LightState.PERMISSIVE_GREEN), (0x21, LightState.FLASHING_GREEN),
        (0x30, LightState.YELLOW), (0x31, LightState.FLASHING_YELLOW), (0x40, LightState.RED),
        (0x99, LightState.UNAVAILABLE),
    ],
)  # fmt: skip
def test_every_lamp_state(code: int, light: LightState) -> None:
    bench = Bench(groups=[{"group": 9, "lamp": 2}], countdown=False)
    (question,) = bench.asked(0.0)
    assert [(*item.key, item.element) for item in question.items] == [(3, 3, 1, 2)]
    state = reply(bench, 0.1, question, {(3, 3, 1, 2): bytes([code])}).state
    assert [(group.group, group.light) for group in state.groups] == [(9, light)]


@pytest.mark.parametrize(
    ("mode", "flags"),
    [(0x21, ("fixed-time",)), (0x22, ("traffic-dependent",)), (0x25, ("manual",)),
     (0x33, ("off",)), (0x31, ()), (0x23, ())],
)  # fmt: skip
def test_running_modes(mode: int, flags: tuple[str, ...]) -> None:
    state = talk(Bench(), 3, TABLE | {(13, 2, 2, 1): bytes([mode])})
    assert state.flags == flags


def test_lamps_may_come_as_one_list() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}, {"group": 2, "lamp": 3}], countdown=False)
    (question,) = bench.asked(0.0)
    item = Item(3, 3, 1, 0, b"\x10\x20\x30")
    state = bench.hear(0.1, FrameType.REPLY, question.sequence, item).state
    assert [group.light for group in state.groups] == [LightState.RED, LightState.YELLOW]


def test_a_controller_that_refuses_the_long_question_is_asked_for_lamps() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}])
    long, _table = bench.asked(0.0)
    assert len(long.items) == 3
    wrong = Item(13, 2, 4, 1, b"\x30")
    assert bench.hear(0.1, FrameType.QUERY_ERROR, long.sequence, wrong).state is None
    (short,) = bench.asked(0.2)
    assert [item.key for item in short.items] == [(3, 3, 1)]
    assert bench.dropped == {"refused_by_controller": 1}


def test_tables_that_never_come_are_given_up() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}])
    assert [len(bench.asked(float(n))) for n in range(5)] == [2, 2, 2, 1, 1]


def test_an_answer_too_late_or_to_nothing_is_dropped() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}], countdown=False, timeout_s=0.5)
    (question,) = bench.asked(0.0)
    assert reply(bench, 0.6, question).state is None
    (question,) = bench.asked(1.0)
    assert reply(bench, 1.1, question).state is not None
    assert reply(bench, 1.2, question).state is None  # the same once more
    assert bench.dropped == {"unexpected_reply": 2}


def test_an_unanswered_question_is_asked_again() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}], countdown=False)
    first, second = bench.asked(0.0)[0], bench.asked(0.2)[0]
    assert first.items == second.items
    assert first.sequence != second.sequence


def test_reports_are_taken_unasked_and_once() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}])
    lamp = Item(3, 3, 1, 1, b"\x30")
    state = bench.hear(2.0, FrameType.REPORT, 5, lamp).state
    assert state.groups[0].light is LightState.YELLOW
    assert state.capture_ns == at(2.0).utc_ns
    assert bench.hear(2.1, FrameType.REPORT, 5, lamp).state is None
    assert bench.hear(2.1, FrameType.REPORT, 4, lamp).state is None
    assert bench.hear(2.1, FrameType.REPORT, 6, Item(15, 1, 0, 0, bytes(4))).state is None  # alarm
    assert bench.dropped == {"duplicate_timestamp": 1, "non_monotone_timestamp": 1}


def test_a_report_of_some_lamps_is_no_state() -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}, {"group": 2, "lamp": 2}])
    assert bench.hear(0.0, FrameType.REPORT, 5, Item(3, 3, 1, 1, b"\x30")).state is None
    assert bench.dropped == {"incomplete": 1}


def test_a_heartbeat_is_answered() -> None:
    bench = Bench(controller_id=77, centre_id=3)
    heard = bench.hear(0.0, FrameType.HEARTBEAT, 42, controller=77)
    answer = read_frame(heard.answer)
    assert (answer.type, answer.sequence, answer.items) == (FrameType.HEARTBEAT_REPLY, 42, ())
    assert (answer.controller, answer.centre) == (77, 3)


@pytest.mark.parametrize(
    ("type_", "other", "item", "reason"),
    [
        (FrameType.REPORT, {"controller": 2}, None, "other_controller"),
        (FrameType.REPORT, {"road": 2}, None, "other_controller"),
        (FrameType.REPORT, {"version": 0x0201}, None, "unknown_version"),
        (FrameType.SET, {}, None, "unexpected_type"),
        (FrameType.REPORT, {}, Item(3, 3, 1, 1, b""), "bad_value"),
        (FrameType.REPORT, {}, Item(3, 3, 1, 1, b"\x10\x10"), "bad_value"),
    ],
)
def test_what_is_not_ours_has_a_reason(
    type_: int, other: dict[str, int], item: Item | None, reason: str
) -> None:
    bench = Bench(groups=[{"group": 1, "lamp": 1}])
    assert bench.hear(0.0, type_, 1, item or Item(3, 3, 1, 1, b"\x10"), **other).state is None
    assert bench.dropped == {reason: 1}


@given(st.lists(st.one_of(st.binary(max_size=60), frames.map(write_frame)), max_size=8))
def test_no_datagram_breaks_the_dialogue(datagrams: list[bytes]) -> None:
    bench = Bench(controller_id=1)
    for n, octets in enumerate(datagrams):
        bench.dialogue.questions(at(0.1 * n))
        bench.dialogue.hear(octets, at(0.1 * n))


values = st.sampled_from(sorted(TABLE)).flatmap(
    lambda key: st.builds(Item, *map(st.just, key[:3]), octet, st.binary(max_size=70))
)


@given(st.lists(st.lists(values, max_size=6), min_size=1, max_size=10))
def test_no_answer_breaks_the_dialogue(answers: list[list[Item]]) -> None:
    bench = Bench()
    for n, found in enumerate(answers):
        for question in bench.asked(0.2 * n):
            bench.hear(0.2 * n, FrameType.REPLY, question.sequence, *found)
