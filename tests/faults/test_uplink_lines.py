"""Faults between the uplink and its broker: slow lines, long outages, certificates, doubles."""

from __future__ import annotations

import datetime
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rsu.config.uplink import OutboxOptions, TlsOptions, UplinkOptions
from rsu.schema.reports import Priority, UplinkReport
from rsu.schema.units import NS_PER_S, Instant
from rsu.uplink.client import UplinkClient, UplinkStats
from rsu.uplink.outbox import Outbox
from rsu.uplink.pacing import Pacer
from rsu.uplink.session import Backoff

pytestmark = pytest.mark.component

QUICK = Backoff(0.1, 0.5)
EVENT, STATE, TELEMETRY = Priority.EVENT, Priority.STATE, Priority.TELEMETRY


def report(name: str, priority: Priority = TELEMETRY, size: int = 200) -> UplinkReport:
    body = b'{"id":"%s"}' % name.encode()
    return UplinkReport(
        id=name, subject="test", priority=priority, ttl_s=7 * 86_400.0, body=body.ljust(size)
    )


def balances(stats: UplinkStats) -> bool:
    return stats.produced == stats.delivered + stats.queued + sum(stats.dropped.values())


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., UplinkClient]]:
    made: list[UplinkClient] = []

    def make(port: int, *, folder: str = "", **more: Any) -> UplinkClient:
        values = {"host": "127.0.0.1", "port": port, "keepalive_s": 5} | more
        base = tmp_path / folder
        made.append(UplinkClient(UplinkOptions(**values), "corner", base, backoff=QUICK))
        made[-1].start()
        return made[-1]

    yield make
    for client in made:
        client.stop(0.5)


def test_row_12_on_a_slow_line_events_go_first_and_telemetry_is_thinned(
    make_broker: Any, make_client: Any, subscribe: Any, until: Any, parts: Any
) -> None:
    """64 kbit/s and a round trip of 2 s, cut every 40 kB; four times as much is offered."""
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port)
    line = parts.SlowLine(broker.port, rate=8000.0, delay_s=1.0, cut_after=40_000)
    quota = 200_000
    try:
        client = make_client(line.port, outbox=OutboxOptions(max_bytes=quota))
        until(lambda: client.stats().connected, 30.0, client.stats)
        pace = threading.Event()
        largest = 0
        for second in range(60):
            for i in range(8):
                client.offer(report(f"t{second}-{i}", TELEMETRY, 4000))
            if second % 10 == 5:
                client.offer(report(f"e{second}", EVENT))
            pace.wait(0.1)
            largest = max(largest, client.stats().queued_bytes)
        events = {f"e{second}" for second in range(5, 60, 10)}
        until(lambda: events <= set(subscriber.bodies()), 60.0, client.stats)
        arrived = [name for name in subscriber.bodies() if name.startswith("t")]
        stats = client.stats()
        assert len(arrived) < 8 * 60 // 2, "the line was not slow"
        assert set(stats.dropped) == {"quota"}, "events or something unexplained was dropped"
        assert balances(stats)
        assert largest < 4_000_000 + quota  # the hand-over's bound and the quota
    finally:
        line.close()
    print(f"{len(arrived)} of 480 telemetry, all events, {line.cuts} cuts, {stats.dropped}")


class Clock:
    """Virtual clocks."""

    def __init__(self) -> None:
        self.ns = 1_750_000_000 * NS_PER_S

    def __call__(self) -> Instant:
        return Instant(self.ns, self.ns)

    def seconds(self) -> float:
        return self.ns / NS_PER_S


def test_row_13_after_a_day_alone_the_backlog_does_not_delay_the_present(tmp_path: Path) -> None:
    clock = Clock()
    outbox = Outbox(tmp_path / "o.db", max_bytes=64_000_000, commit_s=0.1, clock=clock)
    for minute in range(24 * 60):
        outbox.offer(report(f"e{minute:04}", EVENT))
        outbox.offer(report(f"t{minute:04}"))
        clock.ns += 60 * NS_PER_S
        if minute % 60 == 59:
            outbox.work()
    rate = 50.0
    pacer = Pacer(rate, clock.seconds)
    backlog: list[str] = []
    waited: list[float] = []
    offered: dict[str, float] = {}
    for step in range(1000):  # 0.1 s each, a fresh report every second
        if step % 10 == 0:
            offered[f"live{step}"] = clock.seconds()
            outbox.offer(report(f"live{step}"))
        outbox.work()
        for entry in outbox.take(20, 65_536, pacer.allowance()):
            if entry.id in offered:
                waited.append(clock.seconds() - offered[entry.id])
            else:
                backlog.append(entry.id)
                pacer.spend(1)
            outbox.ack(entry.seq)
        assert len(backlog) <= rate * (step + 1) / 10 + rate
        clock.ns += NS_PER_S // 10
    assert backlog == [f"e{minute:04}" for minute in range(1440)] + [
        f"t{minute:04}" for minute in range(1440)
    ]
    assert len(waited) == 100
    assert max(waited) <= 1.0
    outbox.work()
    stats = outbox.stats()
    assert (stats.queued, stats.dropped) == (0, {})
    assert outbox.close(1.0)


def test_row_14_two_hundred_units_do_not_return_in_step() -> None:
    """All lose the broker at once; it is back after a minute."""
    returned: list[float] = []
    for unit in range(200):
        dice, at, wait = random.Random(unit), 0.0, None
        while at < 60.0:
            wait = Backoff().after(wait, dice)
            at += wait
        returned.append(at - 60.0)
    assert max(returned) - min(returned) >= 30.0
    busiest = max(Counter(int(at) for at in returned).values())
    assert busiest <= 20, "a tenth of all within one second"
    print(f"over {max(returned) - min(returned):.0f} s, at most {busiest} within a second")


# Certificates


def certificate(
    folder: Path, name: str, *, issuer: str | None = None, days: tuple[int, int] = (-1, 30)
) -> None:
    """`name.pem` and `name.key`: valid from days[0] to days[1] from now, itself a CA without
    an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, by = key, subject
    if issuer is not None:
        loaded = serialization.load_pem_private_key(
            (folder / f"{issuer}.key").read_bytes(), password=None
        )
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        by = x509.load_pem_x509_certificate((folder / f"{issuer}.pem").read_bytes()).subject
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def tls_listener(folder: Path, more: str = "allow_anonymous true\n") -> str:
    return (
        f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n{more}"
    )


def test_row_15_a_certificate_not_yet_valid_has_a_reason_of_its_own(
    make_broker: Any, make_client: Any, until: Any, tmp_path: Path
) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "server", issuer="ca", days=(5, 30))
    broker = make_broker(tls_listener(tmp_path))
    broker.start()
    client = make_client(broker.port, host="localhost", tls=TlsOptions(ca_file=tmp_path / "ca.pem"))
    client.offer(report("secret", EVENT))
    until(lambda: client.stats().failure == "tls_not_yet_valid", 30.0, client.stats)
    assert (client.stats().connections, client.stats().queued) == (0, 1)
    broker.kill()
    certificate(tmp_path, "server", issuer="ca")
    broker.start()
    until(lambda: client.stats().delivered == 1, 30.0, client.stats)


def test_row_16_a_new_client_certificate_is_taken_at_the_next_connection(
    make_broker: Any, make_client: Any, until: Any, tmp_path: Path
) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "server", issuer="ca")
    certificate(tmp_path, "spring", issuer="ca")
    certificate(tmp_path, "autumn", issuer="ca")

    def use(name: str) -> None:
        for kind in ("pem", "key"):
            (tmp_path / f"new.{kind}").write_bytes((tmp_path / f"{name}.{kind}").read_bytes())
            (tmp_path / f"new.{kind}").rename(tmp_path / f"client.{kind}")

    use("spring")
    broker = make_broker(
        tls_listener(tmp_path, "require_certificate true\nuse_identity_as_username true\n")
    )
    broker.start()
    tls = TlsOptions(
        ca_file=tmp_path / "ca.pem",
        cert_file=tmp_path / "client.pem",
        key_file=tmp_path / "client.key",
    )
    client = make_client(broker.port, host="localhost", tls=tls)
    client.offer(report("first", EVENT))
    until(lambda: client.stats().delivered == 1, 30.0, client.stats)
    use("autumn")
    broker.kill()
    client.offer(report("second", EVENT))
    broker.start()
    until(lambda: client.stats().delivered == 2, 30.0, client.stats)
    log = (tmp_path / "broker" / "mosquitto.log").read_text()
    assert "u'spring'" in log
    assert "u'autumn'" in log
    assert client.stats().dropped == {}


def test_row_34_a_session_taken_over_by_a_double_is_told(make_client: Any, until: Any) -> None:
    """A broker that says so: CONNACK, then DISCONNECT with reason 0x8E."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = make_client(server.getsockname()[1])
        server.settimeout(10.0)
        near, _ = server.accept()
        with near:
            assert near.recv(4096)[0] == 0x10  # CONNECT
            near.sendall(bytes.fromhex("2003000000") + bytes.fromhex("e0028e00"))
            until(lambda: client.stats().failure == "session_taken_over", 10.0, client.stats)


def test_row_34_two_units_of_one_id_back_off_and_lose_nothing(
    make_broker: Any, make_client: Any, until: Any
) -> None:
    broker = make_broker()
    broker.start()
    clients = [make_client(broker.port, folder=name) for name in ("one", "two")]
    until(lambda: all(client.stats().connections >= 2 for client in clients), 30.0)
    for number, client in enumerate(clients):
        client.offer(report(f"r{number}", EVENT))
    until(lambda: all(client.stats().delivered == 1 for client in clients), 30.0)
    # No connection holds for a keepalive: the waits stay at their longest, 0.5 s here.
    before = sum(client.stats().connections for client in clients)
    threading.Event().wait(1.0)
    assert sum(client.stats().connections for client in clients) - before <= 20
