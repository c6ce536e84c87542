"""The uplink against a real mosquitto: delivery, order, dead and frozen brokers, kills, TLS."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rsu.config.uplink import OutboxOptions, TlsOptions, UplinkOptions
from rsu.schema.reports import Priority, UplinkReport
from rsu.uplink.client import UplinkClient, UplinkStats
from rsu.uplink.session import Backoff

pytestmark = pytest.mark.component

QUICK = Backoff(0.1, 0.5)
EVENT, STATE, TELEMETRY = Priority.EVENT, Priority.STATE, Priority.TELEMETRY


def report(name: str, priority: Priority = TELEMETRY, ttl_s: float = 600.0) -> UplinkReport:
    body = json.dumps({"id": name, "text": "x" * 200}).encode()
    return UplinkReport(id=name, subject="test", priority=priority, ttl_s=ttl_s, body=body)


def options(port: int, **more: Any) -> UplinkOptions:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "keepalive_s": 5,
        "backlog_per_s": 10_000,
    }
    return UplinkOptions(**(values | more))


def balances(stats: UplinkStats) -> bool:
    return stats.produced == stats.delivered + stats.queued + sum(stats.dropped.values())


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., UplinkClient]]:
    made: list[UplinkClient] = []

    def make(chosen: UplinkOptions) -> UplinkClient:
        made.append(UplinkClient(chosen, "corner", tmp_path, backoff=QUICK))
        made[-1].start()
        return made[-1]

    yield make
    for client in made:
        client.stop(0.5)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("uplink-")]


def test_reports_arrive_with_id_topic_and_expiry(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(options(broker.port))
    for i in range(200):
        client.offer(report(f"r{i}"))
    until(lambda: len(subscriber.bodies()) == 200, what=client.stats)
    topic, body, properties = subscriber.messages[-1]
    assert topic == "rsu/corner/test"
    assert json.loads(body)["id"] == dict(properties.UserProperty)["id"]
    assert 590 <= properties.MessageExpiryInterval <= 600
    assert properties.ContentType == "application/json"
    until(lambda: client.stats().delivered == 200, what=client.stats)
    assert client.stop(5.0)
    stats = client.stats()
    assert (stats.queued, stats.in_flight, stats.dropped) == (0, 0, {})
    assert balances(stats)
    assert not stats.connected


def test_birth_good_bye_and_last_will_are_announced(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(options(broker.port))
    until(lambda: subscriber.statuses() == ["online"], what=client.stats)
    assert client.stop(5.0)
    until(lambda: subscriber.statuses() == ["online", "offline"], what=subscriber.statuses)
    document = json.loads(subscriber.messages[-1][1])
    assert (document["site"], document["reason"]) == ("corner", "stopped")

    again = make_client(options(broker.port))
    until(lambda: again.stats().connected, what=again.stats)
    link = again._session._link
    link.client.socket().shutdown(socket.SHUT_RDWR)  # the cable is cut: no good-bye
    until(lambda: len(subscriber.statuses()) >= 5, what=subscriber.statuses)
    assert subscriber.statuses()[2:5] == ["online", "offline", "online"]
    late = subscribe_late(broker.port)
    assert json.loads(late)["state"] == "online"


def subscribe_late(port: int) -> bytes:
    """What the broker retains for somebody who comes later."""
    import paho.mqtt.subscribe as plain

    return bytes(plain.simple("rsu/corner/status", hostname="127.0.0.1", port=port).payload)


def test_without_a_broker_it_queues_and_sends_in_order_of_priority_later(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    client = make_client(options(broker.port))
    for i in range(30):
        client.offer(report(f"t{i:02}"))
    for i in range(30):
        client.offer(report(f"s{i:02}", STATE))
    for i in range(30):
        client.offer(report(f"e{i:02}", EVENT))
    until(lambda: client.stats().failure == "refused", what=client.stats)
    until(lambda: client._outbox._stored == 90, what=client.stats)
    stats = client.stats()
    assert (stats.connected, stats.queued, stats.delivered) == (False, 90, 0)
    client.stop(1.0)

    broker.start()
    subscriber = subscribe(broker.port)
    later = make_client(options(broker.port))
    until(lambda: len(subscriber.bodies()) == 90, what=later.stats)
    expected = [f"{kind}{i:02}" for kind in "est" for i in range(30)]
    assert list(subscriber.bodies()) == expected
    until(lambda: later.stats().delivered == 90, what=later.stats)
    assert later.stats().produced == 90  # the books went on over the restart


def test_nothing_is_lost_when_the_broker_is_killed_under_load(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    until(broker.saved_subscription, what="the broker has not saved the session")
    client = make_client(options(broker.port))
    sent: dict[str, bytes] = {}
    going = threading.Event()
    going.set()

    def produce() -> None:
        pace = threading.Event()
        while going.is_set():
            one = report(f"r{len(sent)}", Priority(len(sent) % 3))
            sent[one.id] = one.body
            client.offer(one)
            pace.wait(0.001)

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        for kill in range(3):
            seen = len(subscriber.bodies())
            until(lambda seen=seen: len(subscriber.bodies()) > seen + 100, what=client.stats)
            subscriber.subscribed.clear()
            broker.kill()
            until(lambda: not client.stats().connected, what=client.stats)
            broker.start()
            until(lambda kill=kill: client.stats().connections >= kill + 2, what=client.stats)
            until(subscriber.subscribed.is_set, what="the subscriber has not come back")
    finally:
        going.clear()
        producer.join()
    until(lambda: client.stats().queued == 0, what=client.stats)
    until(lambda: len(subscriber.bodies()) == len(sent), what=client.stats)
    received = subscriber.bodies()
    assert received.keys() == sent.keys()
    for name, bodies in received.items():
        assert set(bodies) == {sent[name]}  # duplicates, if any, are identical
    stats = client.stats()
    assert (stats.produced, stats.delivered, stats.dropped) == (len(sent), len(sent), {})
    print(f"{len(sent)} reports, {sum(map(len, received.values())) - len(sent)} duplicates")


def test_a_frozen_broker_is_noticed_and_offer_never_waits(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(options(broker.port))
    until(lambda: client.stats().connected, what=client.stats)
    broker.signal(signal.SIGSTOP)
    try:
        for i in range(500):
            client.offer(report(f"r{i}"))
        # Twice the keepalive of 5 s, one turn of the poll, and room for a busy machine.
        until(lambda: not client.stats().connected, 15.0, client.stats)
        assert client.stats().failure is not None
        assert balances(client.stats())
    finally:
        broker.signal(signal.SIGCONT)
    until(lambda: len(subscriber.bodies()) == 500, what=client.stats)


def test_a_broker_that_answers_nothing_is_given_up_and_tried_again(
    make_client: Any, until: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = make_client(options(server.getsockname()[1]))
        until(lambda: client.stats().failure == "no_answer", 10.0, client.stats)
        assert client.stop(2.0)


PRODUCER = """
import sys, threading
from pathlib import Path
from rsu.config.uplink import UplinkOptions
from rsu.schema.reports import Priority, UplinkReport
from rsu.uplink.client import UplinkClient
client = UplinkClient(
    UplinkOptions(host="127.0.0.1", port={port}, keepalive_s=5), "corner", Path({base!r}))
client.start()
count, told, pace = 0, 0, threading.Event()
while True:
    name = f"{run}-{{count}}"
    client.offer(UplinkReport(id=name, subject="test", priority=Priority(count % 3), ttl_s=600,
                              body=b'{{"id":"%s"}}' % name.encode()))
    count += 1
    if count % 20 == 0:
        pace.wait(0.002)
    if client._outbox._stored > told and client.stats().degraded is None:
        told = client._outbox._stored
        print(told, flush=True)
"""


def test_a_killed_producer_loses_nothing_it_had_committed(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any, tmp_path: Path, root: Path
) -> None:
    broker = make_broker()
    committed = 0
    for run in range(3):
        script = PRODUCER.format(port=broker.port, base=str(tmp_path), run=run)
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if not line.strip().isdigit():
                        continue  # a log line
                    if int(line) >= committed + 1000:
                        committed = int(line)
                        break
            finally:
                process.kill()  # SIGKILL, in the middle of writing
    assert committed >= 3000
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(options(broker.port))
    until(lambda: client.stats().produced >= committed, what=client.stats)
    produced = client.stats().produced
    assert not client.stats().quarantined
    until(lambda: client.stats().queued == 0, 60.0, client.stats)
    until(lambda: len(subscriber.bodies()) == produced, what=client.stats)
    stats = client.stats()
    assert (stats.delivered, stats.dropped) == (produced, {})
    # What is there is a prefix of each run: nothing in the middle is missing.
    for run in range(3):
        numbers = sorted(
            int(name.partition("-")[2])
            for name in subscriber.bodies()
            if name.startswith(f"{run}-")
        )
        assert numbers == list(range(len(numbers)))
        assert numbers


def test_stopping_flushes_what_is_queued(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    client = make_client(options(broker.port))
    until(lambda: client.stats().connected, what=client.stats)
    for i in range(300):
        client.offer(report(f"r{i}"))
    assert client.stop(10.0)
    assert client.stats().queued == 0
    until(lambda: len(subscriber.bodies()) == 300)


def test_a_report_the_broker_refuses_stays_queued_and_holds_up_nothing(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any, tmp_path: Path
) -> None:
    rules = tmp_path / "acl"
    names = ("birth", "status", "test")
    rules.write_text("".join(f"topic readwrite rsu/corner/{name}\n" for name in names))
    broker = make_broker(f"allow_anonymous true\nacl_file {rules}\n")
    broker.start()
    client = make_client(options(broker.port))
    client.offer(UplinkReport(id="no", subject="forbidden", priority=EVENT, ttl_s=600, body=b"{}"))
    client.offer(report("yes"))
    until(lambda: client.stats().delivered == 1 and client.stats().refused, what=client.stats)
    stats = client.stats()
    assert (stats.queued, stats.dropped, stats.connected) == (1, {}, True)


def test_a_report_larger_than_the_broker_takes_is_dropped_with_its_reason(
    make_broker: Any, make_client: Any, until: Any
) -> None:
    broker = make_broker("allow_anonymous true\nmax_packet_size 2000\n")
    # The limit is a global option of mosquitto: it must stand before the listener.
    config = broker._config.read_text().replace("max_packet_size 2000\n", "")
    broker._config.write_text("max_packet_size 2000\n" + config)
    broker.start()
    client = make_client(options(broker.port))
    big = UplinkReport(id="big", subject="test", priority=EVENT, ttl_s=60, body=b" " * 3000)
    client.offer(big)
    client.offer(report("small"))
    until(lambda: client.stats().delivered == 1, what=client.stats)
    assert client.stats().dropped == {"oversize": 1}
    assert balances(client.stats())


def test_a_wrong_password_is_refused_with_a_reason_and_tried_again(
    make_broker: Any, make_client: Any, until: Any, tmp_path: Path
) -> None:
    users, secret = tmp_path / "users", tmp_path / "password"
    users.write_text("unit:right\n")
    subprocess.run(["mosquitto_passwd", "-U", users], check=True)
    broker = make_broker(f"allow_anonymous false\npassword_file {users}\n")
    broker.start()
    secret.write_text("wrong\n")
    client = make_client(options(broker.port, username="unit", password_file=Path("password")))
    until(lambda: client.stats().failure == "broker_not_authorized", what=client.stats)
    secret.unlink()
    until(lambda: client.stats().failure == "file_missing", what=client.stats)
    secret.write_text("right\n")
    until(lambda: client.stats().connected, what=client.stats)


# TLS


def test_tls_delivers_to_the_right_server(
    make_broker: Any, make_client: Any, until: Any, certificates: Path,
    tls_lines: Callable[..., str],
) -> None:  # fmt: skip
    broker = make_broker(tls_lines())
    broker.start()
    tls = TlsOptions(ca_file=certificates / "ca.pem")
    client = make_client(options(broker.port, host="localhost", tls=tls))
    for i in range(300):
        client.offer(report(f"r{i}"))
    until(lambda: client.stats().delivered == 300, what=client.stats)
    assert client.stop(5.0)


@pytest.mark.parametrize(
    ("ca", "certificate", "host", "reason"),
    [
        ("other.pem", "server", "localhost", "tls_untrusted"),
        ("ca.pem", "expired", "localhost", "tls_expired"),
        ("ca.pem", "server", "127.0.0.1", "tls_wrong_host"),
        ("missing.pem", "server", "localhost", "file_missing"),
    ],
)
def test_tls_refuses_the_wrong_server_with_its_own_reason_and_keeps_trying(
    make_broker: Any, make_client: Any, until: Any, certificates: Path,
    tls_lines: Callable[..., str], ca: str, certificate: str, host: str, reason: str,
) -> None:  # fmt: skip
    broker = make_broker(tls_lines(certificate))
    broker.start()
    tls = TlsOptions(ca_file=certificates / ca)
    client = make_client(options(broker.port, host=host, tls=tls))
    client.offer(report("secret"))
    until(lambda: client.stats().failure == reason, what=client.stats)
    assert client.stats().connections == 0
    if (ca, certificate) == ("other.pem", "server"):  # repaired on disk: taken without a restart
        (certificates / "other.pem").write_bytes((certificates / "ca.pem").read_bytes())
        until(lambda: client.stats().delivered == 1, what=client.stats)


def test_tls_never_falls_back_to_plain(
    make_broker: Any, make_client: Any, until: Any, certificates: Path
) -> None:
    broker = make_broker()  # a plain listener
    broker.start()
    tls = TlsOptions(ca_file=certificates / "ca.pem")
    client = make_client(options(broker.port, host="localhost", tls=tls))
    client.offer(report("secret"))
    until(lambda: (client.stats().failure or "").startswith(("tls", "reset")), what=client.stats)
    assert (client.stats().delivered, client.stats().queued) == (0, 1)


def test_unusable_disk_and_no_broker_at_once_still_count_everything(
    make_client: Any, until: Any, tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "file").write_text("")
    chosen = options(free_port, outbox=OutboxOptions(path=Path("file/outbox.db")))
    client = make_client(chosen)
    for i in range(50):
        client.offer(report(f"r{i}"))
    until(lambda: client.stats().degraded != "not opened yet", what=client.stats)
    assert balances(client.stats())
    assert client.stats().queued == 50
    assert client.stop(2.0)
    assert client.stats().dropped == {"unsaved": 50}


def test_offering_from_many_threads_keeps_the_books(
    make_broker: Any, make_client: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    client = make_client(options(broker.port))
    threads = [
        threading.Thread(
            target=lambda k=k: [client.offer(report(f"{k}-{i}", STATE)) for i in range(200)]
        )
        for k in range(5)
    ]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while time.monotonic() < began + 30 and client.stats().delivered < 1000:
        assert balances(client.stats())
    for thread in threads:
        thread.join()
    assert client.stats().delivered == 1000
