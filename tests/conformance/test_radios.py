"""What every radio driver must do, whatever is behind it.

Adding a driver is one row in `ROWS`: its options and how to see what it put on the air. A row with
`listen` also receives.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.radios import FileRadioOptions, RadioBase, Rsu41RadioOptions, UdpRadioOptions
from rsu.hal.errors import DeviceError, UnknownDriver
from rsu.hal.radio.base import MAX_RECEIVED, Radio
from rsu.hal.radio.drivers import DRIVERS, make_radio, open_radio
from rsu.schema.immediate_forward import parse_immediate_forward
from rsu.schema.v2x import V2xFrame

BOUND_S = 10.0


def v2x_frame(payload: bytes = b"\x01\x02\xfe\xff", network: bytes = b"\x04\x01\x02") -> V2xFrame:
    return V2xFrame(
        profile="csae53_2020",
        message="RSM",
        payload=payload,
        network=network,
        aid=3623,
        priority=208,
        value={},
        time_ns=1_735_689_600_000_000_000,
    )


@dataclass(frozen=True)
class Row:
    """`options(air, content)` for a working radio, `heard(air)` the octets of the next frame."""

    options: Callable[[SimpleNamespace, str], RadioBase]
    heard: Callable[[SimpleNamespace], bytes]
    broken: Callable[[SimpleNamespace], RadioBase]  # cannot be opened
    receives: bool = False


def heard_in_file(air: SimpleNamespace) -> bytes:
    line = (air.folder / "air.jsonl").read_text().splitlines()[air.lines]
    air.lines += 1
    return bytes.fromhex(json.loads(line)["hex"])


ROWS = {
    "udp": Row(
        lambda air, content: UdpRadioOptions(
            id="r", driver="udp", host="127.0.0.1", port=air.port, content=content,
            listen_port=air.listen_port,
        ),
        lambda air: air.socket.recv(65_535),
        lambda air: UdpRadioOptions(id="r", driver="udp", host="no host", port=air.port),
        receives=True,
    ),
    "rsu41": Row(
        lambda air, content: Rsu41RadioOptions(
            id="r", driver="rsu41", host="localhost", port=air.port, content=content
        ),
        lambda air: parse_immediate_forward(air.socket.recv(65_535)).payload,
        lambda air: Rsu41RadioOptions(id="r", driver="rsu41", host="radio.invalid"),
    ),
    "file": Row(
        lambda air, content: FileRadioOptions(
            id="r", driver="file", path="air.jsonl", content=content
        ),
        heard_in_file,
        lambda air: FileRadioOptions(id="r", driver="file", path="."),
    ),
}  # fmt: skip

RECEIVERS = [name for name, row in ROWS.items() if row.receives]


@pytest.fixture
def air(tmp_path: Path, free_port: int) -> Iterator[SimpleNamespace]:
    """A listening socket where radios send to, a folder, and a port where they may listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(BOUND_S)
        port = listener.getsockname()[1]
        yield SimpleNamespace(
            socket=listener, port=port, folder=tmp_path, listen_port=free_port, lines=0
        )


@pytest.fixture
def radio(request: pytest.FixtureRequest, air: SimpleNamespace) -> Iterator[Radio]:
    """The open radio of the row that the test's `driver` names."""
    driver = request.node.callspec.params["driver"]
    made = open_radio(ROWS[driver].options(air, "payload"), air.folder)
    yield made
    made.close()


def say(air: SimpleNamespace, *datagrams: bytes) -> None:
    for datagram in datagrams:
        air.socket.sendto(datagram, ("127.0.0.1", air.listen_port))


def test_every_driver_of_ours_has_a_row() -> None:
    assert set(ROWS) == set(DRIVERS)


def test_an_unknown_driver_is_named_with_those_that_exist() -> None:
    class Odd(RadioBase):
        driver: str = "carrier-pigeon"

    with pytest.raises(UnknownDriver, match=r"carrier-pigeon.*file, rsu41, udp"):
        make_radio(Odd(id="r"), Path())


@pytest.mark.parametrize("driver", ROWS)
@pytest.mark.parametrize(
    ("content", "octets"), [("payload", b"\x00\x0a\xff"), ("network", b"DSMP")]
)
def test_what_was_asked_for_goes_out_octet_for_octet(
    driver: str, content: str, octets: bytes, air: SimpleNamespace
) -> None:
    made = open_radio(ROWS[driver].options(air, content), air.folder)
    made.send(v2x_frame(payload=b"\x00\x0a\xff", network=b"DSMP"))
    assert ROWS[driver].heard(air) == octets
    made.close()


@pytest.mark.parametrize("driver", ROWS)
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payload=st.binary(min_size=1, max_size=2302))
def test_any_payload_arrives_unchanged(
    driver: str, radio: Radio, air: SimpleNamespace, payload: bytes
) -> None:
    radio.send(v2x_frame(payload=payload))
    assert ROWS[driver].heard(air) == payload


@pytest.mark.parametrize("driver", ROWS)
def test_open_and_close_may_be_repeated(driver: str, radio: Radio, air: SimpleNamespace) -> None:
    radio.open()
    radio.close()
    radio.close()
    radio.open()
    radio.send(v2x_frame())
    assert ROWS[driver].heard(air) == v2x_frame().payload


@pytest.mark.parametrize("driver", ROWS)
def test_sending_on_a_closed_radio_is_a_device_error(driver: str, radio: Radio) -> None:
    radio.close()
    with pytest.raises(DeviceError, match="not open") as caught:
        radio.send(v2x_frame())
    assert caught.value.next_step


@pytest.mark.parametrize("driver", ROWS)
def test_a_radio_that_cannot_be_opened_says_what_to_do(driver: str, air: SimpleNamespace) -> None:
    made = make_radio(ROWS[driver].broken(air), air.folder)
    with pytest.raises(DeviceError) as caught:
        made.open()
    assert caught.value.next_step
    made.close()


@pytest.mark.parametrize("driver", ROWS)
def test_a_frame_without_the_content_asked_for_is_refused(
    driver: str, air: SimpleNamespace
) -> None:
    made = open_radio(ROWS[driver].options(air, "network"), air.folder)
    with pytest.raises(DeviceError, match="no network octets"):
        made.send(v2x_frame(network=b""))
    made.close()


@pytest.mark.parametrize("driver", ["udp", "rsu41"])
def test_a_frame_too_long_for_a_datagram_is_a_device_error(driver: str, radio: Radio) -> None:
    with pytest.raises(DeviceError):
        radio.send(v2x_frame(payload=bytes(70_000)))
    radio.send(v2x_frame())  # and the radio still works


@pytest.mark.parametrize("driver", sorted(set(ROWS) - set(RECEIVERS)))
def test_a_send_only_radio_says_so(driver: str, radio: Radio) -> None:
    assert not radio.receives
    assert radio.receive(0.0) is None


@pytest.mark.parametrize("driver", RECEIVERS)
def test_what_is_heard_comes_out_octet_for_octet_and_in_order(
    driver: str, radio: Radio, air: SimpleNamespace
) -> None:
    assert radio.receives
    assert radio.receive(0.0) is None
    longest = bytes(range(256)) * (MAX_RECEIVED // 256)
    say(air, b"\x00", longest, b"last")
    assert [radio.receive(BOUND_S) for _ in range(3)] == [b"\x00", longest, b"last"]
    assert not any(radio.dropped.values())


@pytest.mark.parametrize("driver", RECEIVERS)
def test_oversized_and_empty_datagrams_are_counted_and_passed_over(
    driver: str, radio: Radio, air: SimpleNamespace
) -> None:
    say(air, bytes(MAX_RECEIVED + 1), b"", bytes(65_507), b"good")
    assert radio.receive(BOUND_S) == b"good"
    assert dict(radio.dropped) == {"oversize": 2, "empty": 1}


@pytest.mark.parametrize("driver", RECEIVERS)
def test_ten_megabytes_of_payload_only_count(
    driver: str, radio: Radio, air: SimpleNamespace
) -> None:
    for _ in range(160):
        say(air, bytes(65_507))
        assert radio.receive(0.0) is None
    while radio.receive(0.2) is not None or not radio.dropped:
        pytest.fail("something of it came through")
    say(air, b"good")
    assert radio.receive(BOUND_S) == b"good"
    assert 0 < radio.dropped["oversize"] <= 160  # the kernel may have thrown some away itself


@pytest.mark.parametrize("driver", RECEIVERS)
def test_closing_while_another_thread_receives_ends_it_within_a_bound(
    driver: str, radio: Radio
) -> None:
    outcome: list[BaseException] = []
    waiting = threading.Event()

    def wait_on() -> None:
        try:
            while True:
                waiting.set()
                radio.receive(60.0)
        except DeviceError as error:
            outcome.append(error)

    thread = threading.Thread(target=wait_on)
    thread.start()
    assert waiting.wait(BOUND_S)
    radio.close()
    thread.join(BOUND_S)
    assert not thread.is_alive()
    assert outcome
