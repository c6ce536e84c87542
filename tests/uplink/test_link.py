"""What the unit says of its connection: birth, pace of a backlog, quality of the link."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from rsu import __version__
from rsu.config.uplink import UplinkOptions
from rsu.schema.health import LinkHealth, ModemSignal
from rsu.schema.reports import Priority, UplinkReport
from rsu.uplink.client import UplinkClient
from rsu.uplink.documents import health_document
from rsu.uplink.link import LinkMeter, tcp_numbers
from rsu.uplink.modem import ModemWatch, ask_modem
from rsu.uplink.pacing import Pacer
from rsu.uplink.profiles.plain_schema import SCHEMAS
from rsu.uplink.session import Backoff


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def report(name: str, priority: Priority = Priority.TELEMETRY) -> UplinkReport:
    body = json.dumps({"id": name}).encode()
    return UplinkReport(id=name, subject="test", priority=priority, ttl_s=600, body=body)


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., UplinkClient]]:
    made: list[UplinkClient] = []

    def make(port: int, **more: Any) -> UplinkClient:
        chosen = UplinkOptions(host="127.0.0.1", port=port, keepalive_s=5, **more)
        made.append(UplinkClient(chosen, "corner", tmp_path, backoff=Backoff(0.1, 0.3)))
        return made[-1]

    yield make
    for client in made:
        client.stop(0.5)


def test_the_pacer_allows_its_rate_and_saves_up_little() -> None:
    clock = Clock()
    pacer = Pacer(10.0, clock)
    assert pacer.allowance() == 5
    pacer.spend(5)
    assert pacer.allowance() == 0
    assert pacer.wait_s() == pytest.approx(0.1)
    clock.now += 0.25
    assert pacer.allowance() == 2
    clock.now += 3600
    assert pacer.allowance() == 5


def test_a_slow_pacer_still_allows_one() -> None:
    clock = Clock()
    pacer = Pacer(0.1, clock)
    assert pacer.allowance() == 1
    pacer.spend(1)
    clock.now += 9.9
    assert pacer.allowance() == 0
    clock.now += 0.2
    assert pacer.allowance() == 1


def test_the_meter_knows_round_trips_of_now_only() -> None:
    clock = Clock()
    meter = LinkMeter(clock)
    assert meter.quality().rtt_s is None
    meter.connected()
    for took in (0.1, 0.3, 0.2):
        meter.acknowledged(took)
    clock.now += 5.0
    found = meter.quality()
    assert (found.connected_s, found.rtt_s, found.rtt_max_s) == (5.0, 0.2, 0.3)
    clock.now += 1000.0
    assert meter.quality().rtt_s is None
    meter.disconnected()
    assert meter.quality().connected_s is None


def test_the_kernel_tells_what_went_over_a_socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        peer, _ = server.accept()
        with peer:
            client.sendall(bytes(12_345))
            received = 0
            while received < 12_345:
                received += len(peer.recv(65_536))
            peer.sendall(bytes(777))
            assert len(client.recv(777, socket.MSG_WAITALL)) == 777
            numbers = tcp_numbers(client)
    assert numbers is not None
    assert (numbers.sent, numbers.received) == (12_345, 777)
    assert numbers.resent == 0.0
    assert 0.0 < numbers.rtt_s < 10.0
    assert tcp_numbers(client) is None  # closed
    assert tcp_numbers(None) is None


@pytest.mark.component
def test_the_birth_message_says_what_is_reported_and_numbers_run_without_a_gap(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(broker.port)
    client.start()
    until(lambda: subscriber.statuses() == ["online"], what=client.stats)
    by_topic = {topic: json.loads(body) for topic, body, _ in subscriber.messages}
    birth, status = by_topic["rsu/corner/birth"], by_topic["rsu/corner/status"]
    assert birth["software"] == {"name": "rsu", "version": __version__}
    assert birth["session"] == status["session"] == f"corner-{birth['boot_utc_ns']}"
    assert birth["connection"] == status["connection"] == 1
    assert {one["topic"]: one["period_s"] for one in birth["reports"]} == {
        "rsu/corner/tracks": 1.0, "rsu/corner/traffic": 10.0, "rsu/corner/parking": 60.0,
        "rsu/corner/health": 10.0, "rsu/corner/alarm": None, "rsu/corner/event": None,
    }  # fmt: skip
    assert [one["kind"] for one in birth["profiles"]] == ["plain"]
    for i in range(50):
        client.offer(report(f"r{i}"))
    until(lambda: len(subscriber.bodies()) == 50, what=client.stats)
    numbers = [
        int(dict(properties.UserProperty)["seq"])
        for topic, _, properties in subscriber.messages
        if topic == "rsu/corner/test"
    ]
    assert numbers == list(range(1, 51))
    client._session._link.client.socket().shutdown(socket.SHUT_RDWR)
    until(lambda: len(subscriber.statuses()) == 3, what=subscriber.statuses)
    told = [json.loads(body) for topic, body, _ in subscriber.messages if "/status" in topic]
    assert [(one["state"], one["connection"]) for one in told] == [
        ("online", 1), ("offline", 1), ("online", 2),
    ]  # fmt: skip


@pytest.mark.component
def test_after_an_outage_the_present_goes_first_and_the_backlog_at_its_rate(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    before = make_client(broker.port)
    before.start()
    for i in range(400):
        before.offer(report(f"old{i}"))
    before.offer(report("old-event", Priority.EVENT))
    until(lambda: before._outbox._stored == 401, what=before.stats)
    before.stop(1.0)
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(broker.port, backlog_per_s=40)
    began = time.monotonic()
    client.start()
    pause = threading.Event()
    for i in range(20):  # two seconds of summaries, while ten seconds of backlog wait
        client.offer(report(f"now{i}"))
        pause.wait(0.1)
    until(lambda: "now19" in subscriber.bodies(), what=client.stats)
    order = list(subscriber.bodies())
    late = order[: order.index("now19")]
    assert "old-event" in late[:22]  # before statistics
    # The backlog went at its rate (20 saved up, one under way), so most of it is still to come.
    assert sum(name.startswith("old") for name in late) <= 21 + 40 * (time.monotonic() - began)
    assert client.stats().queued > 100
    assert client.stats().dropped == {}


@pytest.mark.component
def test_link_quality_is_measured_on_a_real_connection(
    make_broker: Any, make_client: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    client = make_client(broker.port)
    client.start()
    for i in range(20):
        client.offer(report(f"r{i}"))
    until(lambda: client.stats().delivered == 20, what=client.stats)
    until(lambda: client.link().sent_bytes > 20 * 50, what=client.link)
    found = client.link()
    assert found.rtt_s is not None
    assert 0.0 < found.rtt_s <= found.rtt_max_s < 10.0
    assert found.network_rtt_s is not None
    assert found.connected_s is not None
    assert found.resent == 0.0
    assert found.received_bytes > 0
    client.stop(2.0)
    after = client.link()
    assert (after.connected_s, after.rtt_s) == (None, None)
    assert after.sent_bytes >= found.sent_bytes


MMCLI = """#!/bin/sh
cat <<'END'
{"modem":{"signal":{"5g":{"error-rate":"--","rsrp":"-95.00","rsrq":"-11.00","snr":"12.50"},
"lte":{"error-rate":"--","rsrp":"-101.00","rsrq":"-13.00","rssi":"-70.00","snr":"4.00"},
"refresh":{"rate":"10"},"threshold":{"error-rate":"no","rssi":"0"}}}}
END
"""


def _mmcli(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = folder / "mmcli"
    tool.write_text(text)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_modem_is_asked_where_modemmanager_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mmcli(tmp_path, MMCLI, monkeypatch)
    signal, why = ask_modem()
    assert (signal, why) == (
        ModemSignal(technology="5g", rsrp_dbm=-95.0, rsrq_db=-11.0, snr_db=12.5), "",
    )  # fmt: skip
    _mmcli(tmp_path, MMCLI.replace("-95.00", "--").replace("-11.00", "--").replace("12.50", "--"),
           monkeypatch)  # fmt: skip
    signal, _ = ask_modem()
    assert signal is not None
    assert (signal.technology, signal.snr_db) == ("lte", 4.0)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("#!/bin/sh\necho '{\"modem\":{\"signal\":{\"lte\":{\"snr\":\"--\"}}}}'\n", "setup"),
        ("#!/bin/sh\necho 'error: couldn'\\''t find modem' >&2; exit 1\n", "find modem"),
        ("#!/bin/sh\necho '[1,2'\n", "not understand"),
        ("#!/bin/sh\necho '[]'\n", "not understand"),
        ("#!/bin/sh\nexec sleep 60\n", "does not answer"),
    ],
)  # fmt: skip
def test_an_unknown_signal_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    monkeypatch.setattr("rsu.uplink.modem.ANSWER_S", 0.5)
    _mmcli(tmp_path, script, monkeypatch)
    signal, said = ask_modem()
    assert signal is None
    assert why in said


def test_without_mmcli_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    watch = ModemWatch()
    watch.start()
    assert watch.reading() == (None, "no mmcli on this machine")
    assert watch.stop(1.0)


def test_the_health_document_tells_the_link() -> None:
    link = LinkHealth(
        time_ns=10**18, connected=True, failure=None, connections=3, connected_s=61.234,
        rtt_s=0.04567, rtt_max_s=0.2, network_rtt_s=None, resent=0.012345, sent_bytes=9,
        received_bytes=8, modem_unknown="no mmcli on this machine",
    )  # fmt: skip
    document = health_document(None, [], 10**18 + 500_000_000, link)
    assert document["link"] == {
        "age_s": 0.5, "connections": 3, "connected_s": 61.2, "rtt_s": 0.046, "rtt_max_s": 0.2,
        "network_rtt_s": None, "resent_share": 0.0123, "sent_bytes": 9, "received_bytes": 8,
        "modem": None, "modem_unknown": "no mmcli on this machine",
    }  # fmt: skip
    assert "link" not in health_document(None, [], 10**18)
    schema = SCHEMAS["health"]
    whole = {"schema": "rsu.health/1", "id": "a", "site": "b"} | document
    jsonschema.validate(whole, schema)
    with_modem = ModemSignal(technology="lte", rsrp_dbm=-100.0, rsrq_db=None, snr_db=3.5)
    told = health_document(None, [], 10**18, msgspec.structs.replace(link, modem=with_modem))
    jsonschema.validate(whole | told, schema)
