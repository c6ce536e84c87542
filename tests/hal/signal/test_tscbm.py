"""TSCBM datagrams: known answers worked out by hand, every light, every time, every refusal."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.signals import TscbmOptions
from rsu.hal.errors import DeviceError
from rsu.hal.signal.tscbm import TscbmController
from rsu.hal.signal.tscbm_decoder import Refused, TscbmDecoder, read_datagram
from rsu.schema.signals import ControllerFlag, LightState
from rsu.schema.units import NS_PER_S, Instant

NOW = Instant(1_767_225_600_000_000_000, 5 * NS_PER_S)  # 2026-01-01T00:00:00Z
S = NS_PER_S


def decoder(**options: Any) -> TscbmDecoder:
    given_options = {"id": "c", "driver": "tscbm", "latency_s": 0.0, **options}
    return TscbmDecoder(TscbmOptions(**given_options), 7)


def datagram(
    *, times: dict[int, tuple[int, ...]] | None = None, maps: tuple[int, ...] = (0,) * 11,
    status: int = 0, change: int = 8, sequence: int = 1, second: int = 0, ms: int = 0,
) -> bytes:  # fmt: skip
    blocks = b"".join(struct.pack(">B6H", n, *(times or {}).get(n, (0,) * 6)) for n in range(1, 17))
    tail = struct.pack(">4B", status, 0, change, sequence) + second.to_bytes(3, "big")
    return b"\xcd\x10" + blocks + struct.pack(">11H", *maps) + tail + ms.to_bytes(2, "big")


def sample(shared: Path, number: int) -> bytes:
    return bytes.fromhex((shared / "vectors" / f"tscbm_sample{number}.hex").read_text())


def test_first_sample(shared: Path) -> None:
    """An actuated controller at rest in phases 2 and 6: reds have 4.0 s at least, no maximum."""
    state = decoder().state(sample(shared, 1), NOW)
    assert (state.controller, state.intersection, state.capture_ns) == ("c", 7, NOW.utc_ns)
    assert state.flags == ()
    for group in state.groups:
        green = group.group in {2, 6}
        assert group.light is (LightState.PERMISSIVE_GREEN if green else LightState.RED)
        assert group.min_end_ns == NOW.utc_ns + (0 if green else 4 * S)
        assert group.max_end_ns is group.likely_end_ns is group.start_ns is None
    assert [group.group for group in state.groups] == list(range(1, 9))


def test_second_sample(shared: Path) -> None:
    """A fixed-time one: 2 and 6 green for 11.8 s more, 4 and 8 red for 16.8 s, others silent."""
    state = decoder().state(sample(shared, 2), NOW)
    ends = {group.group: group.likely_end_ns for group in state.groups}
    green, red = NOW.utc_ns + 118 * S // 10, NOW.utc_ns + 168 * S // 10
    assert ends == {1: None, 2: green, 3: None, 4: red, 5: None, 6: green, 7: None, 8: red}
    for group in state.groups:
        assert group.min_end_ns == group.max_end_ns == group.likely_end_ns
    assert state.flags == ()  # status 0x80, which has no verified meaning


def test_the_controllers_clock(shared: Path) -> None:
    """The second sample says second 68293 of the day: 18:58:13."""
    now = Instant(NOW.utc_ns + 68_293 * S + S // 2, 0)
    assert decoder(time="utc").state(sample(shared, 2), now).capture_ns == now.utc_ns - S // 2
    local = decoder(time="local", utc_offset_h=8.0)
    now = Instant(NOW.utc_ns + (68_293 - 8 * 3600) * S, 0)
    assert local.state(sample(shared, 2), now).capture_ns == now.utc_ns


def test_a_stamp_shortly_before_midnight_is_of_yesterday() -> None:
    octets = datagram(second=86_399, ms=900)
    assert decoder(time="utc").state(octets, NOW).capture_ns == NOW.utc_ns - S // 10


@pytest.mark.parametrize(
    ("second", "reason"), [(86_300, "stale_timestamp"), (100, "future_timestamp")]
)
def test_a_controller_with_a_wrong_clock_is_not_believed(second: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        decoder(time="utc").state(datagram(second=second), NOW)


@pytest.mark.parametrize(
    ("kind", "on", "light"),
    [
        ("vehicle", (0,), LightState.RED),
        ("vehicle", (1,), LightState.YELLOW),
        ("vehicle", (2,), LightState.PERMISSIVE_GREEN),
        ("vehicle", (0, 9), LightState.FLASHING_RED),
        ("vehicle", (1, 9), LightState.FLASHING_YELLOW),
        ("vehicle", (2, 9), LightState.FLASHING_GREEN),
        ("vehicle", (), LightState.DARK),
        ("vehicle", (9,), LightState.UNAVAILABLE),
        ("vehicle", (0, 2), LightState.UNAVAILABLE),
        ("vehicle", (6,), LightState.DARK),
        ("pedestrian", (3,), LightState.RED),
        ("pedestrian", (4,), LightState.YELLOW),
        ("pedestrian", (5,), LightState.PERMISSIVE_GREEN),
        ("pedestrian", (3, 5), LightState.UNAVAILABLE),
        ("overlap", (6,), LightState.RED),
        ("overlap", (7, 10), LightState.FLASHING_YELLOW),
        ("overlap", (8,), LightState.PERMISSIVE_GREEN),
    ],
)
@pytest.mark.parametrize("number", [1, 9, 16])
def test_every_light(kind: str, on: tuple[int, ...], light: LightState, number: int) -> None:
    maps = tuple((1 << (number - 1)) if i in on else 0 for i in range(11))
    reading = decoder(groups=[{"group": 3, "kind": kind, "number": number}])
    (group,) = reading.state(datagram(maps=maps), NOW).groups
    assert (group.group, group.light) == (3, light)


def test_a_green_is_protected_where_the_file_says_so() -> None:
    reading = decoder(groups=[{"group": 1, "number": 1, "protected": True}])
    (group,) = reading.state(datagram(maps=(0, 0, 1) + (0,) * 8), NOW).groups
    assert group.light is LightState.PROTECTED_GREEN


def test_pedestrian_clearance_may_be_a_flashing_green() -> None:
    reading = decoder(
        groups=[{"group": 1, "kind": "pedestrian", "number": 1}],
        pedestrian_clearance="flashing-green",
    )
    (group,) = reading.state(datagram(maps=(0,) * 4 + (1,) + (0,) * 6), NOW).groups
    assert group.light is LightState.FLASHING_GREEN


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0, (None, None, None)),
        (0, 7, (0, 7, None)),
        (30, 30, (30, 30, 30)),
        (0xFFFF, 0xFFFF, (None, None, None)),
        (0xFFFF, 9, (None, 9, None)),
        (9, 0xFFFF, (9, None, None)),
        (9, 8, (None, None, None)),
    ],
)
@pytest.mark.parametrize(("kind", "at"), [("vehicle", 0), ("pedestrian", 2), ("overlap", 4)])
def test_times(low: int, high: int, expected: tuple[int | None, ...], kind: str, at: int) -> None:
    six = [1, 2, 3, 4, 5, 6]
    six[at : at + 2] = [low, high]
    octets = datagram(times={5: tuple(six)})
    reading = decoder(groups=[{"group": 3, "kind": kind, "number": 5}])
    (group,) = reading.state(octets, NOW).groups
    wanted = tuple(None if n is None else NOW.utc_ns + n * S // 10 for n in expected)
    assert (group.min_end_ns, group.max_end_ns, group.likely_end_ns) == wanted


def test_an_unknown_light_has_no_end() -> None:
    octets = datagram(times={1: (5, 5, 0, 0, 0, 0)}, maps=(1, 0, 1) + (0,) * 8)
    group = decoder().state(octets, NOW).groups[0]
    assert (group.light, group.max_end_ns) == (LightState.UNAVAILABLE, None)


def test_the_state_is_as_old_as_the_latency() -> None:
    octets = datagram(times={1: (5, 5, 0, 0, 0, 0)}, maps=(1,) + (0,) * 10)
    state = decoder(latency_s=0.2).state(octets, NOW)
    assert state.capture_ns == NOW.utc_ns - S // 5
    assert state.groups[0].max_end_ns == NOW.utc_ns + 3 * S // 10


def test_status_bits_are_said_as_the_file_names_them() -> None:
    bits = (None, None, None, "preempt", None, "failure-flash", "stop-time", "manual")
    reading = decoder(status_bits=[None if b is None else ControllerFlag(b) for b in bits])
    state = reading.state(datagram(status=0b1010_1011), NOW)
    assert state.flags == (
        ControllerFlag.PREEMPT, ControllerFlag.FAILURE_FLASH, ControllerFlag.MANUAL,
    )  # fmt: skip


def test_repeats_and_reordering_show_by_the_counter() -> None:
    reading = decoder()
    for sequence in (254, 255, 0, 1):
        reading.state(datagram(sequence=sequence), NOW)
    with pytest.raises(Refused, match="duplicate_timestamp"):
        reading.state(datagram(sequence=1), NOW)
    with pytest.raises(Refused, match="non_monotone_timestamp"):
        reading.state(datagram(sequence=255), NOW)
    # Same tick of the counter, other light: a change is never lost.
    reading.state(datagram(sequence=1, maps=(1,) + (0,) * 10), NOW)


def test_after_a_silence_any_counter_is_taken() -> None:
    reading = decoder()
    reading.state(datagram(sequence=9), NOW)
    later = Instant(NOW.utc_ns + 2 * S, NOW.mono_ns + 2 * S)
    reading.state(datagram(sequence=8), later)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "bad_header"),
        (b"\xcd\x10", "bad_length"),
        (datagram()[:-1], "bad_length"),
        (datagram() + bytes(3), "bad_length"),
        (b"\xcd\x08" + datagram()[2:], "bad_header"),
        (datagram()[:15] + b"\x01" + datagram()[16:], "bad_phase"),
        (datagram()[:15] + b"\x11" + datagram()[16:], "bad_phase"),
        (datagram()[:15] + b"\x00" + datagram()[16:], "phase_missing"),
        (datagram(change=0), "unknown_version"),
        (datagram(change=24), "unknown_version"),
        (datagram(second=86_400), "bad_time"),
        (datagram(ms=1000), "bad_time"),
    ],
)
def test_what_is_no_datagram_has_a_reason(octets: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=f"^{reason}$"):
        decoder().state(octets, NOW)


@pytest.fixture
def sending() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        yield opened


def device(port: int, **options: Any) -> TscbmController:
    given_options = {"id": "c", "driver": "tscbm", "listen_host": "127.0.0.1", "latency_s": 0.0,
                     "listen_port": port, **options}  # fmt: skip
    place = PlaceOptions(id="p", origin=OriginOptions(latitude=0.0, longitude=0.0))
    return TscbmController(TscbmOptions(**given_options), Path(), lambda: NOW, place)


def test_the_wait_in_the_queue_makes_a_state_older(free_port: int, sending: socket.socket) -> None:
    listening = device(free_port)
    listening.open()
    # The kernel begins to stamp arrivals some time after it was asked to, on a busy machine late.
    for sequence in range(40):
        sending.sendto(datagram(sequence=sequence), ("127.0.0.1", free_port))
        sent_s = time.monotonic()
        while time.monotonic() < sent_s + 0.05:
            threading.Event().wait(0.01)
        (state,) = listening.receive(10.0)
        assert NOW.utc_ns - 10 * S < state.capture_ns <= NOW.utc_ns
        if state.capture_ns <= NOW.utc_ns - S // 20:
            break
    else:
        pytest.fail("the wait in the queue is never seen")
    listening.close()


def test_only_the_named_sender_is_heard(free_port: int, sending: socket.socket) -> None:
    listening = device(free_port, sender="192.0.2.1")
    listening.open()
    sending.sendto(datagram(), ("127.0.0.1", free_port))
    assert listening.receive(0.2) == []
    listening.close()
    assert listening.dropped == {"foreign_sender": 1}


def test_a_sender_that_has_no_address_cannot_be_listened_for(free_port: int) -> None:
    with pytest.raises(DeviceError, match="sender"):
        device(free_port, sender="no.such.host.invalid").open()


def test_the_long_form_is_read_too() -> None:
    assert read_datagram(datagram(sequence=77) + b"\xff" * 4).sequence == 77


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(min_size=239, max_size=239).map(lambda rest: b"\xcd\x10" + rest),
        st.tuples(st.integers(0, 240), st.binary(min_size=1, max_size=4)).map(
            lambda cut: datagram()[: cut[0]] + cut[1] + datagram()[cut[0] + len(cut[1]) :]
        ),
    )
)
def test_anything_is_a_state_or_a_reason(octets: bytes) -> None:
    try:
        state = decoder().state(octets, NOW)
    except Refused:
        return
    for group in state.groups:
        low, high = group.min_end_ns, group.max_end_ns
        assert low is None or low >= state.capture_ns
        assert low is None or high is None or low <= high
