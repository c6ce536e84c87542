"""The subscription that HAL drivers share, against a real mosquitto."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.publish as publisher
import pytest
from pydantic import ValidationError

from rsu.config.devices import MqttOptions
from rsu.config.uplink import TlsOptions
from rsu.hal.device import MAX_FACTS
from rsu.hal.errors import DeviceError
from rsu.hal.mqtt import MAX_MESSAGE, MAX_WAITING, MqttSubscriber

BOUND_S = 20.0
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(mosquitto: Path, tmp_path: Path, free_port: int) -> Iterator[Start]:
    """Starts a mosquitto on `free_port` with these lines of configuration."""
    running: list[subprocess.Popen[bytes]] = []

    def make(lines: str) -> subprocess.Popen[bytes]:
        config = tmp_path / "mosquitto.conf"
        user = f"user {getpass.getuser()}\n" if os.geteuid() == 0 else ""
        config.write_text(f"{user}listener {free_port} 127.0.0.1\n{lines}\n")
        running.append(subprocess.Popen([mosquitto, "-c", config], stderr=subprocess.DEVNULL))
        pause = threading.Event()
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", free_port)):
                return running[-1]
            pause.wait(0.01)
        pytest.fail("mosquitto does not listen")

    yield make
    for process in running:
        process.kill()
        process.wait(10.0)


def subscriber(port: int, folder: Path, **more: object) -> tuple[MqttSubscriber, Counter[str]]:
    options = MqttOptions(id="m", host="127.0.0.1", port=port, topic="a/+/b", **more)  # type: ignore[arg-type]
    dropped: Counter[str] = Counter()
    return MqttSubscriber(options, folder, "rsu-test-m", dropped), dropped


def say(port: int, topic: str, *payloads: bytes, retain: bool = False) -> None:
    publisher.multiple(
        [(topic, payload, 1, retain) for payload in payloads], hostname="127.0.0.1", port=port
    )


def test_messages_of_the_filter_arrive_in_order(
    start: Start, free_port: int, tmp_path: Path
) -> None:
    start("allow_anonymous true")
    say(free_port, "a/kept/b", b"old", retain=True)
    link, dropped = subscriber(free_port, tmp_path)
    link.open()
    say(free_port, "a/x/b", *(str(i).encode() for i in range(5)))
    say(free_port, "a/x/c", b"another's")
    say(free_port, "a/y/b", bytes(MAX_MESSAGE + 1), b"end")
    got = []
    while not got or got[-1].payload != b"end":
        got += link.receive(BOUND_S)
    assert [(m.topic, m.payload, m.retained) for m in got] == [
        ("a/kept/b", b"old", True),
        *(("a/x/b", str(i).encode(), False) for i in range(5)),
        ("a/y/b", b"end", False),
    ]
    assert dropped == {"oversize": 1}
    assert not link.receive(0.0)
    link.close()
    with pytest.raises(DeviceError, match="not open"):
        link.receive(0.0)


def test_a_flood_is_bounded(start: Start, free_port: int, tmp_path: Path) -> None:
    start("allow_anonymous true\nmax_queued_messages 0")
    link, dropped = subscriber(free_port, tmp_path)
    link.open()
    sender = threading.Thread(
        target=say, args=(free_port, "a/x/b", *(b"%d" % i for i in range(3000)))
    )
    sender.start()
    got = []
    while not got or got[-1].payload != b"2999":
        messages = link.receive(BOUND_S)
        assert len(messages) <= MAX_FACTS
        got += messages
    sender.join()
    assert len(got) + dropped["flooded"] == 3000
    assert len(got) >= MAX_WAITING
    link.close()


def test_a_broker_that_dies_is_an_error_and_can_be_opened_again(
    start: Start, free_port: int, tmp_path: Path
) -> None:
    process = start("allow_anonymous true")
    link, _ = subscriber(free_port, tmp_path)
    link.open()
    process.kill()
    process.wait(10.0)
    with pytest.raises(DeviceError) as caught:
        all(not link.receive(BOUND_S) for _ in range(1000))
    assert caught.value.next_step
    link.close()
    with pytest.raises(DeviceError, match="cannot be reached"):
        link.open()
    start("allow_anonymous true")
    link.open()
    say(free_port, "a/x/b", b"back")
    assert [m.payload for m in link.receive(BOUND_S)] == [b"back"]
    link.close()


def test_a_wrong_password_and_a_mute_server_are_errors(
    start: Start, free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "passwords").write_text("")
    start(f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}")
    (tmp_path / "secret").write_text("wrong\n")
    link, _ = subscriber(free_port, tmp_path, username="u", password_file="secret")
    with pytest.raises(DeviceError, match="refused the connection"):
        link.open()
    missing, _ = subscriber(free_port, tmp_path, username="u", password_file="missing")
    with pytest.raises(DeviceError, match="missing"):
        missing.open()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        link, _ = subscriber(mute.getsockname()[1], tmp_path)
        with pytest.raises(DeviceError, match="does not answer"):
            link.open()


def test_a_broker_behind_tls_is_heard_only_under_its_own_name(
    start: Start, free_port: int, tmp_path: Path, certificates: Path,
    tls_lines: Callable[..., str],
) -> None:  # fmt: skip
    start(tls_lines())

    def listener(ca: str, host: str = "localhost") -> MqttSubscriber:
        options = MqttOptions(
            id="m", host=host, port=free_port, topic="a",
            tls=TlsOptions(ca_file=certificates / ca),
        )  # fmt: skip
        return MqttSubscriber(options, tmp_path, "rsu-test-m", Counter())

    for wrong in (listener("other.pem"), listener("ca.pem", "127.0.0.1")):
        with pytest.raises(DeviceError, match="cannot be reached"):
            wrong.open()
    link = listener("ca.pem")
    link.open()
    publisher.single(
        "a", b"safe", 1, hostname="localhost", port=free_port,
        tls={"ca_certs": str(certificates / "ca.pem")},
    )  # fmt: skip
    assert [message.payload for message in link.receive(BOUND_S)] == [b"safe"]
    link.close()


@pytest.mark.parametrize("topic", ["a/#/b", "a#", "a/b+", "", "+a"])
def test_a_filter_that_no_broker_takes_is_refused_in_the_file(topic: str) -> None:
    with pytest.raises(ValidationError):
        MqttOptions(id="m", host="h", topic=topic)


def test_a_password_does_not_cross_the_network_readable() -> None:
    with pytest.raises(ValidationError, match="needs tls"):
        MqttOptions(id="m", host="10.0.0.1", topic="#", password_file=Path("secret"))
